"""A full disk or one that cannot be written: said with an exit code, and nothing good is lost."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from automix_cli.data.corrupted_record import Identity
from automix_cli.data.corrupted_writing import CorruptedFolder
from automix_cli.engine.checkpoint import load_checkpoint
from automix_cli.errors import CheckpointError
from automix_cli.reporting import records
from automix_cli.reporting.records import write_json
from tests.commands.conftest import QUICK, Automix

resource = pytest.importorskip("resource")


@pytest.fixture
def largest_file() -> Iterator[Callable[[int], None]]:
    """Let no file of this process grow beyond so many bytes: a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full_from_the_start_ends_with_4_and_leaves_no_half_checkpoint(
    automix: Automix, tmp_path: Path, largest_file: Callable[[int], None]
) -> None:
    largest_file(20_000)
    result = automix("train", *QUICK, "-o", "run")
    assert result.exit_code == 4
    assert "cannot write `run/" in result.stderr
    left = {each.name for each in (tmp_path / "run").iterdir()}
    assert not left & {"ckpt.pt", "best.pt", "summary.json"}
    assert not any(name.endswith(".partial") for name in left)


def test_a_disk_that_fills_up_during_a_resume_keeps_the_checkpoint_which_then_goes_on(
    automix: Automix, tmp_path: Path, largest_file: Callable[[int], None]
) -> None:
    automix("train", *QUICK, "-o", "run")
    size = (tmp_path / "run" / "ckpt.pt").stat().st_size
    more = ("--resume", "run", "--set", "train.max_steps=6")
    largest_file(size // 2)
    result = automix("train", *more)
    assert result.exit_code == 4
    assert "the previous checkpoint is intact" in result.stderr
    assert load_checkpoint(tmp_path / "run" / "ckpt.pt").state.step == 4
    largest_file(resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    assert automix("train", *more).exit_code == 0


@pytest.mark.parametrize(
    ("place", "number"),
    [
        ("append", errno.ENOSPC),
        ("append_environment", errno.EACCES),
        ("write_json", errno.EROFS),
    ],
)
def test_wherever_a_run_writes_a_disk_that_refuses_is_said_without_a_traceback(
    automix: Automix, monkeypatch: pytest.MonkeyPatch, place: str, number: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "run/file")

    owner = records.Metrics if place == "append" else records
    monkeypatch.setattr(owner, place, refuse)
    result = automix("train", *QUICK, "-o", "run")
    assert result.exit_code == 1
    assert f"error: cannot write `run/file`: {os.strerror(number)}" in result.stderr


def test_a_report_that_cannot_be_written_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, largest_file: Callable[[int], None]
) -> None:
    write_json(tmp_path / "report.json", {"old": 1})
    largest_file(1000)
    with pytest.raises(OSError, match="File too large"):
        write_json(tmp_path / "report.json", {"new": "x" * 5000})
    assert [each.name for each in tmp_path.iterdir()] == ["report.json"]
    assert "old" in (tmp_path / "report.json").read_text()


def test_corrupted_images_that_do_not_fit_leave_no_half_file(
    tmp_path: Path, largest_file: Callable[[int], None]
) -> None:
    identity = Identity("cifar-c", "cifar10", "0", 0, "float64", (1,), 1)
    folder = CorruptedFolder(tmp_path / "set", identity, is_forced=False)
    largest_file(1000)
    with pytest.raises(OSError, match="File too large"):
        folder.write("fog", (2, 32, 32, 3), [np.zeros((2, 32, 32, 3), np.uint8)])
    assert list((tmp_path / "set").iterdir()) == []


def test_a_run_folder_that_cannot_be_made_is_a_usage_error(automix: Automix) -> None:
    result = automix("train", *QUICK, "-o", "/proc/automix-run")
    assert result.exit_code == 2
    assert "cannot make the folder `/proc/automix-run`" in result.stderr


def test_damaged_records_of_sessions_are_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "environment.json"
    path.write_text('{"sessions": 3}')
    with pytest.raises(CheckpointError, match="is not what a run writes"):
        records.append_environment(path, {})
