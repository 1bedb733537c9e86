"""How far a long count is and when it will be done: a bar in a terminal, else a line now and then.

All of it goes to stderr.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from automix_cli.reporting.progress import duration
from automix_cli.reporting.terminal import Terminal

SECONDS_BETWEEN_LINES = 30.0

Advance = Callable[[str, int], None]
"""Takes the name of the part in work, and how many things were done since the last call."""


@contextmanager
def counted(what: str, total: int, *, is_silent: bool = False) -> Iterator[Advance]:
    """Show how many of `total` things are done.

    Args:
        what: The things, as in `images`.
        total: How many there are.
        is_silent: Show nothing, as on every process but the main one.

    Yields:
        What to call whenever some are done.
    """
    console = Terminal(stderr=True, quiet=is_silent)
    if console.is_terminal and not is_silent:
        with _bar(console) as bar:
            task = bar.add_task("", total=total)

            def advance(name: str, count: int) -> None:
                bar.update(task, advance=count, description=name)

            yield advance
        return
    lines = _Lines(console, what, total)
    yield lines.advance


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("eta"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


class _Lines:
    def __init__(self, console: Console, what: str, total: int) -> None:
        self._console = console
        self._what = what
        self._total = total
        self._done = 0
        self._start = self._last = time.monotonic()

    def advance(self, name: str, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._last < SECONDS_BETWEEN_LINES:
            return
        self._last = now
        remaining = (now - self._start) * (self._total - self._done) / self._done
        self._console.print(
            f"{name}  {self._done:,}/{self._total:,} {self._what}  eta {duration(remaining)}",
            soft_wrap=True,
        )
