"""From a section of the settings to the object it describes: the only such place.

Below this module nobody sees the settings: classes take plain arguments, and are usable without
the program.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from automix_cli.data.batches import BatchPlan
from automix_cli.data.datasets import DataSplits
from automix_cli.engine.loop import Draw, Plan
from automix_cli.engine.step import StepValues
from automix_cli.errors import SettingsError
from automix_cli.method import (
    AutoMix,
    AutoMixOptions,
    MixBlock,
    MixBlockOptions,
    RivalOptions,
    RivalTraining,
    sample_draws,
    schedules,
)
from automix_cli.models.classifier import Classifier, ClassifierSpec, build_classifier
from automix_cli.settings import (
    MixSettings,
    ModelSettings,
    OptimizerSettings,
    Settings,
)

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
    images = splits.train.images
    network = classifier(
        model,
        num_classes=len(splits.train.class_names),
        in_channels=images.shape[1],
        size=images.shape[2],
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
    image = torch.zeros(1, *splits.train.images.shape[1:])
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


def optimizer(settings: OptimizerSettings, model: nn.Module) -> Optimizer:
    """SGD or AdamW over classifier and mix block; the momentum classifier is in no group.

    Groups are named `classifier` and `mix_block`, each with a `/no_decay` twin when norms and
    biases are spared. The learning rates are written by the training step.
    """
    groups: list[dict[str, object]] = []
    for name, module in model.named_children():
        if name == "momentum_classifier":
            continue
        momentum = settings.mix_block_momentum if name == "mix_block" else None
        for suffix, parameters in _by_decay(module, decay_all=settings.decay_norm_and_bias).items():
            if not parameters:
                continue
            group: dict[str, object] = {"name": f"{name}{suffix}", "params": parameters}
            group["weight_decay"] = settings.weight_decay if suffix == "" else 0.0
            if momentum is not None and settings.name == "sgd":
                group["momentum"] = momentum
            groups.append(group)
    if settings.name == "adamw":
        betas = (settings.beta1, settings.beta2)
        return torch.optim.AdamW(
            groups, lr=settings.lr, betas=betas, eps=settings.eps, foreach=True
        )
    return torch.optim.SGD(
        groups,
        lr=settings.lr,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        foreach=True,
    )


def _by_decay(module: nn.Module, *, decay_all: bool) -> dict[str, list[nn.Parameter]]:
    """Split parameters into those that decay and, unless all do, norms, biases and embeddings."""
    kept: dict[str, list[nn.Parameter]] = {"": [], "/no_decay": []}
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        spared = parameter.ndim <= 1 or name.endswith(("cls_token", "pos_embed", "bias_table"))
        kept["/no_decay" if spared and not decay_all else ""].append(parameter)
    return kept


def batch_plan(settings: Settings, *, rank: int, num_ranks: int) -> BatchPlan:
    """How an epoch is cut into batches and shared out over the processes."""
    return BatchPlan(
        batch_size=settings.train.batch_size,
        accumulation_steps=settings.train.accumulation_steps,
        drop_last=settings.train.drop_last,
        crop_padding=settings.data.crop_padding,
        flip=settings.data.flip,
        seed=settings.run.seed,
        rank=rank,
        num_ranks=num_ranks,
    )


def plan(settings: Settings, steps_per_epoch: int) -> Plan:
    """How long the run is, and how often it logs, evaluates and saves."""
    train = settings.train
    steps = train.epochs * steps_per_epoch
    return Plan(
        seed=settings.run.seed,
        total_steps=steps if train.max_steps is None else min(steps, train.max_steps),
        steps_per_epoch=steps_per_epoch,
        log_every=train.log_every,
        evaluate_every=train.evaluate_every,
        save_every=train.save_every,
        clip_norm=settings.optimizer.clip_norm,
    )


def values_at(settings: Settings, steps_per_epoch: int) -> Callable[[int], StepValues]:
    """All schedules as one function of the step; `train.max_steps` does not shorten them."""
    train, mix = settings.train, settings.mix
    total_steps = train.epochs * steps_per_epoch
    rate = learning_rate_schedule(settings.optimizer, train.epochs, steps_per_epoch)
    mix_block_rate = mix_block_schedule(settings.optimizer, rate)
    has_mix_block = mix.method == "automix"

    def mask_area_weight(step: int) -> float:
        return schedules.mask_area_weight(
            step, total_steps, base=mix.mask_area_weight, schedule=mix.mask_area_schedule
        )

    def values(step: int) -> StepValues:
        return StepValues(
            learning_rate=schedules.learning_rate(step, rate),
            mix_block_learning_rate=schedules.learning_rate(step, mix_block_rate)
            if has_mix_block
            else None,
            momentum_coefficient=schedules.momentum_coefficient(
                step,
                total_steps,
                base=train.momentum_coefficient,
                end=train.momentum_coefficient_end,
                constant_fraction=train.momentum_constant_fraction,
            ),
            of_method={"mask_area_weight": mask_area_weight(step)} if has_mix_block else {},
        )

    return values


def learning_rate_schedule(
    optimizer: OptimizerSettings, epochs: int, steps_per_epoch: int
) -> schedules.LearningRateSchedule:
    """The classifier's learning rate over the run."""
    return schedules.LearningRateSchedule(
        base=optimizer.lr,
        minimum=optimizer.min_lr,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        shape=optimizer.schedule,
        unit=optimizer.schedule_unit,
        warmup_epochs=optimizer.warmup_epochs,
        warmup_ratio=optimizer.warmup_ratio,
    )


def mix_block_schedule(
    optimizer: OptimizerSettings, shared: schedules.LearningRateSchedule
) -> schedules.LearningRateSchedule:
    """The mix block's learning rate: that of the classifier where it has none of its own."""
    least = optimizer.mix_block_min_lr
    return replace(
        shared,
        base=shared.base if optimizer.mix_block_lr is None else optimizer.mix_block_lr,
        minimum=shared.minimum if least is None else least,
        warmup_epochs=shared.warmup_epochs if optimizer.mix_block_warmup else 0.0,
    )
