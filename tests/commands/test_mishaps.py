"""A process that is lost ends the others soon and readably; images that do not divide are shared.

`tests.mishaps` and `tests.kill_storm` bring it about, in processes that are forked from one, so
that each of many starts costs no imports.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests.commands.conftest import records_of
from tests.commands.test_processes import assert_close
from tests.commands.test_resume import assert_same_run

SOON = 30.0
"""Seconds; a fraction of one on a quiet machine, and what is promised is a minute."""


def run_module(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-m", name, *map(str, arguments)],
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=1200,
    )


@pytest.fixture(scope="module")
def mishaps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mishaps")
    done = run_module("tests.mishaps", folder)
    assert done.returncode == 0, done.stderr
    return folder


def ended(folder: Path, name: str) -> tuple[dict[str, Any], list[str]]:
    """How the processes of a mishap ended, and what each said."""
    how = json.loads((folder / "mishaps.json").read_text())[name]
    return how, [path.read_text() for path in sorted((folder / name).rglob("log*.txt"))]


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_other_one_soon_with_an_error(mishaps: Path) -> None:
    how, said = ended(mishaps, "one_killed")
    assert how["codes"] == [1, -9]
    assert how["seconds"] < SOON
    assert "error: process 0 of 2 waits for another one in vain: Connection" in said[0]
    assert "hint: the process that ended first says why" in said[0]
    assert "Traceback" not in said[0]


@pytest.mark.slow
def test_a_process_that_hangs_is_waited_for_as_long_as_the_setting_says(mishaps: Path) -> None:
    how, said = ended(mishaps, "one_hanging")
    assert how["codes"] == [-9, 1]
    assert how["seconds"] < SOON
    assert "error: process 1 of 2 waits for another one in vain" in said[1]
    assert "Traceback" not in said[1]


@pytest.mark.slow
def test_an_error_of_one_process_is_told_and_ends_the_other_one_too(mishaps: Path) -> None:
    how, said = ended(mishaps, "one_with_broken_data")
    assert sorted(how["codes"]) == [1, 3]
    assert how["seconds"] < SOON
    reader = how["codes"].index(3)
    assert "error: wanted an image in `images/train/a/3.jpg`" in said[reader]
    assert "waits for another one in vain" in said[1 - reader]


@pytest.mark.slow
def test_processes_that_see_different_checkpoints_do_not_train_together(mishaps: Path) -> None:
    how, said = ended(mishaps, "other_checkpoints")
    assert how["codes"] == [4, 4]
    assert "process 0 after step 2, process 1 after step 0" in said[-1]


@pytest.mark.slow
def test_torchrun_restarts_a_run_whose_processes_are_killed_and_it_ends_as_if_never(
    mishaps: Path,
) -> None:
    how, said = ended(mishaps, "restarted")
    assert how["codes"] == [0]
    assert said[0].count("resuming after step") == 2
    assert_same_run(mishaps / "never_killed" / "run", mishaps / "restarted" / "run")


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
def test_several_processes_train_and_evaluate_on_every_image_once(
    mishaps: Path, processes: int
) -> None:
    """Of steps with 8, 8 and 1 image, and 2 test images: some processes have none.

    With fixed batch-norm statistics and nothing drawn by process, only rounding differs.
    """
    alone, shared = (mishaps / f"shared_by_{each}" / "run" for each in (1, processes))
    assert ended(mishaps, f"shared_by_{processes}")[0]["codes"] == [0] * processes
    assert_close(records_of(alone), records_of(shared))
    tests = [each for each in records_of(shared) if each["split"] == "test"]
    assert {each["momentum_one_hot/num_images"] for each in tests} == {2}
    first, second = (load_file(each / "classifier.safetensors") for each in (alone, shared))
    for name, weights in first.items():
        assert weights.allclose(second[name], rtol=1e-4, atol=1e-6), name


def storms(*arguments: str) -> list[dict[str, Any]]:
    done = run_module("tests.kill_storm", *arguments)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_loses_nothing() -> None:
    for storm in storms("--kills", "5", "--processes", "1", "2"):
        assert storm["lost"] == []
        assert sum(storm["counts"].values()) == 5


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_program_that_is_killed_twenty_times_loses_nothing(processes: str) -> None:
    (storm,) = storms("--kills", "20", "--processes", processes, "--fresh")
    assert storm["lost"] == []
    assert storm["counts"].keys() >= {"start-up", "steps", "evaluation", "checkpoint"}
