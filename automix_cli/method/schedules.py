"""Everything that changes over a run, as a function of the step.

A step is one optimizer update, counted from 0. Nothing here remembers anything: a run resumed at a
step goes on with the values it would have had.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Float64


@dataclass(frozen=True, kw_only=True)
class LearningRateSchedule:
    """A learning rate over a run: base, minimum, warm-up; the mix block may have one of its own."""

    base: float
    """Highest rate, reached after the warm-up."""

    minimum: float = 0.0
    """Rate that the cosine ends at; <= `base`."""

    epochs: int
    """Length of the run, >= 1."""

    steps_per_epoch: int
    """Steps in each epoch, >= 1."""

    shape: Literal["cosine", "constant", "steps"] = "cosine"
    """Half a cosine from `base` to `minimum`, `base` throughout, or a tenth of the rate before at
    the start of each epoch of `drop_epochs`."""

    unit: Literal["epoch", "step"] = "epoch"
    """Whether the cosine moves with each epoch (the reference's CNNs) or each step (its ViTs)."""

    drop_epochs: tuple[float, ...] = ()
    """When the rate of `steps` falls, in epochs from the start."""

    warmup_epochs: float = 0.0
    """Length of the linear warm-up, 0 for none."""

    warmup_ratio: float = 1e-5
    """Share of the rate at the first step of the warm-up; in [0, 1]."""

    @property
    def total(self) -> int:
        """Number of steps in the run."""
        return self.epochs * self.steps_per_epoch


def learning_rate(step: int, schedule: LearningRateSchedule) -> float:
    """Learning rate of a step.

    minimum + (base - minimum) (1 + cos(pi t)) / 2, with t = epoch / epochs or step / total; or base
    / 10^d after d drops; times a factor that rises linearly from `warmup_ratio` to 1 during the
    warm-up.

    Raises:
        ValueError: if the step is not in the run.

    Source:
        mmcv `CosineAnnealingLrUpdaterHook` with linear warm-up, as the reference uses it;
        `steps`: mmcv `StepLrUpdaterHook`. No difference.
    """
    _require_step(step, schedule.total)
    rate = schedule.base
    if schedule.shape == "cosine":
        epoch = step // schedule.steps_per_epoch
        by_epoch = schedule.unit == "epoch"
        progress = epoch / schedule.epochs if by_epoch else step / schedule.total
        rate = schedule.minimum + (schedule.base - schedule.minimum) * _half_cosine(progress)
    if schedule.shape == "steps":
        passed = step / schedule.steps_per_epoch
        rate /= 10 ** sum(passed >= drop for drop in schedule.drop_epochs)
    warmup = schedule.warmup_epochs * schedule.steps_per_epoch
    if step < warmup:
        rate *= 1 - (1 - step / warmup) * (1 - schedule.warmup_ratio)
    return rate


def momentum_coefficient(
    step: int, total: int, *, base: float, end: float, constant_fraction: float
) -> float:
    """How much of the momentum classifier stays at a step; in [0, 1].

    `base` for the first part of the run, then end - (end - base) (1 + cos(pi step / total)) / 2.
    The cosine counts from the first step of the run, so there is a tiny jump where it takes over.

    Args:
        step: 0 <= step <= total.
        total: Number of steps in the run.
        base: Coefficient at the start.
        end: Coefficient at the end.
        constant_fraction: Length of the first part, a share of the run.

    Raises:
        ValueError: if the step is not in the run.

    Source:
        The paper's cosine; OpenMixup `CosineScheduleHook` with a constant warm-up. No difference.
    """
    _require_step(step, total)
    if step < constant_fraction * total:
        return base
    return end - (end - base) * _half_cosine(step / total)


def mask_area_weight(
    step: int,
    total: int,
    *,
    base: float,
    schedule: Literal["constant", "cosine", "linear", "openmixup_compounding"],
) -> float:
    """Weight of the mask-area loss at a step: `base` at the start, 0 at the end unless constant.

    Args:
        step: 0 <= step <= total.
        total: Number of steps in the run.
        base: Weight at the first step, >= 0.
        schedule: Way down. `openmixup_compounding` is the product of the cosine's factors at all
            steps so far: 10 % of `base` after 1.8 % of a run of 500,000 steps.

    Raises:
        ValueError: if the step is not in the run.

    Source:
        The paper lowers the weight linearly. OpenMixup: constant on CIFAR; elsewhere
        `CustomCosineAnnealingHook`, meant to be the cosine, which multiplies what it wrote the step
        before, hence the product.
    """
    _require_step(step, total)
    if schedule == "cosine":
        return base * _half_cosine(step / total)
    if schedule == "linear":
        return base * (1 - step / total)
    if schedule == "openmixup_compounding":
        return base * float(_compounded_half_cosines(total)[step])
    return base


def one_hot_weight(step: int, total: int, *, base: float, fraction: float) -> float:
    """Weight of the loss on clean images at a step: `base`, and 0 after a share of the run.

    Args:
        step: 0 <= step <= total.
        total: Number of steps in the run.
        base: Weight at the start, >= 0.
        fraction: Share of the run with this weight, in [0, 1]: steps below `fraction * total`.

    Raises:
        ValueError: if the step is not in the run.

    Source:
        Ours: part of fast mode. The paper and OpenMixup keep the weight.
    """
    _require_step(step, total)
    return base if step < fraction * total else 0.0


def _half_cosine(progress: float) -> float:
    """1 at progress 0, 1/2 halfway, 0 at progress 1."""
    return (1 + math.cos(math.pi * progress)) / 2


@lru_cache(maxsize=1)
def _compounded_half_cosines(total: int) -> Float64[np.ndarray, " steps"]:
    """The product over all i <= step of (1 + cos(pi i / total)) / 2, for every step at once."""
    return np.cumprod((1 + np.cos(np.pi * np.arange(total + 1) / total)) / 2)


def _require_step(step: int, total: int) -> None:
    if not 0 <= step <= total:
        raise ValueError(f"`step` must be in [0, {total}], got `{step}`")
