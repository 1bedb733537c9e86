"""The presets: found, valid, and what the published rows were made with."""

import re
import tomllib

import pytest

from automix_cli import presets
from automix_cli.errors import SettingsError
from automix_cli.settings import Settings
from automix_cli.settings.layering import Overrides, load
from automix_cli.settings.toml import as_nested, flatten

CIFAR_CNNS = {  # top-1 in % after 200, 400, 800 and 1200 epochs
    "cifar10-r18": "96.59 / 97.08 / 97.34 / 97.30",
    "cifar10-rx50": "97.19 / 97.42 / 97.65 / 97.51",
    "cifar100-r18": "80.12 / 81.78 / 82.04 / 81.95",
    "cifar100-rx50": "82.84 / 83.32 / 83.64 / 83.80",
}
REFERENCE = {  # OpenMixup, configs/classification/cifar100/automix/basic/*_l2_a2_near_L1_01_mlr5e_2
    "model.stem": "cifar",
    "model.feature_stage": 3,
    "model.drop_path_rate": 0.0,
    "data.crop_padding": 4,
    "data.flip": True,
    "data.holdout": 0.0,
    "mix.alpha": 2.0,
    "mix.lam_embedding": "none",
    "mix.upsampling": "nearest",
    "mix.sigmoid_after_upsampling": True,
    "mix.reduction": 2,
    "mix.projection_norm": "none",
    "mix.mask_area_loss": "l1",
    "mix.mask_area_reduction": "batch_mean",
    "mix.mask_area_margin": 0.1,
    "mix.mask_area_weight": 0.1,
    "mix.mask_area_schedule": "constant",
    "mix.lam_margin": 0.08,
    "mix.mask_adjust_probability": 0.0,
    "mix.skip_mix_block_probability": 0.0,
    "mix.mix_block_interval": 1,
    "mix.clean_share": 1.0,
    "mix.mixed_share": 1.0,
    "mix.one_hot_fraction": 1.0,
    "mix.momentum_mode": "train",
    "mix.momentum_buffers": "own",
    "mix.momentum_clean_pass": "full",
    "mix.label_smoothing": 0.0,
    "optimizer.name": "sgd",
    "optimizer.lr": 0.1,
    "optimizer.min_lr": 0.05,
    "optimizer.momentum": 0.9,
    "optimizer.nesterov": False,
    "optimizer.weight_decay": 1e-4,
    "optimizer.decay_norm_and_bias": True,
    "optimizer.schedule": "cosine",
    "optimizer.schedule_unit": "epoch",
    "optimizer.warmup_epochs": 0.0,
    "train.epochs": 200,
    "train.batch_size": 100,
    "train.momentum_coefficient": 0.999,
    "train.momentum_coefficient_end": 0.999999,
    "train.momentum_constant_fraction": 0.1,
}
BACKBONES = {"r18": "resnet18", "rx50": "resnext50_32x4d"}


def settings_of(name: str) -> Settings:
    return load(Overrides(preset=name), environment={})[0]


def test_at_least_the_default_and_the_four_published_presets_are_found() -> None:
    assert {presets.DEFAULT, *CIFAR_CNNS} <= set(presets.names())


@pytest.mark.parametrize("name", presets.names())
def test_a_preset_is_named_after_its_data_and_model(name: str) -> None:
    assert re.fullmatch(r"[a-z]+\d*-[a-z0-9]+(-[a-z0-9]+)*", name)
    assert name.split("-")[0] == settings_of(name).data.name.replace("_", "")


@pytest.mark.parametrize("name", presets.names())
def test_a_preset_says_what_it_is_where_it_comes_from_and_what_to_expect(name: str) -> None:
    preset = presets.read(name)
    for text in (preset.summary, preset.source, preset.expects):
        assert text
        assert text.isascii()
        assert "\n" not in text
    assert ("box AP" if name == presets.DETECTION else "top-1") in preset.expects


@pytest.mark.parametrize("name", presets.names())
def test_provenance_is_no_part_of_the_settings(name: str) -> None:
    preset = presets.read(name)
    assert presets.PROVENANCE not in preset.values
    assert presets.PROVENANCE in tomllib.loads(preset.text)


@pytest.mark.parametrize("name", CIFAR_CNNS)
def test_a_cifar_preset_has_the_settings_of_the_reference(name: str) -> None:
    values = flatten(as_nested(settings_of(name)))
    assert {key: values[key] for key in REFERENCE} == REFERENCE
    assert values["model.backbone"] == BACKBONES[name.split("-")[1]]
    assert not [key for key in values if key.startswith("optimizer.mix_block_lr")]


def test_the_preset_that_users_could_not_quite_reproduce_says_so() -> None:
    assert "0.75 lower" in presets.read("cifar100-r18").expects


def test_digits_are_never_mirrored() -> None:
    assert settings_of("digits-tiny").data.flip is False


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("cifar100-r81", "did you mean `cifar100-r18`? `automix presets list` shows all of them"),
        ("mine.toml", "a file of your own is given by `--config mine.toml`"),
        ("../presets/digits-tiny", None),
        ("", "`automix presets list` shows all of them"),
    ],
)
def test_an_unknown_preset_is_an_error_with_advice(name: str, hint: str | None) -> None:
    with pytest.raises(SettingsError, match="unknown preset") as caught:
        presets.read(name)
    assert hint is None or caught.value.hint == hint
