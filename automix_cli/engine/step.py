"""THE training step: mix, forward, backward, step, then let the momentum classifier follow.

Everything random (`draws`) and everything scheduled (`values`) is handed in. The mixing and the
losses are the method's, `method/automix.py` or `method/rival_training.py`: a module from images,
labels and draws to losses by name. Who calls this, and when, is in `engine/loop.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple, Protocol, cast

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from torch import Tensor, nn

from automix_cli.engine.runtime import average_buffers


class NamedLosses(Protocol):
    """What a method's forward returns: a `NamedTuple` of scalars, of which `total` is minimised."""

    total: Any
    _fields: Any
    _make: Any

    def __iter__(self) -> Iterator[Tensor]:
        """Every loss, in the order of its names."""
        ...


class MicroBatch(NamedTuple):
    """This process's part of a step, or of a fraction of it when gradients are accumulated."""

    images: Tensor  # (n, c, h, w) normalised
    labels: Tensor  # (n,)
    draws: Any  # all that is random about them, as the method wants it
    share: (
        float  # weight of these n images' mean loss; the shares of all processes sum to their count
    )


class StepValues(NamedTuple):
    """What the schedules say at one step."""

    learning_rate: float
    mix_block_learning_rate: float | None  # None: the method has no mix block
    momentum_coefficient: float | None  # None: nothing follows the network that is trained
    of_method: Mapping[str, float]  # what else its forward takes, by name

    def by_name(self) -> dict[str, float]:
        """Every value that this method has."""
        named = {name: each for name, each in self._asdict().items() if each is not None}
        del named["of_method"]
        return {**named, **self.of_method}


def train_step(
    accelerator: Accelerator,
    model: nn.Module,
    optimizer: AcceleratedOptimizer,
    micro_batches: Sequence[MicroBatch],
    values: StepValues,
    *,
    clip_norm: float | None = None,
) -> NamedLosses:
    """One update of what the method trains, followed by its momentum classifier.

    The gradient is that of the mean over all images of the step on all processes, however they are
    shared out: DistributedDataParallel averages over processes, `share` corrects for unequal parts.

    Returns:
        This process's part of each mean loss, still on the device: nothing here waits for it.
    """
    for group in optimizer.param_groups:
        is_mix_block = group["name"].startswith("mix_block")
        rate = values.mix_block_learning_rate if is_mix_block else values.learning_rate
        group["lr"] = rate if rate is None else rate * group.get("lr_scale", 1.0)

    parts: list[NamedLosses] = []
    for number, batch in enumerate(micro_batches, start=1):
        is_last = number == len(micro_batches)
        with nullcontext() if is_last else accelerator.no_sync(model):
            losses = model(batch.images, batch.labels, batch.draws, **values.of_method)
            accelerator.backward(losses.total * batch.share)
        parts.append(losses._make(loss.detach() * batch.share for loss in losses))

    if clip_norm is not None:
        accelerator.clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    # fp16 skips a step whose gradients overflowed
    if values.momentum_coefficient is not None and not optimizer.step_was_skipped:
        cast(Any, accelerator.unwrap_model(model)).update_momentum(values.momentum_coefficient)
    average_buffers(accelerator, model)
    return parts[0]._make(torch.stack(each).sum() for each in zip(*parts, strict=True))
