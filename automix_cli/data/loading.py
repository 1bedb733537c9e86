"""What making batches image by image is made of: where pictures come from, and where they go.

Legend: n images, c channels, s height and width that the network sees.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from automix_cli.data.augment import Normalization, erase
from automix_cli.data.decoding import Picture, PictureFile, StoredPicture
from automix_cli.data.image_files import ImageFiles
from automix_cli.data.image_set import ImageSet
from automix_cli.data.recipe import Erasure
from automix_cli.data.worker_pool import WorkerPool, default_workers

IMAGES_AT_A_TIME = 8
"""What a thread takes on at once: enough that handing it over costs nothing."""


class Loading(NamedTuple):
    """Where batches are left, and who makes them.

    Attributes:
        device: Of the network.
        num_workers: Threads; 0: images are made when they are asked for; None: one for each core,
            at most 8.
    """

    device: torch.device
    num_workers: int | None = None

    def pool(self) -> WorkerPool:
        """Give the threads, which have not started yet."""
        wanted = self.num_workers
        return WorkerPool(default_workers() if wanted is None else wanted)


class PictureSource:
    """Pictures by index, from files or from memory.

    Args:
        images: Where from; images in memory are brought to the processor.
    """

    def __init__(self, images: ImageFiles | ImageSet) -> None:
        self._images = images.to("cpu") if isinstance(images, ImageSet) else images

    @property
    def channels(self) -> int:
        """c; files are decoded to red, green and blue."""
        return self._images.images.shape[1] if isinstance(self._images, ImageSet) else 3

    @property
    def labels(self) -> Tensor:
        """`(n,)`, int64, on the processor."""
        return self._images.labels

    def __getitem__(self, index: int) -> Picture:
        """Open a picture.

        Raises:
            DataError: its file cannot be read.
        """
        if isinstance(self._images, ImageSet):
            return StoredPicture(self._images.images[index])
        return PictureFile(self._images.root / self._images.paths[index])


class Pixels:
    """Room for n images of uint8 on the processor, filled by several threads, and what to erase."""

    def __init__(self, num_images: int, channels: int, size: int, device: torch.device) -> None:
        shape = (num_images, channels, size, size)
        self._tensor = torch.empty(shape, dtype=torch.uint8, pin_memory=device.type == "cuda")
        self._array = self._tensor.numpy()
        self._device = device
        self.erasures: dict[int, Erasure] = {}

    def put(self, position: int, pixels: np.ndarray) -> None:
        """Store an image `(s, s, c)`."""
        self._array[position] = pixels.transpose(2, 0, 1)

    def on_device(self, normalize: Normalization) -> Tensor:
        """Give the images `(n, c, s, s)`, normalised there, with their erased parts."""
        images = normalize(self._tensor.to(self._device, non_blocking=True))
        return erase(images, self.erasures)


def in_pieces(
    pool: WorkerPool, num_images: int, fill: Callable[[range], None]
) -> list[Future[None]]:
    """Have something done for all positions in `range(num_images)`, a few at a time."""
    pieces = (
        range(first, min(first + IMAGES_AT_A_TIME, num_images))
        for first in range(0, num_images, IMAGES_AT_A_TIME)
    )
    return [pool.submit(partial(fill, piece)) for piece in pieces]
