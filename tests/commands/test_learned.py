"""SAMix, AdAutoMix and the ablations of AutoMix, from the command line to the run folder."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.commands.conftest import QUICK, Automix, records_of
from tests.commands.test_train import RUN_FILES

QUICKER = (*QUICK, "--set=train.max_steps=3", "--set=evaluation.batch_size=360")
LOSSES = {
    "samix": {"total", "one_hot", "mixed", "mix_block", "mask_area"},
    "adautomix": {"total", "one_hot", "mixup", "mixed", "mix_block", "similarity"},
}
OTHERS = {"samix": {"area_ratio", "mask_area_weight"}, "adautomix": set[str]()}
HEADS = {f"{each}_{head}" for each in ("momentum", "classifier") for head in ("one_hot", "mixed")}
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
    assert {each.name for each in (tmp_path / "run").iterdir()} == RUN_FILES
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
    result = automix("train", "--resume", "half", "--set", "train.max_steps=3")
    assert result.exit_code == 0, result.output
    whole, half = weights_of(tmp_path / "whole"), weights_of(tmp_path / "half")
    assert whole.keys() == half.keys()
    assert all(torch.equal(whole[name], half[name]) for name in whole)


def test_settings_of_samix_and_adautomix_reach_them(automix: Automix) -> None:
    def total(*settings: str) -> float:
        sets = [f"--set={each}" for each in (*settings, "train.max_steps=2")]
        run = Path("-".join(settings).replace("/", ""))
        train(automix, *sets, output=str(run))
        last = [each for each in records_of(run) if each["split"] == "train"][-1]
        return float(last["loss/total"])

    samix = "mix.method=samix"
    changes = ["mix.lam_rescale=0.25", "mix.value_dropout=0.5", "mix.mask_area_loss=l1"]
    totals = [total(samix), *(total(samix, each) for each in changes)]
    assert len(set(totals)) == len(totals)
    adautomix = "mix.method=adautomix"
    changes = ["mix.num_images=2", "mix.adversarial_share=0.9", "mix.mixup_share=0.1"]
    changes += ["mix.adversarial_interval=1", "mix.lam_margin_test=reference"]
    totals = [total(adautomix), *(total(adautomix, each) for each in changes)]
    assert len(set(totals)) == len(totals)


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
