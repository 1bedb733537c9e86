"""Two programs at one place: one wins, the other says so, and nothing is mixed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from automix_cli.commands.exporting.file_written import written_at_last
from automix_cli.commands.sole_writer import sole_writer
from automix_cli.errors import SettingsError
from tests.commands.conftest import QUICK, Automix, finish, start

HOLD = """
import fcntl, os, sys
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """A folder in which another process works."""
    folder = tmp_path / "run"
    folder.mkdir()
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        yield folder
        other.kill()


def test_a_second_run_in_a_folder_is_refused_and_writes_nothing(
    held: Path, automix: Automix
) -> None:
    result = automix("train", *QUICK, "-o", held)
    assert result.exit_code == 2
    assert f"another run works in `{held}`" in result.stderr
    assert list(held.iterdir()) == []


def test_a_second_resume_of_a_run_is_refused_and_changes_nothing(
    tmp_path: Path, automix: Automix
) -> None:
    automix("train", *QUICK, "-o", "run")
    before = {each.name: each.read_bytes() for each in (tmp_path / "run").glob("*.*")}
    with sole_writer(tmp_path / "run", "run"):
        result = automix("train", "--resume", "run", "--set", "train.max_steps=6")
    assert result.exit_code == 2
    assert "another run works in `run`" in result.stderr
    assert {each.name: each.read_bytes() for each in (tmp_path / "run").glob("*.*")} == before


def test_a_process_that_is_killed_leaves_its_folder_free(held: Path) -> None:
    with pytest.raises(SettingsError, match="another run works"), sole_writer(held, "run"):
        pass
    # the fixture's process ends with its standard input; a lock of a dead process is none
    with sole_writer(held.parent / "other", "run"):
        pass


def test_a_second_generation_of_corrupted_images_is_refused(held: Path) -> None:
    with (
        pytest.raises(SettingsError, match="another `automix corruptions make` works in"),
        sole_writer(held, "`automix corruptions make`"),
    ):
        pass


def write(target: Path, content: bytes, *before: bytes) -> None:
    """Export onto a name; others may be begun later and end sooner."""
    with written_at_last(target, force=False) as partial:
        partial.write_bytes(content)
        for other in before:
            write(target, other)


def test_of_two_exports_onto_one_name_the_first_stays(tmp_path: Path) -> None:
    target = tmp_path / "classifier.onnx"
    with pytest.raises(SettingsError, match="written by another program meanwhile"):
        write(target, b"second", b"first")
    assert target.read_bytes() == b"first"
    assert [each.name for each in tmp_path.iterdir()] == ["classifier.onnx"]


def test_a_forced_export_replaces_what_is_there(tmp_path: Path) -> None:
    target = tmp_path / "classifier.onnx"
    target.write_bytes(b"first")
    with written_at_last(target, force=True) as partial:
        partial.write_bytes(b"second")
    assert target.read_bytes() == b"second"


@pytest.mark.slow
def test_of_two_runs_started_into_one_folder_one_finishes_and_one_is_refused(
    tmp_path: Path,
) -> None:
    both = [start(["train", *QUICK, "-o", "run"], folder=tmp_path) for _ in range(2)]
    ended = [(each.communicate(timeout=240), each.returncode) for each in both]
    assert sorted(code for _, code in ended) == [0, 2]
    ((_, errors),) = [said for said, code in ended if code == 2]
    assert "another run works in `run`" in errors or "is not empty" in errors
    assert (tmp_path / "run" / "summary.json").is_file()
    finish(start(["inspect", "run/ckpt.pt"], folder=tmp_path))
