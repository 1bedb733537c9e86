"""What a method is trained with: optimizer, batches, the plan of the run and its schedules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from timm.optim.lamb import Lamb
from torch import nn
from torch.optim import Optimizer

from automix_cli.build.data import batches
from automix_cli.build.methods import has_mix_block
from automix_cli.data.batch_plan import Batches, BatchPlan
from automix_cli.data.datasets import DataSplits
from automix_cli.engine.loop import Plan
from automix_cli.engine.step import StepValues
from automix_cli.errors import SettingsError
from automix_cli.method import schedules
from automix_cli.models.freezing import Freezable
from automix_cli.models.layers import layers_of
from automix_cli.settings import OptimizerSettings, Settings
from automix_cli.settings.training import drop_epochs

EMBEDDINGS = ("cls_token", "pos_embed", "bias_table")
"""How the names of parameters end that are spared from weight decay like biases."""


def optimizer(settings: OptimizerSettings, model: nn.Module) -> Optimizer:
    """SGD, AdamW or LAMB over classifier and mix block; the momentum classifier is in no group.

    Groups are named `classifier` and `mix_block`, with `layer_decay` one of each layer such as
    `classifier/layer3`, each with a `/no_decay` twin when norms and biases are spared. The learning
    rates are written by the training step, which multiplies that of a group by its `lr_scale`.

    Raises:
        SettingsError: `layer_decay` is set, and the backbone does not say what its layers are.
    """
    groups: list[dict[str, object]] = []
    for name, module in model.named_children():
        if name == "momentum_classifier":
            continue
        momentum = settings.mix_block_momentum if name == "mix_block" else None
        for suffix, parameters in _grouped(module, settings).items():
            group: dict[str, object] = {"name": f"{name}{suffix.name}", "params": parameters}
            group["weight_decay"] = settings.weight_decay if suffix.decays else 0.0
            group["lr_scale"] = suffix.lr_scale
            if momentum is not None and settings.name == "sgd":
                group["momentum"] = momentum
            groups.append(group)
    betas = (settings.beta1, settings.beta2)
    if settings.name == "adamw":
        return torch.optim.AdamW(
            groups, lr=settings.lr, betas=betas, eps=settings.eps, foreach=True
        )
    if settings.name == "lamb":
        # Left to itself it clips gradients to a norm of 1; here `optimizer.clip_norm` says that.
        return Lamb(groups, lr=settings.lr, betas=betas, eps=settings.eps, max_grad_norm=None)
    return torch.optim.SGD(
        groups,
        lr=settings.lr,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        foreach=True,
    )


class Treatment(NamedTuple):
    """How the parameters of a group are treated."""

    name: str  # behind that of the network
    decays: bool
    lr_scale: float


def _grouped(module: nn.Module, settings: OptimizerSettings) -> dict[Treatment, list[nn.Parameter]]:
    """Trained parameters by layer, if layers differ, and, unless all decay, by whether they do.

    Norms, biases and embeddings are those that are spared.
    """
    layers: dict[str, int] = {}
    if settings.layer_decay != 1 and isinstance(module, Freezable):
        try:
            layers = layers_of(module, coarse=False)
        except ValueError as problem:
            raise SettingsError(
                f"cannot scale learning rates by layer: {problem}",
                hint="leave out `optimizer.layer_decay`",
            ) from problem
    last = max(layers.values(), default=0)
    groups: dict[Treatment, list[nn.Parameter]] = {}
    named = [pair for pair in module.named_parameters() if pair[1].requires_grad]
    for spares in (False, True):  # those that decay come first
        for name, parameter in named:
            is_spared = parameter.ndim <= 1 or name.endswith(EMBEDDINGS)
            if (is_spared and not settings.decay_norm_and_bias) != spares:
                continue
            layer = f"/layer{layers[name]}" if layers else ""
            scale = settings.layer_decay ** (last - layers[name]) if layers else 1.0
            treatment = Treatment(f"{layer}{'/no_decay' if spares else ''}", not spares, scale)
            groups.setdefault(treatment, []).append(parameter)
    return groups


def train_batches(
    settings: Settings, splits: DataSplits, *, rank: int, num_ranks: int, device: torch.device
) -> Batches:
    """The training batches of one process, by step.

    Raises:
        SettingsError: batch, padding or `train.drop_last` do not fit the processes and images.
    """
    part = batch_plan(settings, len(splits.train), rank, num_ranks, repeats=settings.data.repeats)
    try:
        return batches(settings.data, splits, part, device)
    except ValueError as problem:
        raise SettingsError(
            f"cannot make training batches: {problem}", hint="see `[train]` and `[data]`"
        ) from problem


def batch_plan(
    settings: Settings, num_images: int, rank: int, num_ranks: int, *, repeats: int = 1
) -> BatchPlan:
    """How the training images are shared out.

    Raises:
        SettingsError: batch or `train.drop_last` do not fit the processes and images.
    """
    try:
        return BatchPlan(
            num_images=num_images,
            batch_size=settings.train.batch_size,
            accumulation_steps=settings.train.accumulation_steps,
            drop_last=settings.train.drop_last,
            seed=settings.run.seed,
            rank=rank,
            num_ranks=num_ranks,
            repeats=repeats,
        )
    except ValueError as problem:
        raise SettingsError(
            f"cannot make training batches: {problem}", hint="see `[train]` and `[data]`"
        ) from problem


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

    def of_method(step: int) -> dict[str, float]:
        if mix.method not in ("automix", "samix"):
            return {}
        weight = schedules.mask_area_weight(
            step, total_steps, base=mix.mask_area_weight, schedule=mix.mask_area_schedule
        )
        values = {"mask_area_weight": weight}
        if mix.one_hot_fraction < 1:
            values["one_hot_weight"] = schedules.one_hot_weight(
                step, total_steps, base=mix.one_hot_weight, fraction=mix.one_hot_fraction
            )
        return values

    def values(step: int) -> StepValues:
        return StepValues(
            learning_rate=schedules.learning_rate(step, rate),
            mix_block_learning_rate=schedules.learning_rate(step, mix_block_rate)
            if has_mix_block(mix)
            else None,
            momentum_coefficient=schedules.momentum_coefficient(
                step,
                total_steps,
                base=train.momentum_coefficient,
                end=train.momentum_coefficient_end,
                constant_fraction=train.momentum_constant_fraction,
            ),
            of_method=of_method(step),
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
        drop_epochs=drop_epochs(optimizer),
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
