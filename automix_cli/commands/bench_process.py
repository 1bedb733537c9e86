"""A configuration of `automix bench` in a process of its own.

Two things belong to a whole process: the peak of its memory, which it never gives back, and how the
C library manages its memory (`run.keep_freed_memory`). A process of its own answers one question a
line: `seconds TURN`, or `peak STEPS` for the bytes after so many steps.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO

from automix_cli.commands.bench_setups import Setup, set_up
from automix_cli.commands.child_environment import environment_of_child
from automix_cli.commands.comparing.arms import Arm
from automix_cli.engine.runtime import peak_memory_bytes
from automix_cli.errors import AutoMixError
from automix_cli.reporting import records
from automix_cli.settings import Settings
from automix_cli.settings.layering import Overrides
from automix_cli.settings.toml import dump_toml

SECONDS, PEAK = "seconds", "peak"


class BenchProcess:
    """The other process, until it is closed.

    Args:
        name: What the tables call the configuration.
        settings: Its settings.
        num_classes: Of the images that are made up.
    """

    def __init__(self, name: str, settings: Settings, num_classes: int) -> None:
        self._name = name
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / records.SETTINGS
        path.write_text(dump_toml(settings), encoding="utf-8")
        command = [sys.executable, "-m", "automix_cli", "bench", "--answer-questions"]
        command += ["--config", str(path), "--classes", str(num_classes)]
        self._complaints = (path.parent / "stderr").open("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            env=environment_of_child(),
        )

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()
        self._complaints.close()
        self._folder.cleanup()

    def seconds_of(self, turn: int) -> float:
        """What `Setup.seconds_of` gives there."""
        return self._ask(SECONDS, turn)

    def peak_after(self, num_steps: int) -> int:
        """Most bytes it held, after so many steps."""
        return int(self._ask(PEAK, num_steps))

    def _ask(self, question: str, number: int) -> float:
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("both are pipes")
        try:
            self._process.stdin.write(f"{question} {number}\n")
            self._process.stdin.flush()
            return float(json.loads(self._process.stdout.readline()))
        except (OSError, ValueError) as problem:  # it has ended, and its pipes with it
            self._process.wait()
            self._complaints.seek(0)
            said = self._complaints.read()[-500:]
            raise AutoMixError(f"measuring `{self._name}` failed: {said}") from problem


def answer_questions(
    overrides: Overrides, num_classes: int, questions: Iterable[str], answers: TextIO
) -> None:
    """Be such a process, for as long as there are questions."""
    setup = set_up(Arm("as asked", "--vs", None), overrides, num_classes)
    known: dict[str, Callable[[int], float]] = {
        SECONDS: setup.seconds_of,
        PEAK: lambda num_steps: peak_after(setup, num_steps),
    }
    for line in questions:
        question, number = line.split()
        answers.write(f"{json.dumps(known[question](int(number)))}\n")
        answers.flush()


def peak_after(setup: Setup, num_steps: int) -> int:
    """Take steps, and nothing else, and say the most bytes that this process ever held."""
    for step in range(num_steps):
        setup.take_step(step)
    return peak_memory_bytes(setup.prepared.training.accelerator.device)
