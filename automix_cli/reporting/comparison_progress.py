"""What a person sees while a comparison goes on: runs done, the one in work, and the time left.

All of it goes to stderr; what the trainings say goes to their logs.
"""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from automix_cli.reporting.progress import LiveBar

SECONDS_OF_SPEED = 3600.0
"""How far back the estimate of the time left looks: methods differ in cost."""


class ComparisonProgress(LiveBar):
    """Shows how far a comparison has come: a bar in a terminal, plain lines in a log file.

    Args:
        num_runs: All runs of the comparison.
        num_finished: Of these, finished before.
    """

    def __init__(self, num_runs: int, num_finished: int) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._num_runs = num_runs
        self._done = float(num_finished)
        self._task = TaskID(0)
        if self._console.is_terminal and num_finished < num_runs:
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=None),
                TextColumn(f"{{task.completed:.1f}}/{num_runs} runs"),
                TimeElapsedColumn(),
                TextColumn("eta"),
                TimeRemainingColumn(),
                console=self._console,
                speed_estimate_period=SECONDS_OF_SPEED,
            )
            self._task = self._bar.add_task("", total=num_runs, completed=num_finished)

    def say(self, text: str) -> None:
        """Write a line above the bar."""
        self._console.print(escape(text), soft_wrap=True)

    def working_on(self, name: str, share: float) -> None:
        """Show how much of a run is done, from 0 to 1."""
        if self._bar is not None:
            self._bar.update(self._task, description=name, completed=self._done + min(share, 1.0))

    def finished(self) -> None:
        """A run is over, well or not."""
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done)
