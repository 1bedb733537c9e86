"""Repeat the training step: when to log, evaluate, save and stop.

The loop knows steps and epochs; what an evaluation is, where a record goes and how a file is
written are callables in `Hooks`. All randomness of step k comes from `(seed, k, rank)`, and every
schedule is a function of k, so the loop can begin at any step and do what an uninterrupted run
would have done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from torch import Tensor, nn

from automix_cli.data.batch_plan import Batches
from automix_cli.engine.finite import refuse_losses, refuse_scale, refuse_state, state_of
from automix_cli.engine.runtime import seed_step
from automix_cli.engine.step import MicroBatch, NamedLosses, StepValues, train_step
from automix_cli.errors import Interrupted
from automix_cli.randomness import Purpose, stream


class Draw(Protocol):
    """All that is random about some images, as the method wants it, on the training device."""

    def __call__(
        self, rng: np.random.Generator, n: int, *, step: int, shared_rng: np.random.Generator
    ) -> Any:
        """Draw for n images of a step.

        Args:
            rng: This process's generator for them.
            n: How many they are.
            step: Number of the step in the run, from 0.
            shared_rng: A generator in the same state on every process.
        """
        ...


@dataclass(frozen=True)
class Training:
    """What is trained, with what."""

    accelerator: Accelerator
    model: nn.Module
    optimizer: AcceleratedOptimizer
    batches: Batches
    values_at: Callable[[int], StepValues]
    draw: Draw


@dataclass(frozen=True)
class Plan:
    """How long, and how often. Steps are optimizer steps, whatever the number of processes."""

    seed: int
    total_steps: int
    steps_per_epoch: int
    log_every: int
    evaluate_every: int
    save_every: int | None
    clip_norm: float | None

    def is_epoch_end(self, step: int) -> bool:
        """Whether `step` updates are a whole number of epochs, or all there are."""
        return step % self.steps_per_epoch == 0 or step == self.total_steps

    def wants_evaluation(self, step: int) -> bool:
        """Whether to evaluate after `step` updates: every few epochs, and at the end."""
        if step == self.total_steps:
            return True
        return step % (self.steps_per_epoch * self.evaluate_every) == 0

    def wants_saving(self, step: int) -> bool:
        """Whether to save after `step` updates: at the end of epochs, and every `save_every`."""
        return self.is_epoch_end(step) or bool(self.save_every and step % self.save_every == 0)


@dataclass
class TrainState:
    """All that changes during a run beside weights and optimizer; saved in every checkpoint."""

    step: int = 0
    seconds: float = 0.0
    names: tuple[str, ...] = ()  # of the losses
    sums: Tensor | None = None  # of each loss since the last record, on the device
    summed_steps: int = 0
    best: dict[str, float] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)  # the newest evaluation

    def add(self, losses: NamedLosses) -> None:
        """Add one step's losses to the running sums, without waiting for the device."""
        self.names = losses._fields
        stacked = torch.stack(list(losses)).float()
        self.sums = stacked if self.sums is None else self.sums + stacked
        self.summed_steps += 1


@dataclass(frozen=True)
class Hooks:
    """What the loop asks its caller to do; each is called on every process."""

    advance: Callable[[int], None]  # a step is done
    record: Callable[[Mapping[str, float]], None]  # write these numbers down
    evaluate: Callable[[], bool]  # measure, and say whether it is the best so far
    save: Callable[[bool], None]  # write a checkpoint; as the best one too?
    stop_signal: Callable[[], int]  # 0, or the number of the signal that asks to stop


def fit(training: Training, plan: Plan, state: TrainState, hooks: Hooks) -> None:
    """Train from `state.step` to the end of `plan`.

    Raises:
        DivergedError: a loss, a weight or a number beside them is not finite: which, between
            which steps; the step of `state` is then the last one taken.
        Interrupted: a signal asked to stop; the step was finished and a checkpoint saved.
    """
    training.model.train()
    last_good = check_finite(training, state, state.step)
    started = time.perf_counter() - state.seconds
    while state.step < plan.total_steps:
        values = training.values_at(state.step)
        state.add(take_step(training, plan, state.step))
        state.step += 1
        hooks.advance(state.step)

        stopping = hooks.stop_signal()
        saving = plan.wants_saving(state.step) or bool(stopping)
        if state.step % plan.log_every == 0 or plan.is_epoch_end(state.step):
            hooks.record({**values.by_name(), **mean_losses(training, state)})
        state.seconds = time.perf_counter() - started
        is_best = False
        if plan.wants_evaluation(state.step):
            last_good = check_finite(training, state, last_good)
            is_best = hooks.evaluate()
        if saving:  # an evaluation may have moved batch-norm buffers
            last_good = check_finite(training, state, last_good)
            hooks.save(is_best)
        if stopping:
            raise Interrupted(
                f"stopped by signal {stopping} after step {state.step}; the checkpoint is saved",
                exit_code=128 + stopping,
                hint="`automix train --resume` goes on from here, as if never stopped",
            )


def take_step(
    training: Training, plan: Plan, step: int, images: Sequence[MicroBatch] | None = None
) -> NamedLosses:
    """The update of one step, a function of the weights and the step's number alone.

    Args:
        training: What is trained.
        plan: The run's seed and clipping.
        step: Counted from 0.
        images: `micro_batches` of this step, if they are there already.

    Returns:
        This process's losses, on the device: nothing here waits for it.
    """
    if images is None:
        images = micro_batches(training, plan.seed, step)
    seed_step(plan.seed, step, training.accelerator.process_index)
    return train_step(
        training.accelerator,
        training.model,
        training.optimizer,
        images,
        training.values_at(step),
        clip_norm=plan.clip_norm,
    )


def micro_batches(training: Training, seed: int, step: int) -> list[MicroBatch]:
    """This process's images of a step, each micro-batch with its own draws."""
    rank = training.accelerator.process_index
    prepared: list[MicroBatch] = []
    for number, batch in enumerate(training.batches.at(step)):
        draws = training.draw(
            stream(Purpose.PAIRING, seed, step, number, rank + 1),
            len(batch.labels),
            step=step,
            shared_rng=stream(Purpose.PAIRING, seed, step, number, 0),
        )
        prepared.append(MicroBatch(batch.images, batch.labels, draws, batch.share))
    return prepared


def mean_losses(training: Training, state: TrainState) -> dict[str, float]:
    """Mean losses over all processes since the last record; the only host synchronisation.

    Raises:
        DivergedError: one of them is not finite.
    """
    assert state.sums is not None  # a step has been added, or there is nothing to record
    means = training.accelerator.reduce(state.sums / state.summed_steps, reduction="mean")
    named = dict(zip(state.names, cast(Tensor, means).tolist(), strict=True))
    first = state.step - state.summed_steps
    refuse_losses(named, lambda: _tensors(training), first, state.step)
    state.sums, state.summed_steps = None, 0
    return named


def check_finite(training: Training, state: TrainState, last_good: int) -> int:
    """Refuse to evaluate or save anything that is not finite.

    Args:
        training: Whose weights, buffers and optimizer are looked at.
        state: Whose running sums are looked at.
        last_good: Step after which all of it was finite.

    Returns:
        The present step, after which it is.

    Raises:
        DivergedError: names the first tensor that is not.
    """
    accelerator, tensors = training.accelerator, _tensors(training)
    if state.sums is not None:  # the only ones that differ between processes: all see the same
        sums = accelerator.reduce(state.sums, reduction="mean")
        tensors["running sum of the losses"] = cast(Tensor, sums)
    refuse_state(tensors, last_good, state.step)
    refuse_scale(accelerator, last_good, state.step)
    return state.step


def _tensors(training: Training) -> dict[str, Tensor]:
    return state_of(training.accelerator, training.model, training.optimizer)
