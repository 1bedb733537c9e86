"""What a person sees while a run goes on: a live bar in a terminal, plain lines in a log file.

All of it goes to stderr; stdout belongs to data. Only the main process speaks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from automix_cli.reporting.terminal import Terminal


def say(text: str) -> None:
    """Tell a person something, on stderr, from the first process only."""
    if os.environ.get("RANK", "0") == "0":
        Terminal(stderr=True).print(text, soft_wrap=True)


def duration(seconds: float) -> str:
    """Write a duration as people read it: `4.2s`, `12:31`, `3:05:10`, `2d 03:05`."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d {hour:02d}:{minute:02d}"
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


class LiveBar:
    """A bar that is shown while a `with` block runs, where there is one."""

    _bar: Progress | None = None

    def __enter__(self) -> Self:
        """Show the bar."""
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()


PRECISIONS = {
    "ap": "AP",
    "ap50": "AP50",
    "ap75": "AP75",
    "ap_small": "APs",
    "ap_medium": "APm",
    "ap_large": "APl",
}
"""By name in the files, what papers call it."""


def precision_line(measured: Mapping[str, float | None]) -> str:
    """Average precision by COCO's protocol, in percent."""
    return "  ".join(f"{word} {in_percent(measured[name])}" for name, word in PRECISIONS.items())


def in_percent(share: float | None) -> str:
    """A share as papers print it; `-` where there is nothing to measure it on."""
    return "-" if share is None else f"{100 * share:.2f}"


def losses_line(values: Mapping[str, float]) -> str:
    """Every loss by name, and of AutoMix the mask area measured over the area wanted."""
    named = [
        f"{name.removeprefix('loss/')} {each:.4f}"
        for name, each in values.items()
        if name.startswith("loss/")
    ]
    if "area_ratio" in values:
        named.append(f"area/lam {values['area_ratio']:.3f}")
    return "  ".join(named)


class TrainProgress(LiveBar):
    """Shows steps, speed, remaining time, losses and accuracies of one run.

    Args:
        total_steps: Steps of the whole run.
        first_step: Steps already done when the run is resumed.
        steps_per_epoch: To show the epoch.
        is_silent: True on every process but the main one.
    """

    def __init__(
        self, total_steps: int, first_step: int, steps_per_epoch: int, *, is_silent: bool
    ) -> None:
        self._console = Terminal(stderr=True, quiet=is_silent)
        self._total_steps = total_steps
        self._steps_per_epoch = steps_per_epoch
        self._first_step = first_step
        self._task = TaskID(0)
        if self._console.is_terminal and not is_silent:
            self._bar = self._make_bar()

    def _make_bar(self) -> Progress:
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeElapsedColumn(),
            TextColumn("eta"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task = bar.add_task(
            self._epoch(self._first_step),
            total=self._total_steps,
            completed=self._first_step,
            speed="",
        )
        return bar

    def _epoch(self, step: int) -> str:
        epochs = -(-self._total_steps // self._steps_per_epoch)
        current = min(step // self._steps_per_epoch + 1, epochs)
        return f"epoch {current}/{epochs}"

    def advance(self, step: int) -> None:
        """A step is done; costs no host synchronisation."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step, description=self._epoch(step))

    def losses(self, step: int, values: Mapping[str, float]) -> None:
        """Show the mean losses since the last time."""
        speed = values["images_per_second"]
        line = losses_line(values)
        if self._bar is not None:
            self._bar.update(self._task, speed=f"{speed:,.0f} images/s")
            self._console.print(f"  step {step}  {line}", style="dim")
            return
        remaining = duration(values["seconds_per_step"] * (self._total_steps - step))
        self._console.print(
            f"{self._epoch(step - 1)}  step {step}/{self._total_steps}  {line}  "
            f"{speed:,.0f} images/s  eta {remaining}",
            soft_wrap=True,
        )

    def scores(
        self, step: int, split: str, measured: Mapping[str, float | None], *, is_best: bool
    ) -> None:
        """Show the average precision of a detector."""
        mark = "  (best so far)" if is_best else ""
        self._console.print(
            f"{self._epoch(step - 1)}  step {step}  {split}  {precision_line(measured)}{mark}",
            soft_wrap=True,
        )

    def accuracies(
        self, step: int, split: str, top1: Mapping[str, float], *, is_best: bool
    ) -> None:
        """Show the top-1 accuracy of every head of both networks."""
        heads = "  ".join(f"{name} {100 * share:.2f} %" for name, share in top1.items())
        mark = "  (best so far)" if is_best else ""
        self._console.print(
            f"{self._epoch(step - 1)}  step {step}  {split} top-1  {heads}{mark}", soft_wrap=True
        )
