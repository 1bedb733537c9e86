"""Memory, open files and threads do not grow while a run goes on: `tests/memory.py` watches one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.memory import MEBIBYTE, Sample, growth

MOST_ONCE = 32.0
"""Mebibytes that an allocator may take for good, however long it goes on."""


def measured(*arguments: str) -> dict[str, dict[str, float]]:
    """What grew in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.memory", *arguments],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_no_growth(found: dict[str, float], *, most_per_thousand: float) -> None:
    assert found["mebibytes_per_thousand"] < most_per_thousand, found
    assert found["more_mebibytes"] < MOST_ONCE, found
    assert found["more_files"] <= 0, found
    assert found["more_threads"] <= 0, found


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="only Linux tells a process what it has"
)


@needs_proc
@pytest.mark.slow
def test_200_steps_with_20_evaluations_and_checkpoints_grow_by_nothing() -> None:
    found = measured("--epochs=20", "--evaluations=15", "--drawings=0")
    assert_no_growth(found["steps"], most_per_thousand=20)  # 20 KiB a step
    assert_no_growth(found["evaluations"], most_per_thousand=100)


@needs_proc
@pytest.mark.slow
def test_2000_steps_and_200_evaluations_grow_by_nothing() -> None:
    found = measured("--epochs=200", "--evaluations=200", "--drawings=100")
    assert_no_growth(found["steps"], most_per_thousand=4)  # 4 KiB a step
    assert_no_growth(found["evaluations"], most_per_thousand=4)
    assert_no_growth(found["drawings"], most_per_thousand=20)  # a figure has 600 KiB


def samples(number: int, leak: int) -> list[Sample]:
    """Of a process that takes `leak` bytes a step for good, and 10 MiB once, at the half.

    Every seventh sample is taken while a checkpoint is written.
    """
    return [
        Sample(
            800 * MEBIBYTE + leak * step + 10 * MEBIBYTE * (step > number // 2 or step % 7 == 0),
            7 + (step % 7 == 0),
            4,
        )
        for step in range(number)
    ]


@pytest.mark.parametrize("leak", [0, 4096, 2**20])
def test_a_leak_is_told_from_what_is_taken_once(leak: int) -> None:
    found = growth(samples(300, leak))
    assert found.mebibytes_per_thousand == pytest.approx(1000 * leak / MEBIBYTE, rel=0.01)
    assert found.more_mebibytes >= 10
    assert (found.more_files, found.more_threads) == (0, 0)


def test_what_is_taken_bit_by_bit_and_given_back_at_once_is_no_leak() -> None:
    """A mebibyte more every 20 steps, and back after eight of them."""
    sawtooth = [Sample(step // 20 % 8 * MEBIBYTE, 7, 4) for step in range(300)]
    assert growth(sawtooth).mebibytes_per_thousand < 10  # 50 where only neighbours are compared


def test_a_file_that_stays_open_is_counted() -> None:
    opened = [each._replace(files=7 + step // 100) for step, each in enumerate(samples(300, 0))]
    assert growth(opened).more_files == 1
