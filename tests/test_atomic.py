"""A file is there whole or not at all, and nothing piles up beside it."""

import os
from pathlib import Path

import pytest

from automix_cli.atomic import written_atomically

NOBODY = "0999999999"  # beyond the largest process id there is


def test_what_a_killed_process_left_is_removed_when_the_file_is_written_again(
    tmp_path: Path,
) -> None:
    left = tmp_path / f".ckpt.pt.{NOBODY}.partial"
    other = tmp_path / f".best.pt.{NOBODY}.partial"
    being_written = tmp_path / f".ckpt.pt.{os.getppid()}.partial"
    for each in (left, other, being_written):
        each.write_bytes(b"half")
    with written_atomically(tmp_path / "ckpt.pt") as partial:
        partial.write_bytes(b"whole")
    assert (tmp_path / "ckpt.pt").read_bytes() == b"whole"
    assert not left.exists()
    assert other.exists()
    assert being_written.exists()


def test_a_failure_leaves_the_file_of_before_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "ckpt.pt"
    path.write_bytes(b"before")

    def fail() -> None:
        with written_atomically(path) as partial:
            partial.write_bytes(b"half")
            raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        fail()
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"before"]
