"""Whatever a reader is given, it reads it or refuses it with the error that it documents."""

import contextlib
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import Target, altered, attempt, targets

NAMES = (
    *("checkpoint with its hash", "checkpoint without a hash", "checkpoint of a liar, who hashed"),
    *("inspect of a checkpoint", "safetensors", "CIFAR", "CSV", "MATLAB", ".npy", "meta.json"),
    *("image", "settings file", "--set", "environment"),
)


@pytest.fixture(scope="module")
def readers() -> Iterator[dict[str, Target]]:
    with tempfile.TemporaryDirectory() as folder:
        yield {each.name: each for each in targets(Path(folder))}


def test_every_reader_is_tried(readers: dict[str, Target]) -> None:
    assert set(readers) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(chosen=st.integers(0, 2**32), invented=st.binary(max_size=200))
@pytest.mark.filterwarnings("ignore")  # Pillow and numpy warn of what is refused next
def test_altered_and_invented_input_is_read_or_refused_as_documented(
    readers: dict[str, Target], name: str, chosen: int, invented: bytes
) -> None:
    target = readers[name]
    draw = random.Random(chosen)
    for content in (altered(draw.choice(target.seeds), draw), invented):
        with contextlib.suppress(target.documented):
            target.read(content)


@pytest.mark.parametrize("name", NAMES)
def test_unaltered_input_is_read(readers: dict[str, Target], name: str) -> None:
    for content in readers[name].seeds:
        if name not in (".npy", "safetensors"):  # those have seeds that are cut, or not ours
            readers[name].read(content)


@pytest.mark.slow
def test_10000_altered_inputs_end_in_no_other_error(readers: dict[str, Target]) -> None:
    outcomes = Counter[str]()
    for target in readers.values():
        for number in range(10_000 // len(readers) + 1):
            outcome, told = attempt(target, 7, number)
            assert not told
            outcomes[outcome] += 1
    assert outcomes.total() >= 10_000
    assert min(outcomes["read"], outcomes["refused"]) > 500


@pytest.mark.slow
@pytest.mark.parametrize("name", ["CIFAR", "MATLAB", "--set"])
def test_inputs_guided_by_coverage_end_in_no_other_error(name: str) -> None:
    pytest.importorskip("atheris", reason="it has wheels for Linux only, and is no dependency")
    command = [sys.executable, "-m", "tests.fuzz_guided", "--inputs", "20000", "--", name]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 0, done.stderr
    assert "Done 20000 runs" in done.stderr
