"""Run folders as a report tells them: what training left there, read with suspicion."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from automix_cli.commands.run_report.measurements import (
    NOT_AS_WRITTEN,
    with_included,
    with_measurements,
)
from automix_cli.errors import CheckpointError, SettingsError
from automix_cli.reporting import records
from automix_cli.reporting.run_report.reported import ReportedRun, labels_of
from automix_cli.reporting.tables import percent
from automix_cli.settings.toml import flatten, read_toml

OF_TRAINING = ("seconds_per_step", "images_per_second")


def found_folders(paths: Sequence[Path]) -> list[Path]:
    """The run folders that a person named; a folder of runs stands for those in it.

    Raises:
        SettingsError: nothing of the kind is there.
        CheckpointError: nothing is named, and no run is finished.
    """
    if not paths:
        return [records.newest_or_raise(Path("runs"), records.SUMMARY, "a finished run")]
    folders: list[Path] = []
    for path in paths:
        inside = [path] if (path / records.SETTINGS).is_file() else []
        inside = inside or sorted(each.parent for each in path.glob(f"*/{records.SETTINGS}"))
        if not inside:
            wrong = f"has no `{records.SETTINGS}`" if path.is_dir() else "is no folder"
            raise SettingsError(
                f"`{path}` is no run folder: it {wrong}",
                hint="name folders that `automix train` made, or a folder of them",
            )
        folders += inside
    return list({folder.resolve(): folder for folder in folders}.values())


def read_runs(folders: Sequence[Path], included: Sequence[Path]) -> list[ReportedRun]:
    """Everything that the folders and the included files hold.

    Raises:
        SettingsError: settings cannot be read, or an included file is of none of the runs.
        CheckpointError: a run's own files are not what a run writes.
        DataError: a measurement is not what the command writes.
    """
    labels = labels_of(folders)
    runs = [read_run(folder, label) for folder, label in zip(folders, labels, strict=True)]
    runs = [with_measurements(run) for run in runs]
    for path in included:
        runs = with_included(runs, path)
    return [replace(run, notes=(*run.notes, *other_weights(run))) for run in runs]


def read_run(folder: Path, label: str) -> ReportedRun:
    """What training left in a run folder."""
    read, notes = read_records(folder / records.METRICS)
    origins = read_json(folder / "origins.json")
    sessions = read_json(folder / "environment.json")
    summary = read_json(folder / records.SUMMARY)
    if not read:
        notes.append("there are no metrics: nothing was written down of a training")
    try:
        run = ReportedRun(
            folder=folder,
            label=label,
            settings=flatten(read_toml(folder / records.SETTINGS)),
            origins={} if origins is None else {key: str(each) for key, each in origins.items()},
            sessions=[] if sessions is None else list(sessions["sessions"]),
            records=read,
            summary=summary,
            can_resume=(folder / records.CHECKPOINT).is_file(),
            notes=tuple(notes),
        )
        ask_for_everything(run)
    except NOT_AS_WRITTEN as problem:
        raise CheckpointError(
            f"the files of the run `{folder}` are not what a run writes: {problem!r}",
            hint="were they changed by hand?",
        ) from problem
    return run


def ask_for_everything(run: ReportedRun) -> None:
    """Ask a run what a report will ask of its own files.

    Raises:
        KeyError: something is missing.
        TypeError, ValueError, AttributeError: something is of another kind.
    """
    run.judged.get("ap" if run.is_detector else "top1")
    if run.summary is not None:
        for name in ("step", "epochs"):
            float(run.summary[name])
        for name in ("seconds", "peak_memory_bytes"):
            float(run.summary.get(name, 0))
    for session in run.sessions:
        dict(session.get("software", {}))


def read_json(path: Path) -> Any:
    """The content of a run's own file, or None where there is none.

    Raises:
        CheckpointError: it is not JSON.
    """
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise CheckpointError(f"cannot read `{path}`: {problem}") from problem


def read_records(path: Path) -> tuple[list[Mapping[str, Any]], list[str]]:
    """The records of a training, and what is to be said of them.

    The last line may be half-written, by a run that goes on or was killed: it is left out.

    Raises:
        CheckpointError: another line is no record, or the file cannot be read.
    """
    try:
        lines = path.read_bytes().split(b"\n") if path.is_file() else []
    except OSError as problem:
        raise CheckpointError(f"cannot read `{path}`: {problem}") from problem
    read: list[Mapping[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            read.append(as_record(json.loads(line)))
        except NOT_AS_WRITTEN as problem:
            if number == len(lines):  # no line feed has followed it
                return read, ["the last line of the metrics is half-written, and left out"]
            raise CheckpointError(
                f"line {number} of `{path}` is no record of a training: {problem}",
                hint="was the file changed by hand? take that line out of a copy of the run",
            ) from problem
    return read, []


def as_record(content: Any) -> Mapping[str, Any]:
    """A line of metrics, if it is one.

    Raises:
        KeyError: something that every record has is missing.
        TypeError, ValueError: it is something else.
    """
    needed = ("step", "epoch", *(OF_TRAINING if content["split"] == "train" else ()))
    for name in needed:
        float(content[name])
    return content


def other_weights(run: ReportedRun) -> list[str]:
    """A note where the evaluation is not of the network that the training ended with."""
    if run.evaluation is None:
        return []
    ((head, row),) = run.evaluation["heads"].items()
    trained = run.heads.get(head, {})
    if trained.get("num_images") != row["num_images"]:
        return []
    if abs(trained["top1"] - row["top1"]) * row["num_images"] < 1.5:  # rounding may move one image
        return []
    return [
        f"the evaluation found {percent(row['top1'])} top-1 with {run.evaluation['checkpoint']},"
        f" the training ended with {percent(trained['top1'])}: they are of different weights"
    ]
