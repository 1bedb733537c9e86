"""SAMix, AdAutoMix and the ablations of AutoMix, from the command line to the run folder."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from automix_cli import build
from automix_cli.data.datasets import DataSplits, ImageSet
from automix_cli.method import AdaptiveMaskOptions, AutoMixOptions
from automix_cli.settings import MixSettings, ModelSettings
from automix_cli.settings.mix import LEARNED
from tests.commands.conftest import QUICK, Automix, records_of
from tests.commands.test_train import RUN_FILES

QUICKER = (*QUICK, "--set=train.max_steps=2", "--set=evaluation.batch_size=360")
LOSSES = {
    "samix": {"total", "one_hot", "mixed", "mix_block", "mask_area"},
    "adautomix": {"total", "one_hot", "mixup", "mixed", "mix_block", "similarity"},
}
OTHERS = {"samix": {"area_ratio", "mask_area_weight"}, "adautomix": set[str]()}
HEADS = {f"{each}_{head}" for each in ("momentum", "classifier") for head in ("one_hot", "mixed")}
MODEL = ModelSettings(backbone="tiny_resnet", stem="cifar")
IMAGES = ImageSet(
    torch.zeros(2, 1, 32, 32, dtype=torch.uint8), torch.tensor([0, 1]), class_names=("a", "b")
)
SPLITS = DataSplits(
    IMAGES, IMAGES, None, mean=(0.5,), std=(0.5,), name="black", image_size=32, crop="pad"
)
ABLATIONS = {
    "no lambda embedding": ("mix.lam_embedding=none",),
    "no cross-attention": ("mix.cross_attention=false",),
    "no area loss": ("mix.mask_area_weight=0",),
    "no momentum": ("train.momentum_coefficient=0", "train.momentum_coefficient_end=0"),
    "no clean images": ("mix.one_hot_weight=0",),
    "alpha": ("mix.alpha=0.5",),
    "feature stage": ("model.feature_stage=2",),
}


def train(automix: Automix, *more: str, output: str = "run") -> dict[str, Any]:
    result = automix("train", *QUICKER, *more, "-o", output, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def weights_of(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "ckpt.pt", weights_only=True)["model"]


@pytest.mark.parametrize("method", LOSSES)
def test_it_trains_to_a_whole_run_folder_that_eval_agrees_with(
    automix: Automix, tmp_path: Path, method: str
) -> None:
    summary = train(automix, "--method", method)
    assert {each.name for each in (tmp_path / "run").iterdir()} == {*RUN_FILES, "masks"}
    assert summary["method"] == method
    assert set(summary["last"]["test"]) == HEADS
    first = next(each for each in records_of(tmp_path / "run") if each["split"] == "train")
    assert set(first) == {
        *("split", "step", "epoch", *OTHERS[method]),
        *("learning_rate", "mix_block_learning_rate", "momentum_coefficient"),
        *(f"loss/{name}" for name in LOSSES[method]),
    }
    result = automix("eval", "run", "--json")
    measured = json.loads(result.stdout)["heads"]["momentum_one_hot"]
    assert measured["top1"] == summary["last"]["test"]["momentum_one_hot"]["top1"]
    assert automix("eval", "--checkpoint", "run/classifier.safetensors").exit_code == 0


@pytest.mark.parametrize("method", LOSSES)
def test_stopping_and_going_on_is_exact(automix: Automix, tmp_path: Path, method: str) -> None:
    """For AdAutoMix also in who is an adversary when: steps are those of the run."""
    train(automix, "-m", method, output="whole")
    train(automix, "-m", method, "--set=train.max_steps=1", output="half")
    result = automix("train", "--resume", "half", "--set", "train.max_steps=2")
    assert result.exit_code == 0, result.output
    whole, half = weights_of(tmp_path / "whole"), weights_of(tmp_path / "half")
    assert whole.keys() == half.keys()
    assert all(torch.equal(whole[name], half[name]) for name in whole)


@pytest.mark.parametrize(
    ("method", "key", "value"),
    [
        *(("samix", "lam_rescale", 0.25), ("samix", "value_dropout", 0.5)),
        *(("samix", "mask_area_loss", "l1"), ("samix", "upsampling", "random")),
        *(("samix", "cross_attention", False), ("samix", "lam_margin", 0.01)),
        *(("adautomix", "num_images", 2), ("adautomix", "vary_num_images", True)),
        *(("adautomix", "adversarial_interval", 3), ("adautomix", "adversarial_share", 0.9)),
        *(("adautomix", "mixup_share", 0.1), ("adautomix", "lam_margin_test", "reference")),
        *(("adautomix", "lam_embedding", "concat"), ("adautomix", "projection_norm", "batch")),
    ],
)
def test_a_setting_reaches_the_mixer_it_belongs_to(method: str, key: str, value: object) -> None:
    values = {"method": method, key: value}
    training = build.method(MODEL, MixSettings.model_validate(values), SPLITS)
    reached = [
        each for each in (training.options, training.mix_block.options) if hasattr(each, key)
    ]
    assert [getattr(each, key) for each in reached] == [value]


@pytest.mark.parametrize("method", LEARNED)
def test_what_is_unset_is_what_the_library_has_by_default(method: str) -> None:
    """But for AdAutoMix's shares as features, which the library has as on ImageNet."""
    training = build.method(MODEL, MixSettings(method=method), SPLITS)
    chosen = (training.options, training.mix_block.options)
    defaults = [type(each)() for each in chosen]
    if method == "adautomix":
        defaults[1] = AdaptiveMaskOptions(lam_embedding="none")
    if method == "samix":
        defaults[0] = AutoMixOptions(upsampling="bilinear", mask_area_loss="l1+variance")
    assert list(chosen) == defaults


@pytest.mark.parametrize("sets", ABLATIONS.values(), ids=ABLATIONS)
def test_every_ablation_trains(automix: Automix, tmp_path: Path, sets: tuple[str, ...]) -> None:
    summary = train(automix, *(f"--set={each}" for each in sets))
    heads = {each for each in HEADS if "mixed" not in each} if "one_hot" in sets[0] else HEADS
    assert set(summary["last"]["test"]) == heads
    weights = weights_of(tmp_path / "run")
    assert all(bool(torch.isfinite(each).all()) for each in weights.values())
    if "momentum" in sets[0]:
        for name in weights:
            if name.startswith("classifier.") and name.endswith("conv1.weight"):
                assert torch.equal(weights[name], weights[f"momentum_{name}"])
    if "cross" in sets[0]:
        assert not any("query" in name for name in weights)
    if "stage" in sets[0]:
        assert weights["mix_block.value.weight"].shape[1] == 16 + 1


@pytest.mark.parametrize("method", LEARNED)
def test_the_losses_of_rivals_serve_learned_methods_too(
    automix: Automix, tmp_path: Path, method: str
) -> None:
    other = (
        "--set=mix.loss=bce",
        "--set=mix.decoupled_weight=0.1",
        "--set=mix.label_smoothing=0.1",
    )
    assert automix("train", *QUICKER, "-m", method, *other, "-o", "run").exit_code == 0
    trained = [each for each in records_of(tmp_path / "run") if each["split"] == "train"][-1]
    assert trained["loss/one_hot"] > 0
    assert trained["loss/mixed"] > 0
