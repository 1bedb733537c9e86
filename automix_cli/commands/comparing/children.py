"""One training of a comparison, in a process of its own: start it, watch it, stop it.

A process of its own, because peak memory is counted by process, a crash loses one run only, and a
launcher can start several processes for it.

Why signals are passed on: the child is in a process group of its own, so that Ctrl-C reaches it
once, through us; `train` takes a second Ctrl-C for impatience and saves nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from automix_cli.commands.child_environment import environment_of_child
from automix_cli.commands.comparing.cells import Cell
from automix_cli.errors import SettingsError
from automix_cli.reporting import records
from automix_cli.settings.toml import dump_toml

LOCK = ".compare.lock"
SECONDS_BETWEEN_LOOKS = 0.5
LINES_OF_AN_ERROR = 5
STOPPING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def sole_owner(folder: Path) -> Iterator[int]:
    """Keep other comparisons out of a folder.

    Yields:
        The open lock. A child that inherits it keeps the folder locked for as long as it lives,
        even when we are killed: no second training can then write to its run folder.

    Raises:
        SettingsError: another comparison, or a training it left behind, works there; or the
            folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as problem:
        raise SettingsError(f"cannot use the folder `{folder}`: {problem}") from problem
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as problem:
        raise SettingsError(
            f"another `automix compare`, or a training it started, works in `{folder}`",
            hint="wait for it or end it; or compare in another folder: `--output-dir`",
        ) from problem
    else:
        yield lock
    finally:
        os.close(lock)


class Children:
    """Runs trainings one after the other, and hands them the signals that we get.

    Args:
        lock: The folder's open lock, which the children inherit.
        launcher: Command to start a training with, or None for this Python.
    """

    def __init__(self, lock: int, launcher: str | None) -> None:
        self._lock = lock
        self._launcher = [sys.executable] if launcher is None else shlex.split(launcher)
        self._process: subprocess.Popen[bytes] | None = None
        self._previous: dict[int, Any] = {}
        self.received = 0
        """The last signal that asked us to stop, or 0."""

    def __enter__(self) -> Children:
        """Listen from here on."""
        for number in STOPPING:
            self._previous[number] = signal.signal(number, self._pass_on)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back to whoever had them."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        if self._process is not None:
            self._process.send_signal(number)

    def train(self, cell: Cell, *, is_resumed: bool, watch: Callable[[], None]) -> int:
        """Train one cell to its end.

        Args:
            cell: What to train; its folder is new or empty, or holds the run to go on with.
            is_resumed: Whether to go on with the run in its folder.
            watch: Called again and again while it trains.

        Returns:
            The exit code, negative after death by a signal.

        Raises:
            SettingsError: the launcher cannot be started.
        """
        settings = cell.beside(".toml")
        settings.write_text(dump_toml(cell.settings), encoding="utf-8")
        if is_resumed:
            what = ["--resume", str(cell.folder)]
        else:
            what = ["--config", str(settings), "--output-dir", str(cell.folder)]
        kind = "detect" if cell.settings.data.name == "coco" else "train"
        command = [*self._launcher, "-m", "automix_cli", kind, *what]
        with cell.beside(".log").open("ab") as log:
            log.write(f"$ {shlex.join(command)}\n".encode())
            log.flush()
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment_of_child(),
                    pass_fds=(self._lock,),
                    process_group=0,
                )
            except OSError as problem:
                raise SettingsError(
                    f"cannot start `{command[0]}`: {problem.strerror}",
                    hint="`--launcher` takes a command such as `torchrun --nproc_per_node 2`",
                ) from problem
            if self.received:  # between the last look and the start
                self._process.send_signal(self.received)
            return self._waited(self._process, watch)

    def _waited(self, process: subprocess.Popen[bytes], watch: Callable[[], None]) -> int:
        while True:
            try:
                return process.wait(timeout=SECONDS_BETWEEN_LOOKS)
            except subprocess.TimeoutExpired:
                watch()


def last_words(cell: Cell) -> str:
    """What the newest session in the cell's log says went wrong, in a few lines."""
    text = cell.beside(".log").read_text(encoding="utf-8", errors="replace")
    session = text.rpartition("\n$ ")[2] if "\n$ " in text else text
    lines = [line.rstrip() for line in session.splitlines()[1:] if line.strip()]
    starts = [number for number, line in enumerate(lines) if line.startswith("error: ")]
    if starts:
        return "\n".join(lines[starts[-1] :][:LINES_OF_AN_ERROR])
    return "\n".join(lines[-LINES_OF_AN_ERROR:]) or "it said nothing"


def epochs_done(folder: Path) -> float:
    """How many epochs the run in a folder has come to, by its records; 0 without any."""
    try:
        with (folder / records.METRICS).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return 0.0
    for line in reversed(lines):
        try:
            return float(json.loads(line)["epoch"])
        except ValueError:  # being written, or cut by where we began to read
            continue
    return 0.0
