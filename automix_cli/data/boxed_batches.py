"""Images with boxes for a detector, each at a size of its own: decoded, resized and mirrored.

What is done to image i in epoch e depends on (seed, e, i) alone, as everywhere in `data`.

Legend: n images, k boxes of an image, h w its size after resizing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from automix_cli.data.batch_plan import BatchPlan
from automix_cli.data.boxes import Box
from automix_cli.data.coco import BoxedImage
from automix_cli.data.decoding import PictureFile, resize
from automix_cli.data.loading import Loading
from automix_cli.data.recipe import GEOMETRY, Sample
from automix_cli.data.worker_pool import Prefetcher
from automix_cli.errors import DataError

_Making: TypeAlias = "tuple[list[tuple[np.ndarray, Found]], float]"
"""A micro-batch in the making: pixels with what is to be found in them, and its share."""

STEPS_AHEAD = 2
SIDE_STEP = 32
"""Pixels between two short sides that are drawn in training, as in the literature."""


class Found(NamedTuple):
    """What is to be found in an image.

    Attributes:
        boxes: `(k, 4)`, float32, x0 y0 x1 y1 in pixels of the image as it is shown.
        labels: `(k,)`, int64, from 1.
    """

    boxes: Tensor
    labels: Tensor


class BoxedBatch(NamedTuple):
    """What one rank puts through the detector at once; the names are those of `Batch`.

    Attributes:
        images: n of `(3, h, w)`, float32 in [0, 1], on the device.
        labels: What is to be found in each of them.
        share: See `Batch`.
    """

    images: list[Tensor]
    labels: list[Found]
    share: float


@dataclass(frozen=True)
class Sizes:
    """How large images are shown.

    Attributes:
        short_side: Pixels of the short side.
        long_side: The long side has no more.
        short_side_min: Smallest short side that is drawn in training.
    """

    short_side: int
    long_side: int
    short_side_min: int

    def of(self, height: int, width: int, short_side: int) -> tuple[int, int]:
        """Height and width of an image whose short side is to be brought to a size."""
        ratio = min(short_side / min(height, width), self.long_side / max(height, width))
        return max(1, round(height * ratio)), max(1, round(width * ratio))

    def drawn(self, rng: np.random.Generator) -> int:
        """Draw the short side of a training image."""
        sides = np.arange(self.short_side, self.short_side_min - 1, -SIDE_STEP)
        return int(rng.choice(sides))


class BoxedBatches:
    """The training batches of one rank, by step; what the loop calls `Batches`.

    Args:
        root: Folder of the images.
        images: To train on; each has a box.
        sizes: How large they are shown.
        plan: How they are shared out.
        loading: Where batches are left, and who makes them.
        flip: Whether images are mirrored at random.
    """

    def __init__(
        self,
        root: Path,
        images: Sequence[BoxedImage],
        sizes: Sizes,
        plan: BatchPlan,
        loading: Loading,
        *,
        flip: bool,
    ) -> None:
        self._root = root
        self._images = images
        self._sizes = sizes
        self._plan = plan
        self._device = loading.device
        self._flip = flip
        self._pool = loading.pool()
        self._prefetcher = Prefetcher(self._start, self._pool, STEPS_AHEAD)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps per epoch, the same on every rank."""
        return self._plan.steps_per_epoch

    def at(self, step: int) -> list[BoxedBatch]:
        """Make the micro-batches of this rank at a step of the run; any order of steps is fine.

        Raises:
            DataError: a file cannot be decoded, or has another size than the annotations say.
        """
        device = self._device
        return [
            BoxedBatch(
                [_on_device(pixels, device) for pixels, _ in shown],
                [Found(*(each.to(device) for each in found)) for _, found in shown],
                share,
            )
            for shown, share in self._prefetcher.get(step)
        ]

    def close(self) -> None:
        """End the threads; asking for a step starts them again."""
        self._prefetcher.close()

    def _start(self, step: int) -> tuple[list[Future[None]], list[_Making]]:
        epoch = self._plan.epoch_of(step)
        order = self._plan.order(epoch).indices
        futures: list[Future[None]] = []
        batches: list[_Making] = []
        for begin, end, share in self._plan.parts_at(step):
            shown = [_NOT_YET] * (end - begin)
            for position, index in enumerate(order[begin:end]):
                make = partial(self._make, shown, position, epoch, int(index))
                futures.append(self._pool.submit(make))
            batches.append((shown, share))
        return futures, batches

    def _make(
        self, shown: list[tuple[np.ndarray, Found]], position: int, epoch: int, index: int
    ) -> None:
        rng = Sample(self._plan.seed, epoch, index, 0).rng(GEOMETRY)
        image = self._images[index]
        short_side = self._sizes.drawn(rng)
        pixels = shown_pixels(self._root, image, self._sizes, short_side)
        height, width = pixels.shape[:2]
        scale = np.array([width / image.width, height / image.height] * 2, dtype=np.float32)
        boxes = image.boxes * scale
        if self._flip and rng.random() < 0.5:
            pixels = pixels[:, ::-1]
            boxes = np.stack(
                [width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1
            )
        shown[position] = (pixels, Found(torch.from_numpy(boxes), torch.from_numpy(image.labels)))


_NOT_YET = (np.empty(0), Found(torch.empty(0, 4), torch.empty(0, dtype=torch.int64)))


def shown_pixels(root: Path, image: BoxedImage, sizes: Sizes, short_side: int) -> np.ndarray:
    """Decode and resize an image: `(h, w, 3)`, uint8.

    Raises:
        DataError: it cannot be decoded, or has another size than its annotations say.
    """
    picture = PictureFile(root / image.file)
    if (picture.height, picture.width) != (image.height, image.width):
        raise DataError(
            f"`{root / image.file}` has {picture.width} x {picture.height} pixels, its annotations "
            f"say {image.width} x {image.height}",
            hint="are they of another version of the image, or turned by its EXIF orientation?",
        )
    height, width = sizes.of(image.height, image.width, short_side)
    whole = Box(0, 0, image.height, image.width)
    factor = picture.factor(image.height, image.width, min(height, width))
    return resize(picture.part(whole, factor), height, width, "bilinear")


def images_in_order(
    root: Path, images: Sequence[BoxedImage], sizes: Sizes, loading: Loading, batch_size: int
) -> Iterator[tuple[list[BoxedImage], list[Tensor]]]:
    """Go through images once, in order, without augmentation.

    Yields:
        Some of the images, and each of them as `(3, h, w)`, float32 in [0, 1], on the device.

    Raises:
        DataError: a file cannot be decoded, or has another size than the annotations say.
    """
    batches = [images[begin : begin + batch_size] for begin in range(0, len(images), batch_size)]
    pool = loading.pool()

    def start(number: int) -> tuple[list[Future[None]], list[np.ndarray]]:
        pixels = [np.empty(0)] * len(batches[number])

        def fill(position: int) -> None:
            image = batches[number][position]
            pixels[position] = shown_pixels(root, image, sizes, sizes.short_side)

        return [pool.submit(partial(fill, each)) for each in range(len(pixels))], pixels

    prefetcher = Prefetcher(start, pool, STEPS_AHEAD, len(batches))
    try:
        for number, batch in enumerate(batches):
            shown = [_on_device(each, loading.device) for each in prefetcher.get(number)]
            yield list(batch), shown
    finally:
        prefetcher.close()


def _on_device(pixels: np.ndarray, device: torch.device) -> Tensor:
    planes = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
    return planes.to(device).float() / 255
