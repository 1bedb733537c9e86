"""Experiment trackers: TensorBoard and others, through Accelerate's adapters.

They show what `metrics.jsonl` holds, under the names `<split>/<quantity>`, at the same steps. The
file is the record; a tracker is a look at it. So a tracker that cannot start ends the program
before the first step, and one that fails later is left out, with a warning, while the run goes on.
Accelerate's own `Accelerator.log` would end the run, or leave the trackers behind a failing one
without their numbers; its adapters are used one by one instead.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from accelerate.tracking import (
    GeneralTracker,
    MLflowTracker,
    TensorBoardTracker,
    WandBTracker,
    get_available_trackers,
)

from automix_cli.atomic import written_atomically
from automix_cli.errors import SettingsError

PROJECT = "automix"
IDENTITY = "trackers.json"
"""File of a run folder by which a resumed run finds its records in the trackers again."""

INSTALLED_BY = {
    "tensorboard": "pip install 'automix-cli[tensorboard]'",
    "wandb": "pip install wandb",
    "mlflow": "pip install mlflow",
}
"""Every tracker there is, and what brings its package."""


def require_installed(names: Sequence[str]) -> None:
    """Refuse a tracker whose package is missing, before anything else happens.

    Raises:
        SettingsError: says how to install it.
    """
    available = {str(each) for each in get_available_trackers()}
    for name in names:
        if name not in available:
            raise SettingsError(
                f"the tracker `{name}` is not installed (from `train.trackers`)",
                hint=INSTALLED_BY[name],
            )


@dataclass
class Trackers:
    """The trackers of a run, on the main process; none on the others.

    Args:
        warn: Told when one is left out.
        running: By name.
    """

    warn: Callable[[str], None]
    running: dict[str, GeneralTracker] = field(default_factory=dict)

    def log(self, record: Mapping[str, Any]) -> None:
        """Show a record of `metrics.jsonl`."""
        values, step = numbers_of(record), int(record["step"])
        self._each(lambda tracker: tracker.log(values, step=step), f"after step {step}")

    def close(self) -> None:
        """Let them write what they still hold."""
        self._each(lambda tracker: tracker.finish(), "at the end")
        self.running.clear()

    def _each(self, do: Callable[[GeneralTracker], None], when: str) -> None:
        for name, tracker in list(self.running.items()):
            try:
                do(tracker)
            except Exception as problem:  # noqa: BLE001 - a full disk, a network: never the run's end
                del self.running[name]
                self.warn(
                    f"warning: the tracker {name} failed {when} and is left out, the run goes on:"
                    f" {type(problem).__name__}: {problem}"
                )


def numbers_of(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a record as `<split>/<quantity>`; an interval gives its two ends."""
    split = record["split"]
    values: dict[str, float] = {}
    for name, value in record.items():
        if isinstance(value, list):
            values |= {f"{split}/{name}/{end}": each for end, each in zip(ENDS, value, strict=True)}
        elif isinstance(value, int | float) and name != "step":
            values[f"{split}/{name}"] = value
    return values


ENDS = ("low", "high")


def start_trackers(
    names: Sequence[str],
    folder: Path,
    hyperparameters: Mapping[str, Any],
    *,
    step: int,
    warn: Callable[[str], None],
) -> Trackers:
    """Start the trackers of a new run, or go on with those of a resumed one; on one process only.

    Args:
        names: Of trackers that are installed.
        folder: The run folder; TensorBoard's files go into `tensorboard` there.
        hyperparameters: Settings by dotted key.
        step: Steps done before: what TensorBoard has of later ones is not shown any more.
        warn: Told when a tracker fails later on.

    Raises:
        SettingsError: one cannot start: what it says.
    """
    trackers = Trackers(warn)
    identity = _identity(folder)
    for name in names:
        try:
            tracker = MAKERS[name](folder, identity, step)
            tracker.start()
            trackers.running[name] = tracker
            if name not in identity["started"]:
                tracker.store_init_configuration(dict(hyperparameters))
            identity["started"][name] = _own_id(name, tracker)
        except Exception as problem:
            trackers.close()
            raise SettingsError(
                f"the tracker `{name}` cannot start: {type(problem).__name__}: {problem}",
                hint=f"set it up, or leave `{name}` out of `train.trackers`",
            ) from problem
    if names:
        with written_atomically(folder / IDENTITY) as partial:
            partial.write_text(json.dumps(identity, indent=2) + "\n", encoding="utf-8")
    return trackers


Identity = dict[str, Any]
"""`id`: of the run; `started`: by name of each tracker that has its hyperparameters, its own id."""


def _identity(folder: Path) -> Identity:
    path = folder / IDENTITY
    if path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    return {"id": uuid4().hex[:12], "started": {}}


def _tensorboard(folder: Path, identity: Identity, step: int) -> GeneralTracker:
    is_new = "tensorboard" not in identity["started"]
    return TensorBoardTracker("tensorboard", folder, purge_step=None if is_new else step + 1)


def _wandb(folder: Path, identity: Identity, step: int) -> GeneralTracker:
    named = {"id": identity["id"], "name": f"{folder.parent.name}/{folder.name}"}
    return WandBTracker(PROJECT, dir=str(folder), resume="allow", **named)


def _mlflow(folder: Path, identity: Identity, step: int) -> GeneralTracker:
    return MLflowTracker(PROJECT, run_id=identity["started"].get("mlflow"), run_name=folder.name)


MAKERS: Mapping[str, Callable[[Path, Identity, int], GeneralTracker]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "mlflow": _mlflow,
}


def _own_id(name: str, tracker: GeneralTracker) -> str | None:
    """By what the tracker itself knows the run, where it does not take ours."""
    return cast(MLflowTracker, tracker).tracker.info.run_id if name == "mlflow" else None
