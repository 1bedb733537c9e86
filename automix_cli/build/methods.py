"""The classifier, and the method that trains it: a learned mixer, or one of its rivals."""

from __future__ import annotations

import copy
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import nn

from automix_cli.build.starting import Start, begin_with, freeze
from automix_cli.data.datasets import DataSplits
from automix_cli.engine.loop import Draw
from automix_cli.engine.weights import read_weights
from automix_cli.errors import CheckpointError, SettingsError
from automix_cli.method import (
    AdaptiveMask,
    AdaptiveMaskOptions,
    AdAutoMix,
    AdAutoMixOptions,
    AutoMix,
    AutoMixOptions,
    MixBlock,
    MixBlockOptions,
    RivalOptions,
    RivalTraining,
    SAMixBlock,
    SAMixBlockOptions,
    sample_adautomix_draws,
    sample_draws,
)
from automix_cli.models.attender import Attender
from automix_cli.models.classifier import Classifier, ClassifierSpec, build_classifier
from automix_cli.models.memory_format import keep_in_one_piece, use_channels_last
from automix_cli.settings import MixSettings, ModelSettings
from automix_cli.settings.mix import LEARNED

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
        merged_feature=model.merged_feature,
    )
    try:
        network = build_classifier(spec)
    except ValueError as problem:
        raise SettingsError(f"cannot build the model: {problem}", hint="see `[model]`") from problem
    if model.channels_last:
        use_channels_last(network)
        if not torch.accelerator.is_available():  # it wants all weights channels last
            for stage, height, width in network.named_stages():
                keep_in_one_piece(stage, height, width)
    return network


def method(
    model: ModelSettings, mix: MixSettings, splits: DataSplits, start: Start | None = None
) -> nn.Module:
    """What is trained: a classifier, its momentum copy, and the way images are mixed.

    The classifier is built first, so that its first weights are the same whatever the method. Its
    momentum copy begins with the same weights and batch-norm statistics, frozen parts included.

    Raises:
        SettingsError: the model cannot be built, or cannot be trained with this method.
        CheckpointError: the weights to start with do not fit.
    """
    network = classifier(
        model,
        num_classes=len(splits.class_names),
        in_channels=splits.in_channels,
        size=splits.image_size,
    )
    if start is not None:
        begin_with(network, start, splits.class_names)
    freeze(network, model)
    if has_mix_block(mix):
        return learned(network, mix)
    return rival(network, mix, splits)


def learned(network: Classifier, mix: MixSettings) -> AutoMix | AdAutoMix:
    """Training with masks that are learned: one of `LEARNED`."""
    twin, block = copy.deepcopy(network), mix_block(network.feature_channels, mix)
    if isinstance(block, AdaptiveMask):
        return AdAutoMix(network, twin, block, _same_names(AdAutoMixOptions, mix))
    return AutoMix(network, twin, block, _same_names(AutoMixOptions, mix))


def mix_block(channels: int, mix: MixSettings) -> MixBlock | SAMixBlock | AdaptiveMask:
    """The mix block of one of `LEARNED`, for features of so many channels."""
    if mix.method == "adautomix":
        return AdaptiveMask(channels, _same_names(AdaptiveMaskOptions, mix))
    if mix.method == "samix":
        return SAMixBlock(channels, _same_names(SAMixBlockOptions, mix))
    return MixBlock(channels, _same_names(MixBlockOptions, mix))


def learned_options(mix: MixSettings) -> AutoMixOptions | AdAutoMixOptions:
    """What one of `LEARNED` is told besides its mix block."""
    if mix.method == "adautomix":
        return _same_names(AdAutoMixOptions, mix)
    return _same_names(AutoMixOptions, mix)


def rival(network: Classifier, mix: MixSettings, splits: DataSplits) -> RivalTraining:
    """Training with another mixer, which is shown one image to see that it can serve it.

    Raises:
        SettingsError: the mixer has no use for such images or such a network.
    """
    options = _same_names(RivalOptions, mix, pixel_std=splits.std)
    try:
        attend = None
        if mix.method == "attentivemix":
            attend = attender(mix, mean=splits.mean, std=splits.std, image_size=splits.image_size)
        training = RivalTraining(network, copy.deepcopy(network), options, attend)
        size = splits.image_size
        training.try_out(torch.zeros(1, splits.in_channels, size, size))
    except ValueError as problem:
        raise SettingsError(
            f"`mix.method` `{mix.method}` cannot train this model on these images: {problem}",
            hint="choose another `--method`, or other images",
        ) from problem
    return training


def attender(
    mix: MixSettings, *, mean: tuple[float, ...], std: tuple[float, ...], image_size: int
) -> Attender:
    """The pretrained network that AttentiveMix+ looks at images with, normalised and sized so.

    Raises:
        CheckpointError: its file is missing, broken, unsafe, or of another network.
    """
    path = cast(Path, mix.attention_checkpoint)  # wanted by a rule of the settings
    weights = read_weights(path)
    try:
        return Attender(
            mix.attention_backbone,
            weights,
            mean=mean,
            std=std,
            image_size=image_size,
        )
    except ValueError as problem:
        raise CheckpointError(
            f"cannot look at images with `{path}`: {problem}",
            hint="`mix.attention_backbone` names the timm model that the weights belong to",
        ) from problem


def _same_names(options: type[Options], mix: MixSettings, **others: object) -> Options:
    """Options whose fields have the names of settings, but for `others`."""
    names = [each.name for each in fields(cast(Any, options)) if each.name not in others]
    return options(**{name: getattr(mix, name) for name in names}, **others)


def draw(mix: MixSettings, device: torch.device) -> Draw:
    """What is random about a batch: a learned mixer's draws; a rival draws from the generator."""
    if mix.method == "adautomix":
        adversarial = _same_names(AdAutoMixOptions, mix)
        return lambda rng, n, *, step, shared_rng: sample_adautomix_draws(
            rng, n, adversarial, step=step, shared_rng=shared_rng
        ).to(device)
    if has_mix_block(mix):
        options = _same_names(AutoMixOptions, mix)
        return lambda rng, n, *, step, shared_rng: sample_draws(
            rng, n, options, shared_rng, step=step
        ).to(device)
    return lambda rng, n, *, step, shared_rng: rng


def has_mix_block(mix: MixSettings) -> bool:
    """Whether the method is one whose masks are learned."""
    return mix.method in LEARNED


def has_rests(mix: MixSettings) -> bool:
    """Whether there are steps at which the mix block has no gradient."""
    return has_mix_block(mix) and mix.mix_block_interval > 1
