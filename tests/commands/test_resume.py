"""A run that is killed, stopped or moved ends with the bytes of one that never was."""

import json
import random
import shutil
import signal
from pathlib import Path

import pytest

from tests.commands.conftest import (
    QUICK,
    Automix,
    finish,
    records_of,
    start,
    wait_for,
    without_times,
)

LONGER = (
    "--set=train.epochs=3",
    "--set=train.batch_size=96",  # 15 steps an epoch, the last one of 93 images
    "--set=train.save_every=4",
    "--set=train.log_every=3",
    "--set=train.masks_pairs=1",
    "--device=cpu",
)


def assert_same_run(one: Path, other: Path) -> None:
    """The same classifier and masks to the byte, the same lines, the same summary but for times."""
    names = ["classifier.safetensors", *(f"masks/{each.name}" for each in other.glob("masks/*"))]
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert records_of(one) == records_of(other)
    first, second = (json.loads((each / "summary.json").read_text()) for each in (one, other))
    assert without_times(first) == without_times(second)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    finish(start(["train", *LONGER, "-o", "run"], folder=folder))
    return folder / "run"


def test_killed_at_a_random_step_and_resumed_is_as_if_never_killed(
    uninterrupted: Path, tmp_path: Path
) -> None:
    """At many moments, and with two processes: see `test_mishaps`."""
    killed_at = random.Random("kill").randrange(4, 25)  # of 45
    run = tmp_path / "run"
    process = start(["train", *LONGER, "-o", "run"], folder=tmp_path)
    wait_for(lambda: has_reached(run, killed_at), process)
    process.kill()
    process.communicate()
    assert not (run / "summary.json").exists()
    finish(start(["train", "--resume", "run"], folder=tmp_path))
    assert_same_run(uninterrupted, run)


def has_reached(run: Path, step: int) -> bool:
    """Whether a checkpoint is there and the metrics have come to a step."""
    path = run / "metrics.jsonl"
    if not (run / "ckpt.pt").exists() or not path.exists():
        return False
    lines = [line for line in path.read_text().splitlines() if line.endswith("}")]
    return any(json.loads(line)["step"] >= step - 3 for line in lines)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGTERM, 143, id="SIGTERM"),
        pytest.param(signal.SIGINT, 130, id="Ctrl-C", marks=pytest.mark.slow),
    ],
)
def test_a_signal_saves_and_exits_with_its_code_and_resuming_is_exact(
    uninterrupted: Path, tmp_path: Path, number: int, code: int
) -> None:
    run = tmp_path / "run"
    process = start(["train", *LONGER, "-o", "run"], folder=tmp_path)
    wait_for(lambda: has_reached(run, 5), process)
    process.send_signal(number)
    _, errors = finish(process, code=code)
    assert "the checkpoint is saved" in errors
    assert "hint: `automix train --resume`" in errors
    finish(start(["train", "--resume", "run"], folder=tmp_path))
    assert_same_run(uninterrupted, run)


def test_resuming_without_a_name_takes_the_newest_run(automix: Automix) -> None:
    assert automix("train", *QUICK).exit_code == 0
    result = automix("train", "--resume", "--set", "train.max_steps=6")
    assert result.exit_code == 0, result.output
    assert "resuming after step 4 of 6" in result.stderr


def test_stopping_by_max_steps_and_going_on_is_exact(automix: Automix, tmp_path: Path) -> None:
    assert automix("train", *QUICK, "-o", "whole").exit_code == 0
    assert automix("train", *QUICK, "--set", "train.max_steps=2", "-o", "half").exit_code == 0
    assert automix("train", "--resume", "half", "--set", "train.max_steps=4").exit_code == 0
    whole, half = (tmp_path / name / "classifier.safetensors" for name in ("whole", "half"))
    assert whole.read_bytes() == half.read_bytes()


def test_auto_starts_when_there_is_nothing_to_resume_and_resumes_when_there_is(
    automix: Automix, tmp_path: Path
) -> None:
    first = automix("train", *QUICK, "-o", "run", "--resume", "auto")
    assert first.exit_code == 0, first.output
    second = automix("train", *QUICK, "-o", "run", "--resume", "auto")
    assert second.exit_code == 0, second.output
    assert "resuming after step 4 of 4" in second.stderr


def unborn(run: Path) -> None:
    """Leave of a finished run what one leaves that is killed just before its first checkpoint."""
    for each in ("ckpt.pt", "best.pt", "classifier.safetensors", "summary.json"):
        (run / each).unlink()
    masks = run / "masks" / "progress.safetensors"
    masks.rename(masks.with_name(".progress.safetensors.0999999999.partial"))


def test_a_run_killed_before_its_first_checkpoint_begins_again_and_ends_the_same(
    automix: Automix, tmp_path: Path
) -> None:
    automix("train", *QUICK, "--set=train.masks_pairs=1", "-o", "runs/run")
    run = tmp_path / "runs" / "run"
    whole = shutil.copytree(run, tmp_path / "whole")
    unborn(run)
    shutil.copytree(run, tmp_path / "changed")
    result = automix("train", "--resume")
    assert result.exit_code == 0, result.output
    assert "`runs/run` has no checkpoint yet: it begins again" in result.stderr
    assert_same_run(whole, run)
    assert not list(run.rglob(".*"))
    result = automix("train", "--resume", "changed", "--seed", "3")
    assert result.exit_code == 4
    assert "`run.seed` was `0`, is now `3`" in result.stderr


def test_auto_begins_where_a_run_was_killed_while_it_made_its_folder(
    automix: Automix, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "origins.json").write_text("{}")
    result = automix("train", *QUICK[1:], "--set=train.max_steps=1", "-o", "run", "--resume=auto")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "run" / "origins.json").read_text())["train.max_steps"]


def test_a_run_that_has_its_first_best_checkpoint_only_goes_on_from_it(
    automix: Automix, tmp_path: Path
) -> None:
    automix("train", *QUICK, "-o", "run")
    whole = shutil.copytree(tmp_path / "run", tmp_path / "whole")
    for each in ("ckpt.pt", "summary.json"):
        (tmp_path / "run" / each).unlink()
    result = automix("train", *QUICK, "-o", "run", "--resume", "auto")
    assert result.exit_code == 0, result.output
    assert "going on from `run/best.pt`" in result.stderr
    assert_same_run(whole, tmp_path / "run")


def test_resuming_with_other_settings_lists_what_differs(automix: Automix) -> None:
    automix("train", *QUICK, "-o", "run")
    result = automix("train", "--resume", "run", "--set", "mix.alpha=1.0", "--seed", "7")
    assert result.exit_code == 4
    assert "`mix.alpha` was `2.0`, is now `1.0`" in result.stderr
    assert "`run.seed` was `0`, is now `7`" in result.stderr


def test_resuming_with_a_preset_is_a_usage_error(automix: Automix) -> None:
    automix("train", *QUICK, "-o", "run")
    result = automix("train", "--resume", "run", "--preset", "digits-tiny")
    assert result.exit_code == 2
    assert "leave out `--preset`" in result.stderr


@pytest.mark.parametrize("resume", ["nowhere", "newest"])
def test_resuming_what_is_not_there_is_a_checkpoint_error(automix: Automix, resume: str) -> None:
    result = automix("train", "--resume", resume)
    assert result.exit_code == 4
    assert "found no" in result.stderr


def test_a_run_whose_newest_checkpoint_is_damaged_goes_on_from_the_best_and_ends_the_same(
    automix: Automix, tmp_path: Path
) -> None:
    automix("train", *QUICK, "-o", "run")
    whole = shutil.copytree(tmp_path / "run", tmp_path / "whole")
    path = tmp_path / "run" / "ckpt.pt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    result = automix("train", "--resume", "run")
    assert result.exit_code == 0
    assert "its content is not what its SHA-256 says" in result.stderr
    assert "going on from `run/best.pt`, written after step" in result.stderr
    assert_same_run(tmp_path / "run", whole)


def test_resuming_truncated_checkpoints_changes_nothing(automix: Automix, tmp_path: Path) -> None:
    automix("train", *QUICK, "-o", "run")
    path = tmp_path / "run" / "ckpt.pt"
    (tmp_path / "run" / "best.pt").write_bytes(path.read_bytes()[:4000])
    path.write_bytes(path.read_bytes()[:5000])
    before = shutil.copytree(tmp_path / "run", tmp_path / "before")
    result = automix("train", "--resume", "run", "--set", "train.max_steps=6")
    assert result.exit_code == 4
    assert "truncated or damaged" in result.stderr
    for each in (path for path in before.iterdir() if path.is_file()):
        assert (tmp_path / "run" / each.name).read_bytes() == each.read_bytes()
