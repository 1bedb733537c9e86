"""Batches made image by image: decoded, cut and changed by threads, ahead of their use.

For images that stay in their files, and for images in memory that get more than a crop and a
mirroring. What is done to image i in epoch e depends on (seed, e, i) alone; a step can be asked for
at any time, so a run resumes in the middle of an epoch with the same pixels.

Legend: n images, c channels, s height and width that the network sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from automix_cli.data.augment import Normalization
from automix_cli.data.batch_plan import Batch, BatchPlan, Order
from automix_cli.data.loading import Loading, PictureSource, Pixels, Shown, in_pieces
from automix_cli.data.recipe import Recipe, Sample, View
from automix_cli.data.worker_pool import Prefetcher

STEPS_AHEAD = 3
"""Steps, or batches of an evaluation, that are prepared while one is used."""


class _Work(NamedTuple):
    """A micro-batch in the making."""

    pixels: Pixels
    labels: Tensor
    share: float


class StreamedBatches:
    """The training batches of one rank, by step, each image made when it is needed.

    Args:
        source: Images to train on.
        recipe: What is done to them.
        view: Their mean and standard deviation.
        plan: How they are shared out.
        loading: Where batches are left, and who makes them; a decoder needs a geometric recipe.
    """

    def __init__(
        self,
        source: PictureSource,
        recipe: Recipe,
        view: View,
        plan: BatchPlan,
        loading: Loading,
    ) -> None:
        self._source = source
        self._recipe = recipe
        self._plan = plan
        self._loading = loading
        self._normalize = Normalization(view.mean, view.std, loading.device)
        self._pool = loading.pool()
        self._prefetcher = Prefetcher(self._start, self._pool, STEPS_AHEAD)
        self._orders: dict[int, Order] = {}

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps per epoch, the same on every rank."""
        return self._plan.steps_per_epoch

    def at(self, step: int) -> list[Batch]:
        """Make the micro-batches of this rank at a step of the run, and prepare those of the next.

        Args:
            step: Optimizer step, counted from 0 over all epochs; any order is fine.

        Raises:
            DataError: a file cannot be decoded; it is named.
            ValueError: if `step` is negative.
        """
        return [
            Batch(
                work.pixels.on_device(self._normalize),
                work.labels.to(self._loading.device),
                work.share,
            )
            for work in self._prefetcher.get(step)
        ]

    def close(self) -> None:
        """End the threads; asking for a step starts them again."""
        self._prefetcher.close()

    def _start(self, step: int) -> tuple[list[Future[None]], list[_Work]]:
        epoch = self._plan.epoch_of(step)
        order = self._order(epoch)
        futures: list[Future[None]] = []
        works: list[_Work] = []
        for begin, end, share in self._plan.parts_at(step):
            indices, copies = order.indices[begin:end], order.copies[begin:end]
            samples = [
                Sample(self._plan.seed, epoch, int(index), int(copy))
                for index, copy in zip(indices, copies, strict=True)
            ]
            pixels = Pixels(len(samples), self._source.channels, self._recipe.size, self._loading)
            futures += in_pieces(self._pool, len(samples), partial(self._fill, pixels, samples))
            labels = self._source.labels[torch.from_numpy(indices)]
            works.append(_Work(pixels, labels, share))
        return futures, works

    def _fill(self, pixels: Pixels, samples: list[Sample], positions: range) -> None:
        def show(position: int) -> Shown:
            sample = samples[position]
            picture = self._source[sample.image]
            return Shown(
                picture,
                partial(self._recipe.pixels, picture, sample),
                partial(self._recipe.geometry, picture.height, picture.width, sample),
            )

        pixels.fill(positions, show)
        for position in positions:
            erasure = self._recipe.erasure(self._source.channels, samples[position])
            if erasure is not None:
                pixels.erasures[position] = erasure

    def _order(self, epoch: int) -> Order:
        if epoch not in self._orders:
            self._orders = {
                number: order for number, order in self._orders.items() if number == epoch - 1
            }
            self._orders[epoch] = self._plan.order(epoch)
        return self._orders[epoch]


class ViewedBatches:
    """Images to be judged on, in order, in batches.

    Args:
        source: The images.
        view: How they are shown.
        batches: Which of them each batch holds.
        loading: Where batches are left, and who makes them.
    """

    def __init__(
        self,
        source: PictureSource,
        view: View,
        batches: list[range],
        loading: Loading,
    ) -> None:
        self._source = source
        self._view = view
        self._batches = batches
        self._loading = loading
        self._pool = loading.pool()

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Give images `(n, c, s, s)`, float32, normalised, and labels `(n,)`.

        Raises:
            DataError: a file cannot be decoded; it is named.
        """
        device = self._loading.device
        normalize = Normalization(self._view.mean, self._view.std, device)
        end = len(self._batches)
        prefetcher = Prefetcher(self._start, self._pool, STEPS_AHEAD, end)
        try:
            for number in range(end):
                pixels, labels = prefetcher.get(number)
                yield pixels.on_device(normalize), labels.to(device)
        finally:
            prefetcher.close()

    def _start(self, number: int) -> tuple[list[Future[None]], tuple[Pixels, Tensor]]:
        indices = self._batches[number]
        pixels = Pixels(len(indices), self._source.channels, self._view.size, self._loading)

        def show(position: int) -> Shown:
            picture = self._source[indices[position]]
            return Shown(
                picture,
                partial(self._view.pixels, picture),
                partial(self._view.geometry, picture.height, picture.width),
            )

        futures = in_pieces(self._pool, len(indices), partial(pixels.fill, show=show))
        return futures, (pixels, self._source.labels[indices.start : indices.stop])
