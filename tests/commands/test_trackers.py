"""Experiment trackers beside a training: what they show is what the run wrote down."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accelerate.tracking import GeneralTracker
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from automix_cli.engine import trackers
from automix_cli.settings import training
from tests.commands.conftest import QUICK, Automix, records_of

TRAIN = ("train", "--preset", "digits-tiny", *QUICK)
Scalars = dict[str, list[tuple[int, float]]]


def scalars_of(folder: Path) -> Scalars:
    """What TensorBoard shows of a folder: steps and values by name."""
    accumulator = EventAccumulator(str(folder / "tensorboard"))
    accumulator.Reload()
    return {
        name: [(each.step, each.value) for each in accumulator.Scalars(name)]
        for name in accumulator.Tags()["scalars"]
    }


def expected_of(folder: Path) -> Scalars:
    """The same from `metrics.jsonl`, by a reading of its own; TensorBoard keeps float32."""
    found: Scalars = {}
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        split, step = record.pop("split"), record.pop("step")
        for name, value in record.items():
            ends = {"/low": value[0], "/high": value[1]} if isinstance(value, list) else {"": value}
            for end, number in ends.items():
                shown = (step, float(np.float32(number)))
                found.setdefault(f"{split}/{name}{end}", []).append(shown)
    return found


def test_tensorboard_has_every_number_of_the_metrics_at_its_step(
    automix: Automix, tmp_path: Path
) -> None:
    assert automix(*TRAIN, "--tracker", "tensorboard", "-o", "run").exit_code == 0
    folder = tmp_path / "run"
    assert scalars_of(folder) == expected_of(folder)
    assert {"train/loss/total", "test/momentum_one_hot/top1"} <= scalars_of(folder).keys()
    (written,) = (folder / "tensorboard").glob("*/hparams.yml")
    assert "mix.method: automix" in written.read_text().splitlines()


def test_a_resumed_run_goes_on_in_the_same_log_without_the_steps_taken_twice(
    automix: Automix, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    start = (*TRAIN, "--tracker", "tensorboard", "-o", "run", "--set=train.save_every=3")
    automix(*start)
    kept = folder / "ckpt.pt"
    at_four = kept.read_bytes()
    automix("train", "--resume", "run", "--set=train.max_steps=8")
    kept.write_bytes(at_four)  # as if it had been killed between two checkpoints
    automix("train", "--resume", "run", "--set=train.max_steps=6")
    assert scalars_of(folder) == expected_of(folder)
    assert len(list((folder / "tensorboard").glob("*/hparams.yml"))) == 1


class Failing(GeneralTracker):
    """A tracker that works once."""

    name = "tensorboard"
    requires_logging_directory = False

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    @property
    def tracker(self) -> None:
        return None

    def log(self, values: dict[str, Any], step: int | None = None, **_: Any) -> None:
        self.calls += 1
        if self.calls > 1:
            raise OSError("no space left on device")


def test_a_tracker_that_fails_is_left_out_and_the_run_is_as_without_it(
    automix: Automix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = Failing()
    monkeypatch.setitem(trackers.MAKERS, "tensorboard", lambda *_: failing)  # pyright: ignore
    result = automix(*TRAIN, "--tracker", "tensorboard", "-o", "tracked")
    automix(*TRAIN, "-o", "plain")
    assert result.exit_code == 0
    assert failing.calls == 2
    assert "the tracker tensorboard failed after step 4" in " ".join(result.stderr.split())
    assert records_of(tmp_path / "tracked") == records_of(tmp_path / "plain")
    assert (tmp_path / "tracked" / "summary.json").is_file()


def test_a_tracker_that_cannot_start_ends_the_program_before_the_first_step(
    automix: Automix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> GeneralTracker:
        raise PermissionError("not logged in")

    monkeypatch.setitem(trackers.MAKERS, "tensorboard", refuse)  # pyright: ignore
    result = automix(*TRAIN, "--tracker", "tensorboard", "-o", "run")
    assert result.exit_code == 2
    assert "the tracker `tensorboard` cannot start: PermissionError: not logged in" in result.stderr
    assert not (tmp_path / "run" / "ckpt.pt").exists()


@pytest.mark.parametrize("name", training.TRACKERS)
def test_a_missing_package_is_named_before_anything_is_written(
    name: str, automix: Automix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackers, "get_available_trackers", list)
    result = automix(*TRAIN, "--tracker", name, "-o", "run")
    assert result.exit_code == 2
    assert f"the tracker `{name}` is not installed" in result.stderr
    assert "pip install" in result.stderr
    assert not (tmp_path / "run").exists()


def test_an_unknown_tracker_is_refused_with_those_that_there_are(
    automix: Automix, tmp_path: Path
) -> None:
    result = automix(*TRAIN, "--tracker", "tensorbord", "-o", "run")
    assert result.exit_code == 2
    assert "must be of tensorboard, wandb, mlflow" in " ".join(result.stderr.split())


def test_every_tracker_of_the_settings_can_be_made() -> None:
    makers: dict[str, Callable[..., GeneralTracker]] = dict(trackers.MAKERS)
    assert set(training.TRACKERS) == set(makers) == set(trackers.INSTALLED_BY)
