"""The published rows: what they were made with, typed in from their source, and what they gave.

The source is OpenMixup v0.2.10, its files of settings and its tables of results.
"""

from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from automix_cli import presets
from automix_cli.method import MixBlock, MixBlockOptions
from automix_cli.method.pairing import Pairing
from automix_cli.models.anatomy import Anatomy, check_stage, examine
from automix_cli.models.backbones import ClassifierSpec, build_backbone
from automix_cli.models.merged_feature import merged_anatomy
from automix_cli.settings import Settings
from automix_cli.settings.layering import Overrides, load


class Row(NamedTuple):
    """One published row."""

    top1: str
    vanilla: str
    epochs: int
    batch: int
    rates: tuple[float, float, float]  # at the start, at the end, weight decay
    mix_block: tuple[float | None, float | None]  # its own rate at the start and at the end
    momentum_end: float
    feature: tuple[int, int, int]
    parameters: int  # of the mix block
    drop_path: float = 0.0


CIFAR = (0.1, 0.05, 1e-4)
TINY = (0.2, 0.05, 1e-4)
LARGE = (0.1, 0.0, 1e-4)
FINE = (1e-3, 0.0, 5e-4)
VIT = (1e-3, 1e-5, 0.05)
SMALL, WIDE = 33_153, 525_825  # without the ratio as a channel
SMALL_LAM, WIDE_LAM = 33_282, 526_338  # with it
F18, F50 = (256, 14, 14), (1024, 14, 14)
ROWS = {
    "cifar10-r18": Row(
        "96.59 / 97.08 / 97.34 / 97.30",
        "94.87 / 95.10 / 95.50 / 95.59",
        *(200, 100, CIFAR, (None, None), 0.999999, (256, 8, 8), SMALL),
    ),
    "cifar10-rx50": Row(
        "97.19 / 97.42 / 97.65 / 97.51",
        "95.92 / 95.81 / 96.23 / 96.26",
        *(200, 100, CIFAR, (None, None), 0.999999, (1024, 8, 8), WIDE),
    ),
    "cifar100-r18": Row(
        "80.12 / 81.78 / 82.04 / 81.95",
        "76.42 / 77.73 / 78.04 / 78.55",
        *(200, 100, CIFAR, (None, None), 0.999999, (256, 8, 8), SMALL),
    ),
    "cifar100-rx50": Row(
        "82.84 / 83.32 / 83.64 / 83.80",
        "79.37 / 80.24 / 81.09 / 81.32",
        *(200, 100, CIFAR, (None, None), 0.999999, (1024, 8, 8), WIDE),
    ),
    "cifar100-wrn28-8": Row(
        *("85.18", "81.63", 400, 100, (0.03, 1e-3, 1e-3), (0.03, 1e-3), 0.999999),
        *((256, 16, 16), SMALL),
    ),
    "cifar100-deit-s": Row(
        *("76.24 / 80.91", "65.81 / 68.50", 200, 100, (5e-4, 1e-4, 0.05), (1e-3, 1e-4), 0.99996),
        *((384, 14, 14), 74_498, 0.1),
    ),
    "cifar100-swin-t": Row(
        *("82.67", "78.41", 200, 100, (5e-4, 1e-4, 0.05), (1e-3, 1e-4), 0.99996),
        *((768, 7, 7), 296_450, 0.2),
    ),
    "cifar100-convnext-t": Row(
        *("83.30 / 84.79", "78.70 / 80.65", 200, 100, (2e-3, 1e-4, 0.05), (1e-3, 1e-4), 0.99996),
        *((384, 8, 8), 74_498, 0.3),
    ),
    "tinyimagenet-r18": Row(
        "67.33", "61.68", 400, 100, TINY, (0.1, 1e-3), 0.999999, (256, 16, 16), SMALL
    ),
    "tinyimagenet-rx50": Row(
        "70.72", "65.04", 400, 100, TINY, (0.1, 1e-3), 0.999999, (1024, 16, 16), WIDE
    ),
    "imagenet-r18": Row(
        *("70.50 / 72.05", "70.04 / 71.83", 100, 256, LARGE, (0.1, 1e-3), 0.99999, F18),
        SMALL_LAM,
    ),
    "imagenet-r34": Row(
        *("74.52 / 76.10", "73.85 / 75.29", 100, 256, LARGE, (0.1, 1e-3), 0.99999, F18),
        SMALL_LAM,
    ),
    "imagenet-r50": Row(
        *("77.91 / 79.25", "76.83 / 77.35", 100, 256, LARGE, (0.1, 1e-3), 0.99999, F50),
        WIDE_LAM,
    ),
    "imagenet-r101": Row(
        *("79.87 / 80.98", "78.18 / 78.91", 100, 256, LARGE, (0.1, 1e-3), 0.99999, F50),
        WIDE_LAM,
    ),
    "imagenet-rx101": Row("80.89", "78.71", 100, 256, LARGE, (0.1, 1e-3), 0.99999, F50, WIDE_LAM),
    "imagenet-deit-s": Row(
        *("80.78", "75.66", 300, 1024, VIT, (1e-3, 1e-4), 0.99999, (384, 14, 14), 74_498, 0.1)
    ),
    "imagenet-pvt-t": Row(
        *("76.38", "74.67", 300, 1024, VIT, (1e-3, 1e-4), 0.99999, (320, 14, 14), 51_842, 0.1)
    ),
    "imagenet-swin-t": Row(
        *("81.80", "80.21", 300, 1024, VIT, (1e-3, 1e-4), 0.99999, (768, 7, 7), 296_450, 0.2)
    ),
    "imagenet-convnext-t": Row(
        *("82.28", "79.22", 300, 4096, (4e-3, 1e-6, 0.05), (4e-3, 1e-4), 0.99996),
        *((384, 14, 14), 74_498, 0.1),
    ),
    "imagenet-r50-rsb-a2": Row(
        "80.28", "79.80", 300, 2048, (5e-3, 1e-6, 0.02), (None, None), 0.99999, F50, WIDE_LAM
    ),
    "imagenet-r50-rsb-a3": Row(
        *("78.44", "78.08", 100, 2048, (8e-3, 1e-6, 0.02), (None, None), 0.99999),
        *((1024, 10, 10), WIDE_LAM),
    ),
    "cub200-r18": Row("79.87", "77.68", 200, 16, FINE, (0.01, 5e-4), 0.99999, F18, SMALL_LAM),
    "cub200-rx50": Row("86.56", "83.01", 200, 16, FINE, (0.01, 5e-4), 0.99999, F50, WIDE_LAM),
    "aircraft-r18": Row("81.37", "80.23", 200, 16, FINE, (0.01, 5e-4), 0.99999, F18, SMALL_LAM),
    "aircraft-rx50": Row("86.72", "85.10", 200, 16, FINE, (0.01, 5e-4), 0.99999, F50, WIDE_LAM),
    "inat2017-r18": Row("52.84", "51.79", 100, 256, LARGE, (0.1, 1e-3), 0.99999, F18, SMALL_LAM),
    "inat2017-r50": Row("63.08", "60.23", 100, 256, LARGE, (0.1, 1e-4), 0.99999, F50, WIDE_LAM),
    "inat2017-rx101": Row("68.03", "63.70", 100, 256, LARGE, (0.1, 1e-4), 0.99999, F50, WIDE_LAM),
    "inat2018-r50": Row("64.73", "62.53", 100, 256, LARGE, (0.1, 1e-4), 0.99999, F50, WIDE_LAM),
    "inat2018-rx101": Row("70.49", "66.94", 100, 256, LARGE, (0.1, 1e-4), 0.99999, F50, WIDE_LAM),
    "places205-r18": Row("59.74", "59.63", 100, 256, LARGE, (0.1, 1e-3), 0.99999, F18, SMALL_LAM),
    "places205-r50": Row("64.06", "63.10", 100, 256, LARGE, (0.1, 1e-3), 0.99999, F50, WIDE_LAM),
}
TRANSFORMERS = [name for name in ROWS if name.endswith(("deit-s", "swin-t", "pvt-t", "convnext-t"))]
CNNS = [name for name in ROWS if name not in TRANSFORMERS and "rsb" not in name]
IN_MEMORY = 32
"""Pixels of CIFAR's images, whose presets do not say them."""


@cache
def settings_of(name: str) -> Settings:
    return load(Overrides(preset=name), environment={})[0]


@cache
def anatomy_of(spec: ClassifierSpec) -> Anatomy:
    """What a backbone gives, without computing or storing anything."""
    with torch.device("meta"):
        backbone = build_backbone(spec).eval()
        anatomy = examine(backbone, torch.empty(1, 3, spec.image_size, spec.image_size))
    return merged_anatomy(backbone, anatomy) if spec.merged_feature else anatomy


SPECIFIED = {each.name for each in fields(ClassifierSpec)}


def spec_of(settings: Settings) -> ClassifierSpec:
    size = settings.data.image_size or IN_MEMORY
    model = {name: each for name, each in settings.model if name in SPECIFIED}
    return ClassifierSpec(num_classes=1, in_channels=3, image_size=size, **model)


def test_the_readme_has_the_published_numbers_of_every_row() -> None:
    readme = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
    lines = [line.split(" | ") for line in readme.splitlines() if line.startswith("| ")]
    shown = {cells[1].strip("`"): (cells[4], cells[5].rstrip(" |")) for cells in lines if cells[5:]}
    assert {name: (row.top1, row.vanilla) for name, row in ROWS.items()}.items() <= shown.items()


def test_every_published_row_has_a_preset_and_there_are_32_of_them() -> None:
    found = {name for name in presets.names() if presets.read(name).source.startswith("Liu et al.")}
    assert found == set(ROWS)
    assert len(found) == 32


@pytest.mark.parametrize("name", ROWS)
def test_it_states_what_was_published_and_by_which_protocol(name: str) -> None:
    expects, row = presets.read(name).expects, ROWS[name]
    assert f": {row.top1} (" in expects
    assert f": {row.vanilla})" in expects
    assert f"{row.epochs} " in expects.split(":")[0]
    assert "best of four heads" in expects
    protocol = "best" if name in TRANSFORMERS else "median of the last"
    assert protocol in expects.split("published")[1]
    if row.epochs == 100:
        assert "five" in expects


@pytest.mark.parametrize("name", ROWS)
def test_it_is_trained_as_the_row_was(name: str) -> None:
    settings, row = settings_of(name), ROWS[name]
    optimizer, train = settings.optimizer, settings.train
    assert (train.epochs, train.batch_size) == (row.epochs, row.batch)
    assert (optimizer.lr, optimizer.min_lr, optimizer.weight_decay) == row.rates
    assert (optimizer.mix_block_lr, optimizer.mix_block_min_lr) == row.mix_block
    assert train.momentum_coefficient == 0.999
    assert train.momentum_coefficient_end == row.momentum_end
    assert train.momentum_constant_fraction == (0.25 if name in TRANSFORMERS else 0.1)
    assert settings.model.drop_path_rate == row.drop_path


@pytest.mark.parametrize("name", ROWS)
def test_its_images_are_mixed_as_the_row_s_were(name: str) -> None:
    mix = settings_of(name).mix
    assert (mix.method, mix.alpha, mix.lam_margin, mix.reduction) == ("automix", 2.0, 0.08, 2)
    assert (mix.mask_area_weight, mix.mask_area_margin) == (0.1, 0.1)
    assert (mix.mask_area_reduction, mix.upsampling) == ("batch_mean", "nearest")
    small = name in CNNS and name.startswith(("cifar", "tiny"))
    assert mix.lam_embedding == ("none" if small else "concat")
    assert mix.mask_area_schedule == ("constant" if small else "openmixup_compounding")
    fine_and_deep = name in ("cub200-rx50", "aircraft-rx50")
    assert mix.mask_area_loss == ("l1+variance" if fine_and_deep else "l1")
    assert mix.avoid_self_pairs == name.startswith(("cub200", "aircraft"))
    assert mix.label_smoothing == (0.1 if name in TRANSFORMERS else 0.0)
    skips = name in TRANSFORMERS and name.startswith("imagenet")
    assert mix.skip_mix_block_probability == (0.2 if skips else 0.0)


@pytest.mark.parametrize("name", ROWS)
def test_its_feature_has_the_shape_of_the_row_s_and_a_mask_fills_the_image(name: str) -> None:
    settings, row = settings_of(name), ROWS[name]
    spec = spec_of(settings)
    anatomy = anatomy_of(spec)
    assert anatomy.stages[spec.feature_stage] == row.feature
    check_stage(anatomy, spec.feature_stage, spec.image_size)
    mix_block = MixBlock(row.feature[0], MixBlockOptions(lam_embedding=settings.mix.lam_embedding))
    pairing = Pairing(perm=torch.zeros(1, dtype=torch.int64), lam=torch.full((1,), 0.3))
    projection = mix_block.project(torch.rand(1, *row.feature))
    mask = mix_block.mask(projection, pairing, (spec.image_size, spec.image_size), "nearest")
    assert sum(each.numel() for each in mix_block.parameters()) == row.parameters
    assert mask.shape == (1, 1, spec.image_size, spec.image_size)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_transformer_has_the_optimizer_of_its_row(name: str) -> None:
    optimizer = settings_of(name).optimizer
    assert (optimizer.name, optimizer.beta1, optimizer.beta2) == ("adamw", 0.9, 0.999)
    assert (optimizer.eps, optimizer.decay_norm_and_bias) == (1e-8, False)
    assert (optimizer.schedule, optimizer.schedule_unit) == ("cosine", "step")
    assert optimizer.warmup_epochs == (5 if "deit" in name or "pvt" in name else 20)
    assert optimizer.warmup_ratio == (1e-6 if "pvt" in name else 1e-5)
    assert not optimizer.mix_block_warmup
    clip_norm = None if "convnext" in name else 10 if name.startswith("cifar100") else 5
    assert optimizer.clip_norm == clip_norm


@pytest.mark.parametrize("name", CNNS)
def test_a_convolutional_network_has_the_optimizer_of_its_row(name: str) -> None:
    optimizer = settings_of(name).optimizer
    assert (optimizer.name, optimizer.momentum, optimizer.nesterov) == ("sgd", 0.9, False)
    assert (optimizer.schedule, optimizer.schedule_unit) == ("cosine", "epoch")
    assert (optimizer.warmup_epochs, optimizer.clip_norm) == (0, None)
    assert optimizer.decay_norm_and_bias
    assert optimizer.mix_block_momentum == (0 if "wrn" in name else None)


@pytest.mark.parametrize(("name", "size", "level"), [("a2", 224, 7), ("a3", 160, 6)])
def test_the_recipes_of_resnet_strikes_back_are_its_own(name: str, size: int, level: int) -> None:
    settings = settings_of(f"imagenet-r50-rsb-{name}")
    optimizer, data = settings.optimizer, settings.data
    assert (optimizer.name, optimizer.eps, optimizer.clip_norm) == ("lamb", 1e-6, 1.0)
    assert settings.mix.loss == "bce"
    assert (optimizer.warmup_epochs, optimizer.decay_norm_and_bias) == (5, False)
    assert (data.image_size, data.test_crop_ratio) == (size, 0.95)
    assert (data.rand_augment, data.rand_augment_magnitude) == ("openmixup_increasing", level)
    assert data.repeats == (3 if name == "a2" else 1)
    assert data.erase_probability == 0


@pytest.mark.parametrize("name", [name for name in ROWS if not name.startswith("cifar")])
def test_larger_images_are_cropped_at_random_and_judged_in_their_middle(name: str) -> None:
    data = settings_of(name).data
    is_tiny = name.startswith("tiny")
    fine = name.startswith(("cub200", "aircraft"))
    assert data.crop == "random_resized"
    assert data.crop_scale_min == (0.5 if fine else 0.08)
    assert data.resize == (256 if fine else None)
    assert data.interpolation == "bicubic"
    if "rsb" not in name:
        assert data.image_size == (64 if is_tiny else 224)
        assert data.test_crop_ratio == (1.0 if is_tiny else 0.875)
    policy = {"deit": "timm", "swin": "timm", "convnext": "timm", "pvt": "openmixup_increasing"}
    wanted = policy.get(name.split("-")[1], "openmixup_increasing" if "rsb" in name else "none")
    assert data.rand_augment == wanted
    assert data.erase_probability == (0.25 if name in TRANSFORMERS else 0)


@pytest.mark.parametrize("name", ["cifar100-deit-s", "cifar100-swin-t", "cifar100-convnext-t"])
def test_transformers_see_cifar_with_random_operations(name: str) -> None:
    data = settings_of(name).data
    assert (data.rand_augment, data.rand_augment_magnitude) == ("openmixup", 7)
    assert (data.rand_augment_ops, data.rand_augment_std) == (2, 0.5)
    assert data.erase_probability == 0
    if name == "cifar100-convnext-t":
        assert (data.image_size, data.crop, data.crop_padding) == (None, "pad", 4)
    else:
        assert (data.image_size, data.crop, data.crop_scale_min) == (224, "random_resized", 0.8)
        assert data.test_crop_ratio == 1.0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cifar100-r18", "0.75 lower"),
        ("cifar100-deit-s", "asks for 1,000 classes"),
        ("aircraft-rx50", "reads the images of CUB-200"),
        ("imagenet-swin-t", "masks of 112x112"),
        ("imagenet-convnext-t", "expects 768 channels"),
        ("imagenet-pvt-t", "THE BACKBONE IS PVT v2 B1"),
        ("imagenet-r50-rsb-a3", "no settings for AutoMix"),
        ("cub200-r18", "Training starts from torchvision's ImageNet weights"),
        ("imagenet-r50", "a slip of the reference"),
    ],
)
def test_it_says_what_is_wrong_with_the_reference_s_file_or_with_itself(
    name: str, said: str
) -> None:
    text = " ".join(presets.read(name).text.replace("#", " ").split())
    assert said in text
