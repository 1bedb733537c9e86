"""Batches of images in memory, made whole on the device that holds the images.

The order of an epoch and who gets which part of it are in `batch_plan`. What is done to image i in
epoch e is drawn from (seed, e, i), for all images at once. Images that stay in files, and images
that get more than a crop, a mirroring and an erased box, are in `streaming`.

Legend: n images, c channels, h w pixels.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from automix_cli.data.augment import (
    Augmentation,
    Normalization,
    crop_and_flip,
    draw_augmentation,
    erase,
)
from automix_cli.data.batch_plan import Batch, BatchPlan, Order, Part
from automix_cli.data.image_files import ImageFiles
from automix_cli.data.image_set import ImageSet
from automix_cli.data.loading import Loading, PictureSource
from automix_cli.data.recipe import Recipe, Sample, View
from automix_cli.data.streaming import ViewedBatches
from automix_cli.randomness import Purpose, stream


class _Epoch(NamedTuple):
    """An epoch's draws: its order, also on the device, and what is done to each image."""

    number: int
    order: Order
    indices: Tensor
    rows: Tensor  # of `augmentation`, in the epoch's order
    augmentation: Augmentation


class TrainBatches:
    """The training batches of one rank, by step, from images held on the training device.

    Args:
        image_set: Images to train on; put on `device`.
        recipe: What is done to them; it must be plain.
        view: Their mean and standard deviation.
        plan: How they are shared out.
        device: Where batches are made and left.

    Raises:
        ValueError: if the recipe is not plain or does not fit the images.
    """

    def __init__(
        self,
        image_set: ImageSet,
        recipe: Recipe,
        view: View,
        plan: BatchPlan,
        device: torch.device | str,
    ) -> None:
        if not (recipe.is_plain and is_shown_whole(image_set, recipe.size)):
            shape = " x ".join(map(str, image_set.images.shape[2:]))
            raise ValueError(
                f"whole batches are only cropped and mirrored, got {recipe} for {shape}"
            )
        self._recipe = recipe
        self._plan = plan
        self._device = torch.device(device)
        self._images = image_set.images.to(device).contiguous()
        self._labels = image_set.labels.to(device)
        self._normalize = Normalization(view.mean, view.std, device)
        self._epoch: _Epoch | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps per epoch, the same on every rank."""
        return self._plan.steps_per_epoch

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
        return [self._batch(epoch, part) for part in self._plan.parts_at(step)]

    def indices_at(self, step: int) -> list[np.ndarray]:
        """Say which images count in each micro-batch of `at(step)`; none where the share is 0."""
        order = self._epoch_of(step).order.indices
        parts = self._plan.parts_at(step)
        return [order[begin:end] if share else order[:0] for begin, end, share in parts]

    def close(self) -> None:
        """Nothing works in the background."""

    def _batch(self, epoch: _Epoch, part: Part) -> Batch:
        place = slice(part.begin, part.end)
        indices, rows = epoch.indices[place], epoch.rows[place]
        drawn = epoch.augmentation
        cut = crop_and_flip(
            self._images,
            self._recipe.crop_padding,
            indices,
            drawn.offsets[rows],
            drawn.flips[rows],
        )
        images = self._normalize(cut)
        if self._recipe.erase_probability:
            images = self._erased(images, epoch, place)
        return Batch(images, self._labels[indices], part.share)

    def _erased(self, images: Tensor, epoch: _Epoch, place: slice) -> Tensor:
        seed, channels = self._plan.seed, images.shape[1]
        pairs = zip(epoch.order.indices[place], epoch.order.copies[place], strict=True)
        drawn = [
            self._recipe.erasure(channels, Sample(seed, epoch.number, int(index), int(copy)))
            for index, copy in pairs
        ]
        return erase(images, {place: each for place, each in enumerate(drawn) if each is not None})

    def _epoch_of(self, step: int) -> _Epoch:
        number = self._plan.epoch_of(step)
        if self._epoch is None or self._epoch.number != number:
            self._epoch = self._draw_epoch(number)
        return self._epoch

    def _draw_epoch(self, number: int) -> _Epoch:
        plan = self._plan
        order = plan.order(number)
        augmentation = draw_augmentation(
            stream(Purpose.AUGMENT, plan.seed, number),
            plan.num_images * plan.repeats,
            crop_padding=self._recipe.crop_padding,
            flip=self._recipe.flip,
        )
        indices = torch.from_numpy(order.indices).to(self._device)
        rows = torch.from_numpy(order.copies * plan.num_images + order.indices).to(self._device)
        return _Epoch(number, order, indices, rows, augmentation.to(self._device))


def is_shown_whole(images: ImageSet | ImageFiles, size: int) -> bool:
    """Whether these are images in memory of `size` x `size` pixels."""
    return isinstance(images, ImageSet) and images.images.shape[2:] == (size, size)


def evaluation_batches(
    images: ImageSet | ImageFiles,
    view: View,
    loading: Loading,
    *,
    batch_size: int,
    rank: int,
    num_ranks: int,
) -> Iterable[tuple[Tensor, Tensor]]:
    """Go through a rank's part of a set once, in order, without augmentation.

    The parts of all ranks hold every image exactly once. Where there are fewer images than ranks,
    a rank without any gets a batch of none: it has sums to add to those of the others.

    Args:
        images: Images to evaluate on.
        view: How they are shown.
        loading: Where batches are wanted, and who makes them.
        batch_size: Images per batch on this rank; the last may be shorter.
        rank: This process, in [0, num_ranks).
        num_ranks: Number of processes.

    Returns:
        Images `(n, c, h, w)`, float32, normalised, and labels `(n,)`. A file that cannot be decoded
        raises a `DataError` on the way.

    Raises:
        ValueError: if `batch_size` or `rank` is out of range.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be >= 1, got {batch_size}")
    if not 0 <= rank < num_ranks:
        raise ValueError(f"rank must be in [0, {num_ranks}), got {rank}")
    begin, end = (len(images) * part // num_ranks for part in (rank, rank + 1))
    batches = [
        range(start, min(start + batch_size, end)) for start in range(begin, end, batch_size)
    ]
    if len(images) and not batches:
        batches = [range(begin, end)]
    is_whole = is_shown_whole(images, view.size) and view.short_side == view.size
    if not (is_whole and isinstance(images, ImageSet)):
        return ViewedBatches(PictureSource(images), view, batches, loading)
    there = images.to(loading.device)
    normalize = Normalization(view.mean, view.std, loading.device)
    stretches = (slice(each.start, each.stop) for each in batches)
    return ((normalize(there.images[each]), there.labels[each]) for each in stretches)
