"""A detector's run that is killed or shared out ends as one that never was."""

import json
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.commands.conftest import Automix, finish, records_of, start, wait_for, without_times
from tests.commands.test_detect import SMALL
from tests.commands.test_resume import has_reached
from tests.data.boxed import write_boxed

LONGER = (
    *(each for each in SMALL if "max_steps" not in each),
    *("--set=train.max_steps=30", "--set=train.save_every=3", "--set=train.evaluate_every=5"),
)
EVERYTHING = (
    *(each for each in SMALL if not any(name in each for name in ("side", "regions", "freeze"))),
    # so few anchors and regions that all of them are looked at: nothing is left to chance
    *("--set=detection.short_side=24", "--set=detection.long_side=32"),
    *("--set=detection.regions=512", "--set=model.freeze_batch_norm=statistics"),
)


@pytest.mark.slow
def test_a_detector_killed_and_resumed_is_as_if_never_killed(
    automix: Automix, tmp_path: Path
) -> None:
    """The same detector and predictions to the byte, the same lines, and the same summary."""
    write_boxed(tmp_path / "boxes")
    assert automix("detect", *LONGER, "-o", "whole").exit_code == 0
    run, whole = tmp_path / "run", tmp_path / "whole"
    process = start(["detect", *LONGER, "-o", "run"], folder=tmp_path)
    wait_for(lambda: has_reached(run, 8), process)
    process.kill()
    finish(process, code=-signal.SIGKILL)
    assert not (run / "summary.json").exists()
    result = automix("detect", "--resume", "run")
    assert result.exit_code == 0, result.output
    for name in ("detector.safetensors", "predictions.json"):
        assert (run / name).read_bytes() == (whole / name).read_bytes()
    assert records_of(run) == records_of(whole)
    first, second = (json.loads((each / "summary.json").read_text()) for each in (run, whole))
    assert without_times(first) == without_times(second)


def apart(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> float:
    """Distance of two networks' weights."""
    return sum(float((left[name] - right[name]).square().sum()) for name in left) ** 0.5


@pytest.mark.slow
def test_two_processes_train_and_judge_a_detector_as_one_does(
    automix: Automix, tmp_path: Path
) -> None:
    """Losses are means over regions, of which the halves of a step have not quite equally many.

    Not to mirror images moves the weights five times as far at least.
    """
    write_boxed(tmp_path / "boxes", num_test=5)  # an odd number
    finish(start(["detect", *EVERYTHING, "-o", "two"], folder=tmp_path, processes=2))
    assert automix("detect", *EVERYTHING, "-o", "one").exit_code == 0
    assert automix("detect", *EVERYTHING, "--set=data.flip=false", "-o", "other").exit_code == 0
    one, two, other = (
        load_file(tmp_path / name / "detector.safetensors") for name in ("one", "two", "other")
    )
    assert 0 < apart(one, two) < 0.2 * apart(one, other)

    assert json.loads((tmp_path / "two" / "summary.json").read_text())["num_processes"] == 2
    result = automix("eval", "two", "-o", "again")
    assert result.exit_code == 0, result.output
    found, again = (
        json.loads((tmp_path / name / "predictions.json").read_text()) for name in ("two", "again")
    )
    assert [each["image_id"] for each in found] == [each["image_id"] for each in again]
    assert {each["image_id"] for each in found} == {7 * number for number in range(8, 13)}
    for ours, theirs in zip(found, again, strict=True):
        assert ours["bbox"] == pytest.approx(theirs["bbox"], abs=0.01)
        assert ours["score"] == pytest.approx(theirs["score"], abs=1e-4)
