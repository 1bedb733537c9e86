"""The masks of the same pairs during a training: kept, drawn, and of no consequence to it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from automix_cli.cli import app
from automix_cli.commands.masks.progress import epochs_due, read_history
from automix_cli.settings import TrainSettings
from tests.commands.conftest import Automix

SHORT = (
    *("--set=train.epochs=2", "--set=data.train_limit=32", "--set=train.batch_size=16"),
    *("--set=evaluation.batch_size=360", "--set=train.masks_pairs=1", "--device=cpu"),
)
"""Two epochs of two steps."""

FILES = {f"progress.{kind}" for kind in ("safetensors", "png", "svg", "gif")}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never stopped, with masks of one pair."""
    folder = tmp_path_factory.mktemp("progress") / "run"
    result = CliRunner().invoke(app, ["train", "-p", "digits-tiny", *SHORT, "-o", str(folder)])
    assert result.exit_code == 0, result.output
    return folder


def contents(run: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in (run / "masks").iterdir()}


def test_a_run_keeps_the_masks_of_its_start_and_of_every_epoch_and_draws_them(run: Path) -> None:
    assert set(contents(run)) == FILES
    history = read_history(run / "masks" / "progress.safetensors")
    assert history.epochs == (0, 1, 2)
    assert history.masks.shape == (3, 1, 32, 32)
    assert abs(history.mask(0, 0).mean() - 0.5) < 0.01  # a mix block begins undecided
    assert (history.masks[0] != history.masks[2]).any()
    with Image.open(run / "masks" / "progress.gif") as animation:
        assert animation.n_frames == 3  # pyright: ignore[reportAttributeAccessIssue]


def test_the_last_mask_is_the_one_that_the_finished_checkpoint_draws(
    automix: Automix, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("automix_cli.commands.masks.pairs.NUM_MEASURED", 2)
    options = ("--pairs=1", "--ratios=0.5", "--json", "--device=cpu")
    drawn = json.loads(automix("visualize-masks", run, *options).stdout)
    areas = [pair["methods"]["automix"][0]["area"] for pair in drawn["pairs"]]
    kept = json.loads(automix("visualize-masks", run, "--progress", "--json").stdout)
    assert kept["epochs"][-1]["areas"] == pytest.approx(areas, abs=1 / 255)
    classes = [pair["first"]["class"] for pair in drawn["pairs"]]
    assert [pair["first"] for pair in kept["pairs"]] == classes


def test_a_run_without_masks_has_the_same_weights_to_the_byte(
    automix: Automix, run: Path, tmp_path: Path
) -> None:
    result = automix("train", "-p", "digits-tiny", *SHORT, "--set=train.masks_pairs=0", "-o", "no")
    assert result.exit_code == 0, result.output
    assert not (tmp_path / "no" / "masks").exists()
    with_masks, without = (
        torch.load(folder / "ckpt.pt", weights_only=True) for folder in (run, tmp_path / "no")
    )
    for name, tensor in with_masks["model"].items():
        assert torch.equal(tensor, without["model"][name]), name
    assert with_masks["state"]["last"] == without["state"]["last"]


def test_a_resumed_run_ends_with_the_same_strip_even_if_a_kill_left_later_masks_behind(
    automix: Automix, run: Path, tmp_path: Path
) -> None:
    half = ("--set=train.max_steps=3", "-o", "half")
    assert automix("train", "-p", "digits-tiny", *SHORT, *half).exit_code == 0
    kept = tmp_path / "half" / "masks" / "progress.safetensors"
    assert read_history(kept).epochs == (0, 1)
    shutil.copy(run / "masks" / "progress.safetensors", kept)  # of epochs that come again
    resumed = automix("train", "--resume", "half", "--set=train.max_steps=4")
    assert resumed.exit_code == 0, resumed.output
    assert contents(tmp_path / "half") == contents(run)


@pytest.mark.slow
def test_a_broken_history_begins_anew_and_says_so(automix: Automix, tmp_path: Path) -> None:
    half = ("--set=train.max_steps=2", "-o", "half")
    assert automix("train", "-p", "digits-tiny", *SHORT, *half).exit_code == 0
    kept = tmp_path / "half" / "masks" / "progress.safetensors"
    kept.write_bytes(b"cut")
    resumed = automix("train", "--resume", "half", "--set=train.max_steps=4")
    assert resumed.exit_code == 0, resumed.output
    assert "the history of the masks begins anew" in " ".join(resumed.stderr.split())
    assert read_history(kept).epochs == (1, 2)


def test_the_strip_can_be_drawn_again_from_a_run_that_is_not_finished(
    automix: Automix, run: Path, tmp_path: Path
) -> None:
    (tmp_path / "runs" / "killed" / "masks").mkdir(parents=True)
    shutil.copy(run / "masks" / "progress.safetensors", tmp_path / "runs" / "killed" / "masks")
    result = automix("visualize-masks", "--progress")
    assert result.exit_code == 0, result.output
    assert contents(tmp_path / "runs" / "killed") == contents(run)
    dark = automix("visualize-masks", run, "--progress", "--background=dark", "-o", "dark")
    assert dark.exit_code == 0, dark.output
    assert (tmp_path / "dark" / "progress.png").read_bytes() != contents(run)["progress.png"]


@pytest.mark.parametrize(
    ("code", "words", "arguments"),
    [
        (2, "--methods was given", ("--methods=mixup",)),
        (2, "--maps was given", ("--maps",)),
        (4, "found nothing", ()),
    ],
)
def test_what_a_run_did_not_keep_cannot_be_drawn(
    automix: Automix, tmp_path: Path, code: int, words: str, arguments: tuple[str, ...]
) -> None:
    result = automix("visualize-masks", tmp_path, "--progress", *arguments)
    assert result.exit_code == code, result.output
    assert words in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("epochs", "every", "due"),
    [
        (200, None, range(0, 201, 20)),
        (25, None, [*range(0, 25, 3), 25]),
        (2, None, [0, 1, 2]),
        (5, 3, [0, 3, 5]),
    ],
)
def test_masks_are_due_at_the_start_every_few_epochs_and_at_the_end(
    epochs: int, every: int | None, due: list[int]
) -> None:
    train = TrainSettings(epochs=epochs, masks_every=every)
    assert list(epochs_due(train)) == list(due)
