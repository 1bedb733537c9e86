"""The run folder keeps what it promises."""

import json
import os
from pathlib import Path

import pytest

from automix_cli.errors import CheckpointError
from automix_cli.reporting import records
from automix_cli.reporting.progress import duration


def test_a_resume_cuts_the_lines_it_will_write_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    metrics = records.Metrics(path)
    metrics.append({"step": 1})
    kept = metrics.num_bytes()
    metrics.append({"step": 2})
    records.Metrics(path, keep_bytes=kept).append({"step": 2})
    assert list(records.read_metrics(path)) == [{"step": 1}, {"step": 2}]


def test_a_half_written_last_line_is_cut_too(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    metrics = records.Metrics(path)
    metrics.append({"step": 1})
    kept = metrics.num_bytes()
    with path.open("a") as file:
        file.write('{"step": 2, "lo')
    records.Metrics(path, keep_bytes=kept)
    assert list(records.read_metrics(path)) == [{"step": 1}]


def test_a_shortened_metrics_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("{}\n")
    with pytest.raises(CheckpointError, match="had 10 at the checkpoint"):
        records.Metrics(path, keep_bytes=10)
    assert path.read_text() == "{}\n"


def test_newest_is_the_folder_written_last_at_any_depth(tmp_path: Path) -> None:
    for number, name in enumerate(("b/old", "a/new", "c/unfinished")):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        if name != "c/unfinished":
            (folder / records.SUMMARY).write_text("{}")
            os.utime(folder / records.SUMMARY, (number, number))
    assert records.newest(tmp_path, records.SUMMARY) == tmp_path / "a/new"


def test_no_run_at_all_is_an_error_that_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="found none") as caught:
        records.newest_or_raise(tmp_path, records.SUMMARY, "a finished run")
    assert "automix train" in str(caught.value.hint)


def test_every_session_is_kept_in_environment_json(tmp_path: Path) -> None:
    path = tmp_path / "environment.json"
    for processes in (1, 2):
        records.append_environment(path, records.environment(device="cpu", num_processes=processes))
    sessions = json.loads(path.read_text())["sessions"]
    assert [session["num_processes"] for session in sessions] == [1, 2]
    assert sessions[0]["software"]["torch"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.21, "4.2s"), (61, "1:01"), (11110, "3:05:10"), (183900, "2d 03:05")],
)
def test_durations_are_written_as_people_read_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text
