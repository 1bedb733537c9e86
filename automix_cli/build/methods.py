"""The classifier, and the method that trains it: AutoMix, or one of its rivals."""

from __future__ import annotations

import copy
from dataclasses import fields
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import nn

from automix_cli.data.datasets import DataSplits
from automix_cli.engine.loop import Draw
from automix_cli.errors import SettingsError
from automix_cli.method import (
    AutoMix,
    AutoMixOptions,
    MixBlock,
    MixBlockOptions,
    RivalOptions,
    RivalTraining,
    sample_draws,
)
from automix_cli.models.classifier import Classifier, ClassifierSpec, build_classifier
from automix_cli.settings import MixSettings, ModelSettings

Options = TypeVar("Options")


def classifier(
    model: ModelSettings, *, num_classes: int, in_channels: int, size: int
) -> Classifier:
    """The network that `[model]` describes, for images of `size` x `size` pixels.

    Raises:
        SettingsError: no such backbone, stem or feature stage.
    """
    spec = ClassifierSpec(
        backbone=model.backbone,
        stem=model.stem,
        num_classes=num_classes,
        in_channels=in_channels,
        image_size=size,
        feature_stage=model.feature_stage,
        drop_path_rate=model.drop_path_rate,
    )
    try:
        return build_classifier(spec)
    except ValueError as problem:
        raise SettingsError(f"cannot build the model: {problem}", hint="see `[model]`") from problem


def method(model: ModelSettings, mix: MixSettings, splits: DataSplits) -> nn.Module:
    """What is trained: a classifier, its momentum copy, and the way images are mixed.

    The classifier is built first, so that its first weights are the same whatever the method.

    Raises:
        SettingsError: the model cannot be built, or cannot be trained with this method.
    """
    network = classifier(
        model,
        num_classes=len(splits.class_names),
        in_channels=splits.in_channels,
        size=splits.image_size,
    )
    if mix.method != "automix":
        return rival(network, mix, splits)
    mix_block = MixBlock(network.feature_channels, _same_names(MixBlockOptions, mix))
    return AutoMix(network, copy.deepcopy(network), mix_block, automix_options(mix))


def rival(network: Classifier, mix: MixSettings, splits: DataSplits) -> RivalTraining:
    """Training with another mixer, which is shown one image to see that it can serve it.

    Raises:
        SettingsError: the mixer has no use for such images or such a network.
    """
    options = _same_names(RivalOptions, mix, pixel_std=splits.std)
    training = RivalTraining(network, copy.deepcopy(network), options)
    image = torch.zeros(1, splits.in_channels, splits.image_size, splits.image_size)
    try:
        training.mix(image, torch.zeros(1, dtype=torch.int64), np.random.default_rng(0))
    except ValueError as problem:
        raise SettingsError(
            f"`mix.method` `{mix.method}` cannot train this model on these images: {problem}",
            hint="choose another `--method`, or other images",
        ) from problem
    return training


def automix_options(mix: MixSettings) -> AutoMixOptions:
    """The options of the method; they have the names of the settings."""
    return _same_names(AutoMixOptions, mix)


def _same_names(options: type[Options], mix: MixSettings, **others: object) -> Options:
    """Options whose fields have the names of settings, but for `others`."""
    names = [each.name for each in fields(cast(Any, options)) if each.name not in others]
    return options(**{name: getattr(mix, name) for name in names}, **others)


def draw(mix: MixSettings, device: torch.device) -> Draw:
    """What is random about a batch: AutoMix's draws; of a rival, the generator it draws from."""
    if mix.method != "automix":
        return lambda rng, n, shared_rng: rng
    options = automix_options(mix)
    return lambda rng, n, shared_rng: sample_draws(rng, n, options, shared_rng).to(device)
