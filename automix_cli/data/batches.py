"""Batches as a function of the step: which images, in whose hands, with which crop.

Nothing here has a state that has to be saved. The order of epoch e is a permutation drawn from
(seed, e), what is done to image i in it is drawn from (seed, e, i), and a step is shared out over
ranks and micro-batches by arithmetic. So a run resumes at any step, and one process and many see
the same images, cut in the same way.

Legend: n images, c channels, h w pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from automix_cli.data.augment import (
    Augmentation,
    Normalization,
    crop_and_flip,
    draw_augmentation,
    pad_by_reflection,
)
from automix_cli.data.image_set import ImageSet
from automix_cli.randomness import Purpose, stream


class Batch(NamedTuple):
    """What one rank puts through the network at once.

    Attributes:
        images: `(n, c, h, w)`, float32, normalised.
        labels: `(n,)`, int64.
        share: Weight of this batch's mean losses, `n * (number of ranks) / (images of the step)`.
            With it, summing gradients over the micro-batches of a step and averaging them over
            ranks gives the gradient of the mean over all images of the step, however unevenly
            they are shared out. Over all batches of a step the shares sum to the number of ranks.
            0 for a batch that is there only to keep a rank in step with the others.
    """

    images: Tensor
    labels: Tensor
    share: float


@dataclass(frozen=True)
class BatchPlan:
    """How an epoch is divided into steps, and a step into the batches of each rank.

    Attributes:
        batch_size: Images per optimizer step, over all ranks and micro-batches.
        accumulation_steps: Micro-batches per step on each rank.
        drop_last: Leave out what does not fill a step, instead of a last short step.
        crop_padding: Pixels of reflection around an image before it is cropped back to its size.
        flip: Mirror half of the images left to right.
        seed: Seed of the run.
        rank: This process, in [0, num_ranks).
        num_ranks: Number of processes.

    Raises:
        ValueError: if a value is out of range, or `batch_size` cannot give every micro-batch of
            every rank an image.
    """

    batch_size: int
    accumulation_steps: int
    drop_last: bool
    crop_padding: int
    flip: bool
    seed: int
    rank: int
    num_ranks: int

    def __post_init__(self) -> None:
        """Check the ranges, so that the arithmetic below needs no cases."""
        if self.accumulation_steps < 1:
            raise ValueError(f"accumulation_steps must be >= 1, got {self.accumulation_steps}")
        if not 0 <= self.rank < self.num_ranks:
            raise ValueError(f"rank must be in [0, {self.num_ranks}), got {self.rank}")
        wanted = self.num_ranks * self.accumulation_steps
        if self.batch_size < wanted:
            raise ValueError(
                f"batch_size must be at least {wanted} to give each of {self.num_ranks} processes"
                f" an image in each of {self.accumulation_steps} accumulation steps,"
                f" got {self.batch_size}"
            )


class _Epoch(NamedTuple):
    """An epoch's draws: the order `(n,)`, here and on the device, and each image's crop."""

    number: int
    order: np.ndarray
    order_on_device: Tensor
    augmentation: Augmentation


class _Part(NamedTuple):
    """A stretch `[begin, end)` of an epoch's order, and the weight of its mean losses."""

    begin: int
    end: int
    share: float


class TrainBatches:
    """The training batches of one rank, by step, from images held on the training device.

    Args:
        image_set: Images to train on; put on `device`, padded.
        mean: Mean of each channel, units of 255.
        std: Standard deviation of each channel, same units.
        plan: How they are shared out.
        device: Where batches are made and left.

    Raises:
        ValueError: if there is nothing to train on, or the padding does not fit the images.
    """

    def __init__(
        self,
        image_set: ImageSet,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        plan: BatchPlan,
        device: torch.device | str,
    ) -> None:
        self._num_images = len(image_set)
        self._plan = plan
        if self.steps_per_epoch == 0:
            raise ValueError(
                f"{self._num_images} training images do not fill one batch of {plan.batch_size}"
                f" (drop_last is {plan.drop_last})"
            )
        self._device = torch.device(device)
        self._padded = pad_by_reflection(image_set.images.to(device), plan.crop_padding)
        self._labels = image_set.labels.to(device)
        self._normalize = Normalization(mean, std, device)
        self._epoch: _Epoch | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps per epoch, the same on every rank."""
        whole_steps, remainder = divmod(self._num_images, self._plan.batch_size)
        return whole_steps + (remainder > 0 and not self._plan.drop_last)

    def at(self, step: int) -> list[Batch]:
        """Make the micro-batches of this rank at a step of the run.

        Every rank has the same number of them: `accumulation_steps`, or fewer in a last short step
        of fewer images than that takes. No two hold the same image, except that a rank for which a
        short step leaves nothing gets that step's first image with share 0.

        Args:
            step: Optimizer step, counted from 0 over all epochs; any order is fine.

        Raises:
            ValueError: if `step` is negative.
        """
        epoch = self._epoch_of(step)
        batches = []
        for begin, end, share in self._parts_at(step):
            indices = epoch.order_on_device[begin:end]
            images = crop_and_flip(
                self._padded, self._plan.crop_padding, indices, epoch.augmentation
            )
            batches.append(Batch(self._normalize(images), self._labels[indices], share))
        return batches

    def indices_at(self, step: int) -> list[np.ndarray]:
        """Say which images count in each micro-batch of `at(step)`; none where the share is 0."""
        order = self._epoch_of(step).order
        parts = self._parts_at(step)
        return [order[begin:end] if share else order[:0] for begin, end, share in parts]

    def _parts_at(self, step: int) -> list[_Part]:
        plan = self._plan
        first = (step % self.steps_per_epoch) * plan.batch_size
        num_in_step = min(plan.batch_size, self._num_images - first)
        num_micro = min(plan.accumulation_steps, -(-num_in_step // plan.num_ranks))
        # Pieces differ by at most one image, the larger ones first: micro-batch k of rank r is
        # piece k * num_ranks + r, so only the last micro-batch can leave a rank without an image.
        smallest, num_larger = divmod(num_in_step, num_micro * plan.num_ranks)
        parts = []
        for micro in range(num_micro):
            piece = micro * plan.num_ranks + plan.rank
            begin = first + piece * smallest + min(piece, num_larger)
            size = smallest + (piece < num_larger)
            share = size * plan.num_ranks / num_in_step
            part = _Part(begin, begin + size, share) if size else _Part(first, first + 1, 0.0)
            parts.append(part)
        return parts

    def _epoch_of(self, step: int) -> _Epoch:
        if step < 0:
            raise ValueError(f"step must be >= 0, got {step}")
        number = step // self.steps_per_epoch
        if self._epoch is None or self._epoch.number != number:
            self._epoch = self._draw_epoch(number)
        return self._epoch

    def _draw_epoch(self, number: int) -> _Epoch:
        plan = self._plan
        order = stream(Purpose.ORDER, plan.seed, number).permutation(self._num_images)
        augmentation = draw_augmentation(
            stream(Purpose.AUGMENT, plan.seed, number),
            self._num_images,
            crop_padding=plan.crop_padding,
            flip=plan.flip,
        )
        on_device = torch.from_numpy(order).to(self._device)
        return _Epoch(number, order, on_device, augmentation.to(self._device))


def evaluation_batches(
    image_set: ImageSet,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    *,
    batch_size: int,
    rank: int,
    num_ranks: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Go through a rank's part of a set once, in order, as it is.

    The parts of all ranks hold every image exactly once; a rank has none if there are fewer images
    than ranks.

    Args:
        image_set: Images to evaluate on, on the device where they are wanted.
        mean: Mean of each channel, units of 255.
        std: Standard deviation of each channel, same units.
        batch_size: Images per batch on this rank; the last may be shorter.
        rank: This process, in [0, num_ranks).
        num_ranks: Number of processes.

    Returns:
        An iterator of images `(n, c, h, w)`, float32, normalised, and labels `(n,)`.

    Raises:
        ValueError: if `batch_size` or `rank` is out of range.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be >= 1, got {batch_size}")
    if not 0 <= rank < num_ranks:
        raise ValueError(f"rank must be in [0, {num_ranks}), got {rank}")
    normalize = Normalization(mean, std, image_set.images.device)
    begin, end = (len(image_set) * part // num_ranks for part in (rank, rank + 1))
    images, labels = image_set.images[begin:end], image_set.labels[begin:end]
    stretches = (slice(start, start + batch_size) for start in range(0, end - begin, batch_size))
    return ((normalize(images[stretch]), labels[stretch]) for stretch in stretches)
