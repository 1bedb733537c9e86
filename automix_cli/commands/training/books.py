"""What the books of every run have: records of steps, checkpoints, and the hooks of the loop.

Every method is called on every process; only the main one writes.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from automix_cli.engine.checkpoint import Checkpoint, Header
from automix_cli.engine.checkpoint_writer import CheckpointWriter
from automix_cli.engine.loop import Hooks, Plan, Training, TrainState, fit
from automix_cli.engine.runtime import Accelerator, StopRequest, peak_memory_bytes
from automix_cli.engine.trackers import Trackers, start_trackers
from automix_cli.errors import DivergedError
from automix_cli.reporting import records
from automix_cli.reporting.progress import TrainProgress, say
from automix_cli.settings import Settings
from automix_cli.settings.toml import as_saved, flatten


class SavedStep(NamedTuple):
    """A checkpoint, and the step after which it was written."""

    path: Path
    step: int


@dataclass(kw_only=True)
class Books(ABC):
    """Writes down what happens to one run."""

    settings: Settings
    training: Training
    state: TrainState
    folder: Path
    metrics: records.Metrics | None  # None on every process but the main one
    trackers: Trackers  # those of every process but the main one are none
    progress: TrainProgress
    init: dict[str, Any] | None  # what is said of the weights that the run began with
    last_good: SavedStep | None  # the newest checkpoint; None: there is none yet
    timed_since: float = 0.0
    timed_step: int = 0
    writer: CheckpointWriter = field(default_factory=CheckpointWriter)

    @abstractmethod
    def evaluate(self) -> bool:
        """Measure on the images to be judged on, and say whether it is the best so far."""

    @abstractmethod
    def keep_with_checkpoint(self) -> None:
        """Keep what else must be there when a run goes on from the checkpoint of this step."""

    @abstractmethod
    def description(self) -> dict[str, Any]:
        """What checkpoints say of the data."""

    def train(self, plan: Plan) -> None:
        """Train to the end of the plan, and wait until the last checkpoint is written.

        Raises:
            DivergedError: a number is none; the last good checkpoint is named.
            Interrupted: a signal asked to stop.
        """
        stop = StopRequest(self.training.accelerator)
        try:
            with self.progress, stop, self.writer:
                fit(self.training, plan, self.state, self.hooks(stop))
        except DivergedError as problem:
            hint = f"{self.said_of_last_good()}; {problem.hint}"
            raise DivergedError(problem.message, hint=hint) from problem

    def said_of_last_good(self) -> str:
        """Which checkpoint is left, for an error."""
        if self.last_good is None:
            return "no checkpoint was written yet"
        path, step = self.last_good
        return f"the last good checkpoint is `{path}`, written after step {step}"

    def hooks(self, stop: StopRequest) -> Hooks:
        """What the loop calls."""
        self.restart_clock()
        return Hooks(
            advance=self.progress.advance,
            record=self.record,
            evaluate=self.evaluate,
            save=self.save,
            stop_signal=stop.agreed,
        )

    def restart_clock(self) -> None:
        """Leave evaluations and saving out of the speed of training."""
        self.timed_since, self.timed_step = time.perf_counter(), self.state.step

    def record(self, values: Mapping[str, float]) -> None:
        """Write the mean losses since the last record, the schedules' values and the speed."""
        steps = self.state.step - self.timed_step
        seconds = time.perf_counter() - self.timed_since
        losses = {name for name in self.state.names if not name.endswith("_ratio")}
        named = {f"loss/{key}" if key in losses else key: each for key, each in values.items()}
        named["seconds_per_step"] = seconds / steps
        named["images_per_second"] = self.settings.train.batch_size * steps / seconds
        self.append({"split": "train", **self.position(), **named})
        self.progress.losses(self.state.step, named)
        self.restart_clock()

    def position(self) -> dict[str, float]:
        """Where in the run this is."""
        step = self.state.step
        return {"step": step, "epoch": step / self.training.batches.steps_per_epoch}

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a line to `metrics.jsonl`, then show it in the trackers."""
        if self.metrics is not None:
            self.metrics.append(record)
        self.trackers.log(record)

    def header(self) -> Header:
        """What checkpoints say of the run."""
        return Header(
            settings=as_saved(self.settings),
            dataset=self.description(),
            software=records.software_versions(),
            num_processes=self.training.accelerator.num_processes,
            metrics_bytes=0 if self.metrics is None else self.metrics.num_bytes(),
            init=self.init,
        )

    def portable_header(self) -> Header:
        """The same for portable weights, without the threads: any number gives the same bytes."""
        header = self.header()
        data = {key: each for key, each in header.settings["data"].items() if key != "workers"}
        return replace(header, settings={**header.settings, "data": data})

    def save(self, is_best: bool) -> None:  # noqa: FBT001 - the type of a hook
        """Write `best.pt` before `ckpt.pt`: a kill between the two is made good by resuming."""
        self.keep_with_checkpoint()
        names = (records.BEST, records.CHECKPOINT) if is_best else (records.CHECKPOINT,)
        paths = [self.folder / name for name in names]
        self.writer.save(paths, self.training, self.state, self.header())
        self.last_good = SavedStep(paths[-1], self.state.step)
        self.restart_clock()

    def account(self) -> dict[str, Any]:
        """What the summary of every run says of how far it went and what that cost."""
        accelerator = self.training.accelerator
        position = self.position()
        speed = self.settings.train.batch_size * self.state.step / max(self.state.seconds, 1e-9)
        return {
            "seed": self.settings.run.seed,
            "init": self.init,
            "step": self.state.step,
            "epochs": position["epoch"],
            "last": self.state.last,
            "best": self.state.best,
            "seconds": self.state.seconds,
            "images_per_second": speed,
            "peak_memory_bytes": peak_memory_bytes(accelerator.device),
            "device": str(accelerator.device),
            "num_processes": accelerator.num_processes,
        }


def begun_at(checkpoint: Checkpoint | None) -> SavedStep | None:
    """The checkpoint that a run goes on from, while it has written none itself."""
    return None if checkpoint is None else SavedStep(checkpoint.path, checkpoint.state.step)


def opened_metrics(
    folder: Path, accelerator: Accelerator, checkpoint: Checkpoint | None
) -> records.Metrics | None:
    """Open the records of a session, and write down where it runs; None but on the main process."""
    if not accelerator.is_main_process:
        return None
    kept = 0 if checkpoint is None else checkpoint.header.metrics_bytes
    metrics = records.Metrics(folder / records.METRICS, keep_bytes=kept)
    entry = records.environment(
        device=str(accelerator.device), num_processes=accelerator.num_processes
    )
    records.append_environment(folder / "environment.json", entry)
    return metrics


def announce_resume(checkpoint: Checkpoint, accelerator: Accelerator, total_steps: int) -> None:
    """Say from where a run goes on, and what is not as it was."""
    say(f"resuming after step {checkpoint.state.step} of {total_steps}")
    before = checkpoint.header.num_processes
    if before != accelerator.num_processes:
        say(
            f"warning: the run had {before} process(es), now {accelerator.num_processes}: the same "
            "images in the same order, but other pairings than if it had never stopped",
        )


def trackers_of(settings: Settings, accelerator: Accelerator, folder: Path, step: int) -> Trackers:
    """The trackers that the settings name; none on every process but the main one.

    Raises:
        SettingsError: one cannot start.
    """
    return start_trackers(
        settings.train.tracker_names if accelerator.is_main_process else (),
        folder,
        flatten(as_saved(settings)),
        step=step,
        warn=say,
    )
