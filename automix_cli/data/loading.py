"""What making batches image by image is made of: where pictures come from, and where they go.

Legend: n images, c channels, s height and width that the network sees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from automix_cli.data.recipe import Erasure, Geometry
from automix_cli.data.worker_pool import WorkerPool, default_workers

JpegDecoder = Callable[[Sequence[tuple[bytes, Geometry]]], list[Tensor | None]]
"""Makes of some JPEG files what is shown of them: `(3, s, s)` uint8 on a device, or None."""

IMAGES_AT_A_TIME = 8
"""What a thread takes on at once: enough that handing it over costs nothing."""


class Loading(NamedTuple):
    """Where batches are left, and who makes them.

    Attributes:
        device: Of the network.
        num_workers: Threads; 0: images are made when they are asked for; None: one for each core,
            at most 8.
        decoder: Of JPEG files on that device; None: everything is decoded by Pillow.
    """

    device: torch.device
    num_workers: int | None = None
    decoder: JpegDecoder | None = None

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


class Shown(NamedTuple):
    """A picture, and two ways to make what is shown of it.

    Attributes:
        picture: Of which only the header may have been read.
        pixels: Makes it on the processor: `(s, s, c)`, uint8.
        geometry: Says which pixels those are, for a decoder elsewhere.
    """

    picture: Picture
    pixels: Callable[[], np.ndarray]
    geometry: Callable[[], Geometry]


class Pixels:
    """Room for n images of uint8, filled by several threads, and what to erase of them."""

    def __init__(self, num_images: int, channels: int, size: int, loading: Loading) -> None:
        shape = (num_images, channels, size, size)
        pinned = loading.device.type == "cuda"
        self._tensor = torch.empty(shape, dtype=torch.uint8, pin_memory=pinned)
        self._array = self._tensor.numpy()
        self._loading = loading
        self._decoded: dict[int, Tensor] = {}  # on the device
        self.erasures: dict[int, Erasure] = {}

    def fill(self, positions: range, show: Callable[[int], Shown]) -> None:
        """Store the images of some positions.

        Raises:
            DataError: a file cannot be decoded; it is named.
        """
        decoder = self._loading.decoder
        jpegs: dict[int, tuple[bytes, Geometry]] = {}
        for position in positions:
            shown = show(position)
            content = None if decoder is None else shown.picture.jpeg()
            if content is None:
                self._array[position] = shown.pixels().transpose(2, 0, 1)
            else:
                jpegs[position] = content, shown.geometry()
        if decoder is None or not jpegs:
            return
        for position, decoded in zip(jpegs, decoder(list(jpegs.values())), strict=True):
            if decoded is None:  # Pillow reads it, or says what is wrong
                self._array[position] = show(position).pixels().transpose(2, 0, 1)
            else:
                self._decoded[position] = decoded

    def on_device(self, normalize: Normalization) -> Tensor:
        """Give the images `(n, c, s, s)`, normalised there, with their erased parts."""
        images = self._tensor.to(self._loading.device, non_blocking=True)
        for position, decoded in self._decoded.items():
            images[position] = decoded
        return erase(normalize(images), self.erasures)


def in_pieces(
    pool: WorkerPool, num_images: int, fill: Callable[[range], None]
) -> list[Future[None]]:
    """Have something done for all positions in `range(num_images)`, a few at a time."""
    pieces = (
        range(first, min(first + IMAGES_AT_A_TIME, num_images))
        for first in range(0, num_images, IMAGES_AT_A_TIME)
    )
    return [pool.submit(partial(fill, piece)) for piece in pieces]
