"""`automix detect` from the command line to the run folder."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from torch.utils._pytree import tree_map
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from typer.testing import CliRunner

from automix_cli.cli import app
from automix_cli.data.boxed_batches import BoxedBatch, BoxedBatches
from automix_cli.evaluation.detection import NAMES, average_precision
from tests.commands.conftest import Automix, records_of, without_times
from tests.data.boxed import write_boxed
from tests.data.pictures import write_parts

SMALL = (
    *("--preset=coco-r50-fpn", "--device=cpu", "--data-dir=boxes", "--set=model.init=none"),
    *("--set=model.backbone=tiny_resnet", "--set=model.stem=cifar", "--set=data.workers=0"),
    *("--set=model.frozen_stages=0", "--set=model.freeze_batch_norm=none"),
    *("--set=detection.train=train.json", "--set=detection.test=test.json"),
    *("--set=detection.train_images=images", "--set=detection.test_images=images"),
    *("--set=detection.short_side=48", "--set=detection.long_side=64"),
    *("--set=detection.channels=8", "--set=detection.head_width=16", "--set=detection.regions=8"),
    *("--set=train.batch_size=4", "--set=train.max_steps=3", "--set=train.log_every=1"),
    *(
        "--set=optimizer.lr=0.01",
        "--set=optimizer.drop_epochs=1",
        "--set=optimizer.warmup_epochs=0.5",
    ),
)
FILES = {
    *("settings.toml", "origins.json", "environment.json", "metrics.jsonl", "ckpt.pt", "best.pt"),
    *("detector.safetensors", "predictions.json", "boxes.png", "boxes.svg", "summary.json"),
}


@pytest.fixture
def boxes(automix: Automix, tmp_path: Path) -> Path:
    write_boxed(tmp_path / "boxes")
    return tmp_path / "boxes"


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three classes in colour."""
    folder = tmp_path_factory.mktemp("classifier")
    write_parts(folder / "mine", "abc")
    data = ("--set=data.name=folder", f"--data-dir={folder / 'mine'}", "--set=data.image_size=32")
    steps = ("--set=train.batch_size=4", "--set=train.max_steps=2", "--device=cpu")
    wanted = ["train", "-p", "digits-tiny", *data, *steps, "-o", str(folder / "run")]
    result = CliRunner().invoke(app, wanted)
    assert result.exit_code == 0, result.output
    return folder / "run"


def test_it_trains_to_a_whole_run_folder_whose_numbers_are_those_of_its_predictions(
    automix: Automix, boxes: Path, tmp_path: Path
) -> None:
    result = automix("detect", *SMALL, "-o", "run")
    assert result.exit_code == 0, result.output
    run = tmp_path / "run"
    assert {each.name for each in run.iterdir()} == FILES
    predictions = json.loads((run / "predictions.json").read_text())
    again = average_precision(json.loads((boxes / "test.json").read_text()), predictions)
    measured = json.loads((run / "summary.json").read_text())["last"]["test"]["detector"]
    assert {name: measured[name] for name in NAMES} == {name: again[name] for name in NAMES}
    assert {each["category_id"] for each in predictions} <= {3, 90}
    trained = [each for each in records_of(run) if each["split"] == "train"]
    parts = ("classes", "boxes", "objectness", "proposals")
    for each in trained:
        assert each["loss/total"] == pytest.approx(sum(each[f"loss/{part}"] for part in parts))
    # two steps an epoch: warm-up over one step, then the rate, a tenth after the first epoch
    rates = [each["learning_rate"] for each in trained]
    assert rates == pytest.approx([0.01 * 0.001, 0.01, 0.001])
    assert "momentum_coefficient" not in trained[0]


@pytest.mark.parametrize("head", [FastRCNNPredictor, RPNHead])
def test_a_detector_that_answers_with_nan_is_not_one_that_finds_nothing(
    automix: Automix, boxes: Path, monkeypatch: pytest.MonkeyPatch, head: type[torch.nn.Module]
) -> None:
    whole = head.forward

    def overflowing(self: torch.nn.Module, *given: object) -> object:
        said = whole(self, *given)
        return said if self.training else tree_map(lambda each: each * float("nan"), said)

    monkeypatch.setattr(head, "forward", overflowing)
    result = automix("detect", *SMALL, "-o", "run")
    assert result.exit_code == 1, result.output
    assert "`the detector after step 3` cannot be judged" in result.stderr
    assert head.__name__ in result.stderr
    assert "`run/ckpt.pt`, written after step 2" in result.stderr


def test_a_dry_run_writes_nothing_and_tells_the_cost(automix: Automix, boxes: Path) -> None:
    result = automix("detect", "--dry-run", *SMALL, "-o", "run")
    assert result.exit_code == 0, result.output
    assert [each.name for each in Path().iterdir()] == ["boxes"]
    for part in ("seconds per step", "parameters detector", "4 x 3 x 48 x 48 at most"):
        assert part in result.stdout


def test_sigterm_saves_and_going_on_is_exact(
    automix: Automix, boxes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert automix("detect", *SMALL, "-o", "whole").exit_code == 0
    make = BoxedBatches.at

    def stopped_at(self: BoxedBatches, step: int) -> list[BoxedBatch]:
        if step == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return make(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(BoxedBatches, "at", stopped_at)
        result = automix("detect", *SMALL, "-o", "half")
    assert result.exit_code == 143, result.output
    assert "after step 2; the checkpoint is saved" in result.stderr
    assert "hint: `automix detect --resume`" in result.stderr
    result = automix("detect", "--resume", "half")
    assert result.exit_code == 0, result.output
    whole, half = tmp_path / "whole", tmp_path / "half"
    for name in ("detector.safetensors", "predictions.json"):
        assert (whole / name).read_bytes() == (half / name).read_bytes()
    summaries = [json.loads((each / "summary.json").read_text()) for each in (whole, half)]
    first, second = (without_times(each) for each in summaries)
    assert first["last"] == second["last"]


def test_the_backbone_of_a_run_is_taken_over_to_the_bit(
    automix: Automix, boxes: Path, classifier: Path, tmp_path: Path
) -> None:
    """Frozen whole, it is still there after three steps; and it is said whose it is."""
    network = [each for each in SMALL if "init" not in each and "backbone" not in each]
    frozen = ("--set=model.frozen_stages=5", "--set=model.freeze_batch_norm=all")
    wanted = [each for each in network if "stem" not in each]
    result = automix("detect", *wanted, *frozen, "--backbone", classifier, "-o", "run")
    assert result.exit_code == 0, result.output
    assert "the momentum classifier of a run (automix, tiny_resnet, folder)" in result.stderr
    stored = torch.load(classifier / "ckpt.pt", weights_only=True)["model"]
    got = torch.load(tmp_path / "run" / "ckpt.pt", weights_only=True)
    assert got["header"]["init"]["sha256"]
    prefix = "momentum_classifier.backbone."
    taken = {name: each for name, each in stored.items() if name.startswith(prefix)}
    for name, each in taken.items():
        ours = f"detector.backbone.backbone.{name.removeprefix(prefix)}"
        assert torch.equal(got["model"][ours], each)


@pytest.mark.parametrize(
    ("wanted", "code", "part"),
    [
        ("--set=model.backbone=vit_tiny_patch16_224", 2, "cannot build a detector on"),
        ("--set=data.name=digits", 2, "a detector finds boxes, but `data.name` is `digits`"),
        ("--set=optimizer.layer_decay=0.5", 2, "a detector has one learning rate"),
        ("--set=detection.short_side=900", 2, "`detection.short_side` must be at most"),
        ("--set=optimizer.drop_epochs=late", 2, "epochs separated by commas"),
        ("--set=detection.train=nothing.json", 3, "wanted annotations at"),
        ("--set=detection.test_images=elsewhere", 3, "of the 4 images in"),
        ("--backbone=nowhere", 4, "found nothing"),
    ],
)
def test_what_cannot_be_is_a_clear_error(
    automix: Automix, boxes: Path, wanted: str, code: int, part: str
) -> None:
    clear = [each for each in SMALL if "init" not in each or not wanted.startswith("--backbone")]
    if "vit" in wanted:
        clear = [each for each in clear if "stem" not in each]
    result = automix("detect", *clear, wanted, "-o", "run")
    assert result.exit_code == code, result.output
    assert part in result.stderr
    assert not Path("run").exists()


def test_other_commands_send_detectors_where_they_belong(
    automix: Automix, boxes: Path, tmp_path: Path
) -> None:
    assert automix("detect", *SMALL, "--set=train.max_steps=1", "-o", "run").exit_code == 0
    result = automix("train", "--resume", "run")
    assert result.exit_code == 2
    assert "`automix detect`" in result.stderr
    result = automix("detect", "--resume", "run", "--backbone", "timm")
    assert result.exit_code == 2
    assert "`--backbone` was given too" in result.stderr
    for arguments in (("export", "run"), ("robustness", "run"), ("visualize-masks", "run")):
        result = automix(*arguments)
        assert result.exit_code == 4, result.output
        assert "of a detector, wanted a classifier" in result.stderr


def test_a_run_of_a_classifier_is_not_gone_on_with(automix: Automix, classifier: Path) -> None:
    result = automix("detect", "--resume", classifier)
    assert result.exit_code == 4, result.output
    assert f"`automix train --resume {classifier}`" in " ".join(result.stderr.split())


def test_compare_tabulates_detectors_by_their_ap(automix: Automix, boxes: Path) -> None:
    shared = [each for each in SMALL if not each.startswith("--preset")]
    for name, rate in (("slow", "0.001"), ("fast", "0.01")):
        kept = [each for each in shared if "optimizer.lr" not in each]
        wanted = ("--preset=coco-r50-fpn", *kept, f"--set=optimizer.lr={rate}", "-o", name)
        result = automix("detect", *wanted, "--set=train.max_steps=1")
        assert result.exit_code == 0, result.output
    result = automix("compare", "slow", "fast", "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["methods"]
    assert len(rows) == 2
    assert {"ap", "ap50", "ap75", "ap_minus_baseline"} <= rows[0].keys()
    assert "top1" not in rows[0]
    assert "AP %" in automix("compare", "slow", "fast").stdout


@pytest.mark.slow
def test_the_preset_of_the_literature_takes_a_step(automix: Automix, boxes: Path) -> None:
    """In full, but for the size of the images and where its weights come from."""
    kept = [each for each in SMALL if "detection." not in each or "train" in each or "test" in each]
    own = ("backbone", "stem", "frozen", "freeze", "lr=", "drop", "warmup")
    kept = [each for each in kept if not any(word in each for word in own)]
    sizes = ("--set=detection.short_side=64", "--set=detection.long_side=96")
    result = automix("detect", *kept, *sizes, "--set=train.max_steps=1", "-o", "run")
    assert result.exit_code == 0, result.output
    assert "stay random" in result.stderr


def test_compare_of_detectors_takes_no_method_of_mixing(automix: Automix) -> None:
    result = automix("compare", "-p", "coco-r50-fpn", "--methods", "cutmix")
    assert result.exit_code == 2
    assert "--methods none --variant" in result.stderr
