"""Finished runs as the numbers that a comparison is made of, and which of them belong together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automix_cli.errors import CheckpointError, DataError, SettingsError
from automix_cli.reporting import records
from automix_cli.reporting.comparison import DETECTION_MEASURES, RunResult
from automix_cli.reporting.training_cost import training_cost
from automix_cli.settings import Settings
from automix_cli.settings.layering import Overrides, file_layer, load
from automix_cli.settings.methods import OWN
from automix_cli.settings.problems import shown
from automix_cli.settings.toml import as_saved, changed_keys, flatten, moves_result

OWN_OF_A_METHOD = ("mix.method", *(f"mix.{name}" for name in OWN))
"""Settings that differ between methods by what they are."""

NOT_OURS = (*(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError),)
"""What the files of a run raise that somebody has changed."""


@dataclass(frozen=True)
class FinishedRun:
    """One finished run.

    Args:
        folder: Where it lies.
        settings: It was made with.
        summary: Its `summary.json`.
        result: Its numbers.
        machine: Versions, processor and device of its last session.
    """

    folder: Path
    settings: Settings
    summary: Mapping[str, Any]
    result: RunResult
    machine: Mapping[str, str]

    @property
    def num_images(self) -> int:
        """Images of the test set."""
        return int(self.summary["last"]["test"][self.summary["stands_for"]]["num_images"])


def read_run(folder: Path, name: str) -> FinishedRun:
    """Read what a finished run measured.

    Args:
        folder: The run folder.
        name: What the comparison's files call it.

    Raises:
        SettingsError: it is no run folder, or has no summary yet.
        CheckpointError: its files are not what a run writes.
    """
    if not (folder / records.SETTINGS).is_file():
        raise SettingsError(
            f"`{folder}` is no run folder: it has no `{records.SETTINGS}`",
            hint="name folders that `automix train` made, or a folder of them",
        )
    settings, _ = load(Overrides(), base=file_layer(folder / records.SETTINGS), environment={})
    if not (folder / records.SUMMARY).is_file():
        command = "detect" if settings.data.name == "coco" else "train"
        raise SettingsError(
            f"the run `{folder}` is not finished: it has no `{records.SUMMARY}`",
            hint=f"`automix {command} --resume {folder}` goes on with it",
        )
    try:
        summary = json.loads((folder / records.SUMMARY).read_text(encoding="utf-8"))
        result = RunResult(name, int(summary["seed"]), _measures(summary), _costs(folder, summary))
        return FinishedRun(folder, settings, summary, result, _machine(folder))
    except (*NOT_OURS, OSError) as problem:
        raise CheckpointError(
            f"the files of the run `{folder}` are not what a run writes: {problem!r}",
            hint="were they changed by hand? evaluate its weights with `automix eval`",
        ) from problem


def _measures(summary: Mapping[str, Any]) -> dict[str, float]:
    heads = summary["last"]["test"]
    chosen = heads[summary["stands_for"]]
    if "ap" in chosen:  # a detector's; without an object of a kind there is no number
        return {name: float(chosen[name] or 0.0) for name in DETECTION_MEASURES}
    measures = {"top1": chosen["top1"], "nll": chosen["nll"]}
    if "ece" in chosen:
        measures["ece"] = chosen["ece"]
    if "classifier_one_hot" in heads:
        measures["classifier_top1"] = heads["classifier_one_hot"]["top1"]
    return {name: float(each) for name, each in measures.items()}


def _costs(folder: Path, summary: Mapping[str, Any]) -> dict[str, float]:
    costs = {"peak_memory_bytes": float(summary["peak_memory_bytes"])}
    path = folder / records.METRICS
    training = training_cost(records.read_metrics(path)) if path.is_file() else None
    if training is not None:
        of_step = training.seconds / training.steps
        costs["seconds_per_epoch"] = of_step * summary["step"] / summary["epochs"]
        costs["images_per_second"] = training.images_per_second
    return costs


def _machine(folder: Path) -> dict[str, str]:
    path = folder / "environment.json"
    if not path.is_file():
        return {}
    session = json.loads(path.read_text(encoding="utf-8"))["sessions"][-1]
    named = ("device", "processor", "cores", "num_processes")
    return {**session["software"], **{name: str(session[name]) for name in named}}


def found_runs(paths: Sequence[Path]) -> list[FinishedRun]:
    """The runs that a person named; a folder of runs stands for the finished ones in it.

    Raises:
        SettingsError: nothing of the kind is there.
    """
    folders: list[Path] = []
    for path in paths:
        if (path / records.SETTINGS).is_file() or not path.is_dir():
            folders.append(path)
            continue
        inside = sorted(each.parent for each in path.glob(f"*/{records.SUMMARY}"))
        if not inside:
            raise SettingsError(
                f"`{path}` is no run folder, and holds no finished run",
                hint="name folders that `automix train` made, or a folder of them",
            )
        folders += inside
    return [read_run(each, str(each)) for each in dict.fromkeys(folders)]


def grouped(runs: Sequence[FinishedRun]) -> dict[str, list[FinishedRun]]:
    """Runs by method, where needed with the preset or the settings that tell variants apart.

    Raises:
        SettingsError: two runs have the same settings and seed.
    """
    groups: dict[str, list[FinishedRun]] = {}
    for run in runs:
        groups.setdefault(json.dumps(_identity(run.settings)), []).append(run)
    for group in groups.values():
        by_seed: dict[int, FinishedRun] = {}
        for run in group:
            other = by_seed.setdefault(run.result.seed, run)
            if other is not run:
                raise SettingsError(
                    f"`{other.folder}` and `{run.folder}` have the same settings and seed",
                    hint="name one of them: a run repeated says nothing new",
                )
    firsts = [group[0].settings for group in groups.values()]
    names = [_name(settings, firsts) for settings in firsts]
    return dict(zip(names, groups.values(), strict=True))


def _identity(settings: Settings) -> dict[str, Any]:
    """All settings that may move a result, but for the seed."""
    values = flatten(as_saved(settings))
    return {key: each for key, each in values.items() if moves_result(key) and key != "run.seed"}


def _name(settings: Settings, others: Sequence[Settings]) -> str:
    """The shortest name that no other group has."""
    method = "detector" if settings.data.name == "coco" else settings.mix.method
    same_method = [each for each in others if each.mix.method == settings.mix.method]
    differing = differing_keys(same_method)
    values = _identity(settings)
    listed = ", ".join(f"{key}={shown(values.get(key, 'none'))}" for key in differing)
    same_preset = [each for each in same_method if each.run.preset == settings.run.preset]
    if len(same_method) == 1:
        return method
    if len(same_preset) == 1:
        return f"{method} {settings.run.preset or 'without preset'}"
    return f"{method} ({listed})"


def differing_keys(settings: Iterable[Settings]) -> list[str]:
    """Keys that may move a result and are not the same everywhere, but for the seed."""
    first, *others = settings
    changed = {key for each in others for key in changed_keys(first, each)}
    return sorted(key for key in changed if moves_result(key) and key != "run.seed")


def refuse_other_data(runs: Sequence[FinishedRun]) -> None:
    """Accuracies on different images cannot be compared.

    A person's own images are the same if they lie in the same place: there may be any in another.

    Raises:
        DataError: data set, place, number of test images or classes differ.
    """
    has_one_place = len({run.settings.data.dir for run in runs}) == 1
    kinds = {
        (
            run.settings.data.identity,
            run.num_images,
            str(run.settings.detection.test) if run.settings.data.name == "coco" else "",
            () if has_one_place else class_names(run.folder),
        ): run.folder
        for run in runs
    }
    if len(kinds) > 1:
        listed = "; ".join(
            f"`{folder}` on {num:,} test images of {name}"
            + (f" in {len(classes)} classes" if classes else "")
            for (name, num, _, classes), folder in kinds.items()
        )
        raise DataError(
            f"accuracies on different data cannot be compared: {listed}",
            hint="compare the runs of one data set at a time",
        )


def class_names(folder: Path) -> tuple[str, ...]:
    """The classes that a run's portable classifier or detector knows.

    Raises:
        CheckpointError: there is no such file, or it is damaged.
    """
    from automix_cli.engine.checkpoint import load_classifier  # torch is not needed otherwise

    is_detector = (folder / records.DETECTOR).is_file()
    path = folder / (records.DETECTOR if is_detector else records.CLASSIFIER)
    return tuple(load_classifier(path)[1]["dataset"]["class_names"])


def notes_on(groups: Mapping[str, Sequence[FinishedRun]], *, say_settings: bool) -> list[str]:
    """What a reader of the tables must know of how the runs differ.

    Args:
        groups: Runs by name of their row.
        say_settings: Whether differences of settings are news; of variants asked for they are not.
    """
    runs = [run for group in groups.values() for run in group]
    notes: list[str] = []
    if any(len(group) == 1 for group in groups.values()):
        notes.append("n = 1 has no standard deviation and no interval: chance is not ruled out")
    if len({tuple(sorted(run.result.seed for run in group)) for group in groups.values()}) > 1:
        notes.append("not every method has every seed: differences are over the seeds of both")
    differing = differing_keys(run.settings for run in runs)
    differing = [key for key in differing if key not in OWN_OF_A_METHOD]
    if say_settings and differing:
        listed = ", ".join(f"`{key}`" for key in differing)
        notes.append(f"besides method and seed, these settings differ: {listed}")
    names = sorted({name for run in runs for name in run.machine})
    other = {name: sorted({run.machine.get(name, "unknown") for run in runs}) for name in names}
    for name, values in other.items():
        if len(values) > 1:
            notes.append(f"the runs were made with different `{name}`: {', '.join(values)}")
    return notes
