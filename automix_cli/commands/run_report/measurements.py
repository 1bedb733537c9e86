"""The measurements that a report shows beside a training, and where it finds them.

A report looks for numbers where the commands leave them:

```text
RUN/evaluation/evaluation.json      automix eval RUN -o RUN/evaluation
RUN/corruptions/*.json              automix eval RUN --corruptions SUITE
RUN/robustness/robustness.json      automix robustness RUN
RUN/masks/masks.json, masks*.png    automix visualize-masks RUN
```

and in the files that `--include` names, each of which says whose numbers it holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from automix_cli.errors import DataError, SettingsError
from automix_cli.reporting.run_report import missing, quality
from automix_cli.reporting.run_report.found_part import found
from automix_cli.reporting.run_report.mask_part import masks
from automix_cli.reporting.run_report.reported import ReportedRun
from automix_cli.reporting.run_report.resistance import robustness

MOST_MASK_PAGES = 2
NOT_AS_WRITTEN = (KeyError, TypeError, ValueError, IndexError, AttributeError)
"""What reading a file raises that some other program or person has written."""


def with_measurements(run: ReportedRun) -> ReportedRun:
    """A run with what its folder holds beside the training."""
    corrupted = [run.folder / missing.CORRUPTIONS, run.folder / missing.EVALUATION / "corruptions"]
    paths = [
        run.folder / missing.EVALUATION / "evaluation.json",
        run.folder / missing.ROBUSTNESS / "robustness.json",
        run.folder / missing.MASKS / "masks.json",
        *(path for folder in corrupted for path in sorted(folder.glob("*.json"))),
    ]
    for path in paths:
        if path.is_file():
            run = with_content(run, path, *read_measurement(path))
    progress = run.folder / missing.MASKS / "progress.png"  # training takes it
    boxes = run.folder / "boxes.png"
    return replace(
        run,
        mask_progress=progress.read_bytes() if progress.is_file() else None,
        boxes=boxes.read_bytes() if boxes.is_file() else None,
    )


def read_measurement(path: Path) -> tuple[str, dict[str, Any]]:
    """What kind of numbers a file holds, and the numbers.

    Raises:
        DataError: no command of ours writes such a file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        kinds = [kind for kind, keys in KINDS.items() if keys <= content.keys()]
        return kinds[0], content
    except (OSError, *NOT_AS_WRITTEN) as problem:
        raise DataError(
            f"`{path}` holds no measurement that a report could show: {problem!r}",
            hint="`automix eval -o`, `automix eval --corruptions`, `automix robustness` and"
            " `automix visualize-masks` write such files",
        ) from problem


KINDS: Mapping[str, set[str]] = {
    "evaluation": {"heads", "checkpoint", "dataset"},
    "precision": {"detector", "checkpoint", "annotations"},
    "robustness": {"models", "num_images", "norm"},
    "masks": {"methods", "checkpoints", "ratios"},
    "corruptions": {"corruptions", "suite", "clean_top1", "checkpoint"},
}
"""By kind of measurement: what tells its file from others."""


def with_content(run: ReportedRun, path: Path, kind: str, content: dict[str, Any]) -> ReportedRun:
    """A run with one more measurement.

    Raises:
        DataError: the file is not what the command writes.
    """
    try:
        run = ADDERS[kind](run, path, content)
        for section in (quality.calibration, quality.corruptions, robustness, masks, found):
            section([run])
    except NOT_AS_WRITTEN as problem:
        raise DataError(
            f"`{path}` is not what this version writes about {kind}: {problem!r}",
            hint="measure it again, or take the file away",
        ) from problem
    return run


def _add_evaluation(run: ReportedRun, path: Path, content: dict[str, Any]) -> ReportedRun:
    run = replace(run, evaluation=content)
    return _add_corruptions(run, path, content["corruptions"]) if "corruptions" in content else run


def _add_corruptions(run: ReportedRun, path: Path, content: dict[str, Any]) -> ReportedRun:
    title = content["data_set"] + (
        f", first {content['num_images']:,} images" if content["is_partial"] else ""
    )
    return replace(run, corruptions={**run.corruptions, title: content})


def _add_robustness(run: ReportedRun, path: Path, content: dict[str, Any]) -> ReportedRun:
    own = {
        label: model
        for label, model in content["models"].items()
        if len(content["models"]) == 1 or is_of(run, model["checkpoint"])
    }
    return replace(run, robustness={**content, "models": own}) if len(own) == 1 else run


def _add_masks(run: ReportedRun, path: Path, content: dict[str, Any]) -> ReportedRun:
    names = ["masks.png", *(f"masks-{number}.png" for number in range(2, MOST_MASK_PAGES + 1))]
    pages = [path.with_name(name) for name in names]
    read = tuple(page.read_bytes() for page in pages if page.is_file())
    return replace(run, masks=content, mask_pages=read)


def _add_precision(run: ReportedRun, path: Path, content: dict[str, Any]) -> ReportedRun:
    return replace(run, precision=content)


ADDERS: Mapping[str, Callable[[ReportedRun, Path, dict[str, Any]], ReportedRun]] = {
    "evaluation": _add_evaluation,
    "precision": _add_precision,
    "robustness": _add_robustness,
    "masks": _add_masks,
    "corruptions": _add_corruptions,
}


def is_of(run: ReportedRun, checkpoint: str) -> bool:
    """Whether a checkpoint lies in the run's folder."""
    return Path(checkpoint).resolve().parent == run.folder.resolve()


def with_included(runs: Sequence[ReportedRun], path: Path) -> list[ReportedRun]:
    """The runs, those that a file speaks of with its numbers.

    Raises:
        SettingsError: it speaks of none of them.
        DataError: it is no measurement.
    """
    kind, content = read_measurement(path)
    if kind == "robustness":
        checkpoints = [str(model["checkpoint"]) for model in content["models"].values()]
    elif kind == "masks":
        checkpoints = [str(each) for each in content["checkpoints"].values()]
    else:
        checkpoints = [str(content["checkpoint"])]
    whose = [any(is_of(run, each) for each in checkpoints) for run in runs]
    if not any(whose):
        raise SettingsError(
            f"`{path}` is about {', '.join(checkpoints)}, which lies in none of the runs",
            hint="give `--include` files that were made of these runs",
        )
    return [
        with_content(run, path, kind, content) if is_its else run
        for run, is_its in zip(runs, whose, strict=True)
    ]
