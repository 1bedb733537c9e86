"""Every preset is built as it is, and takes a step on a few small images.

What is reduced: two images of random pixels in three classes, at the smallest size whose last
feature map still has more than one cell (for batch norm). Depth, width, mix block, augmentation,
optimizer and schedules are the preset's own. Where several presets describe the same ResNet, word
for word, one of them is built in full; the others have a thin one in its place, and are built in
full by the slow tests.
"""

import copy
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from automix_cli import build, presets
from automix_cli.data.datasets import DataSplits
from automix_cli.data.image_set import ImageSet
from automix_cli.engine.loop import Training, micro_batches
from automix_cli.engine.runtime import build_accelerator, prepare
from automix_cli.engine.step import train_step
from automix_cli.errors import SettingsError
from automix_cli.settings import Settings
from automix_cli.settings.keys import all_keys
from automix_cli.settings.layering import Flag, Overrides, load

CLASSIFIERS = tuple(name for name in presets.names() if name != presets.DETECTION)
NEEDS_A_FILE = "attentivemix"
METHODS = tuple(each for each in all_keys()["mix.method"].choices if each != NEEDS_A_FILE)
UNLIKE_BACKBONES = {
    "cifar100-wrn28-8": ("transmix",),  # no class token
    "cifar100-convnext-t": ("transmix",),
    "imagenet-deit-s": ("snapmix", "manifoldmix", "alignmix"),  # no feature maps
    "imagenet-swin-t": ("snapmix", "manifoldmix", "alignmix", "transmix"),  # channels last
}
"""By preset, the methods that its backbone cannot serve."""


@cache
def settings_of(name: str, method: str | None = None) -> Settings:
    flags = () if method is None else (Flag("--method", "mix.method", method),)
    return load(Overrides(preset=name, flags=flags), environment={})[0]


def reduced(settings: Settings) -> Settings:
    """Batches of two images: of 16 pixels behind a stem for small images, of 64 behind ImageNet's.

    Nothing but their number and size is changed.
    """
    has_small_stem = settings.model.stem == "cifar" or "wide" in settings.model.backbone
    data = {"image_size": 16 if has_small_stem else 64, "resize": None, "crop_padding": 0}
    train = {"batch_size": 2, "accumulation_steps": 1}
    return settings.model_copy(
        update={
            "data": settings.data.model_copy(update=data),
            "train": settings.train.model_copy(update=train),
        }
    )


def two_images(settings: Settings) -> DataSplits:
    size, channels = settings.data.image_size, 1 if settings.data.name == "digits" else 3
    pixels = np.random.default_rng(0).integers(256, size=(2, channels, size, size), dtype=np.uint8)
    images = ImageSet(torch.from_numpy(pixels), torch.tensor([0, 2]), ("a", "b", "c"))
    mean, std = (0.5,) * channels, (0.25,) * channels
    return DataSplits(images, images, None, mean, std, settings.data.name, size, "pad")


@cache
def repeated() -> frozenset[str]:
    """The presets of ResNets whose `[model]` is another's, which comes before them."""
    seen: set[str] = set()
    again: set[str] = set()
    for name in CLASSIFIERS:
        model = settings_of(name).model
        described = str(model.model_copy(update={"init": None}))
        if model.backbone.startswith("res") and described in seen:
            again.add(name)
        seen.add(described)
    return frozenset(again)


class Step:
    """What the settings describe, reduced and built, and about to learn."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings = reduced(settings)
        splits = two_images(settings)
        method = build.method(settings.model, settings.mix, splits)
        accelerator = build_accelerator(device="cpu", mixed_precision="no")
        model, optimizer = prepare(accelerator, method, build.optimizer(settings.optimizer, method))
        batches = build.train_batches(
            settings, splits, rank=0, num_ranks=1, device=accelerator.device
        )
        values_at = build.values_at(settings, steps_per_epoch=100)
        draw = build.draw(settings.mix, accelerator.device)
        self.training = Training(accelerator, model, optimizer, batches, values_at, draw)
        self.model: Any = model

    def take(self) -> dict[str, torch.Tensor]:
        """Learn once; the losses."""
        losses = train_step(
            self.training.accelerator,
            self.model,
            self.training.optimizer,
            micro_batches(self.training, seed=0, step=0),
            self.training.values_at(500),  # well within every warm-up, or behind it
            clip_norm=self.settings.optimizer.clip_norm,
        )
        return losses._asdict()


def check_step(settings: Settings) -> None:
    with torch.random.fork_rng():
        step = Step(settings)
        mix_block = copy.deepcopy(step.model.mix_block)
        losses = step.take()
    assert {"total", "one_hot", "mixed", "mix_block", "mask_area"} <= losses.keys()
    assert all(bool(torch.isfinite(loss)) for loss in losses.values())
    assert losses["total"] > 0
    assert all(bool(torch.isfinite(each).all()) for each in step.model.parameters())
    pairs = zip(mix_block.parameters(), step.model.mix_block.parameters(), strict=True)
    assert any(not torch.equal(before, after) for before, after in pairs)
    # The momentum classifier was a copy of the classifier, and hardly moves: what differs now is
    # what the step changed. Norms that start at zero keep their branches from learning at once.
    learned = list(step.model.classifier.parameters())
    averaged = step.model.momentum_classifier.parameters()
    moved = [not torch.equal(*each) for each in zip(learned, averaged, strict=True)]
    assert sum(moved) > 0.3 * len(learned)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_preset_takes_a_step(name: str) -> None:
    settings = settings_of(name)
    if name in repeated():
        thin = settings.model.model_copy(update={"backbone": "tiny_resnet", "stem": "cifar"})
        settings = settings.model_copy(update={"model": thin})
    check_step(settings)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(repeated()))
def test_a_preset_of_a_network_that_another_has_takes_a_step(name: str) -> None:
    check_step(settings_of(name))


@pytest.mark.parametrize("method", METHODS)
def test_presets_are_valid_with_every_method(method: str) -> None:
    unlike = {str(settings_of(name).mix): name for name in CLASSIFIERS}  # one of each [mix]
    assert len(unlike) > 4
    for name in unlike.values():
        assert settings_of(name, method).mix.method == method


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", UNLIKE_BACKBONES)
def test_a_backbone_serves_every_method_that_it_can(name: str, method: str) -> None:
    with torch.random.fork_rng():
        if method in UNLIKE_BACKBONES[name]:
            with pytest.raises(SettingsError, match=f"`{method}` cannot train this model"):
                Step(settings_of(name, method))
            return
        losses = Step(settings_of(name, method)).take()
    assert all(bool(torch.isfinite(loss)) for loss in losses.values())
