"""THE training step: mix, forward, backward, step, then let the momentum classifier follow.

Everything random (`draws`) and everything scheduled (`values`) is handed in. The mixing and the
losses are in `method/automix.py`; who calls this, and when, is in `engine/loop.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple, cast

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from torch import Tensor, nn

from automix_cli.engine.runtime import average_buffers
from automix_cli.method import AutoMix, Draws, Losses


class MicroBatch(NamedTuple):
    """This process's part of a step, or of a fraction of it when gradients are accumulated."""

    images: Tensor  # (n, c, h, w) normalised
    labels: Tensor  # (n,)
    draws: Draws  # who is mixed with whom, and how much
    share: (
        float  # weight of these n images' mean loss; the shares of all processes sum to their count
    )


class StepValues(NamedTuple):
    """What the schedules say at one step."""

    learning_rate: float
    mix_block_learning_rate: float
    momentum_coefficient: float
    mask_area_weight: float


def train_step(
    accelerator: Accelerator,
    model: nn.Module,
    optimizer: AcceleratedOptimizer,
    micro_batches: Sequence[MicroBatch],
    values: StepValues,
    *,
    clip_norm: float | None = None,
) -> Losses:
    """One update of classifier and mix block, followed by the momentum classifier.

    The gradient is that of the mean over all images of the step on all processes, however they are
    shared out: DistributedDataParallel averages over processes, `share` corrects for unequal parts.

    Returns:
        This process's part of each mean loss, still on the device: nothing here waits for it.
    """
    for group in optimizer.param_groups:
        is_mix_block = group["name"].startswith("mix_block")
        group["lr"] = values.mix_block_learning_rate if is_mix_block else values.learning_rate

    parts: list[Losses] = []
    for number, batch in enumerate(micro_batches, start=1):
        is_last = number == len(micro_batches)
        with nullcontext() if is_last else accelerator.no_sync(model):
            losses: Losses = model(batch.images, batch.labels, batch.draws, values.mask_area_weight)
            accelerator.backward(losses.total * batch.share)
        parts.append(Losses(*(loss.detach() * batch.share for loss in losses)))

    if clip_norm is not None:
        accelerator.clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if not optimizer.step_was_skipped:  # fp16 skips a step whose gradients overflowed
        cast(AutoMix, accelerator.unwrap_model(model)).update_momentum(values.momentum_coefficient)
    average_buffers(accelerator, model)
    return Losses(*(torch.stack(cast(Any, each)).sum() for each in zip(*parts, strict=True)))
