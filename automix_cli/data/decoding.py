"""Reads image files: bytes to red, green and blue, upright, the same way for every format.

Pillow decodes, outside Python's lock, so that threads do it at the same time (its pixels and its
speed are those of `torchvision.io.decode_jpeg`, which is deprecated). A large JPEG of which a small
picture is wanted is decoded at a half, a quarter or an eighth of its size, which the format offers
at a fraction of the cost; of what was decoded only the wanted part is copied.

What becomes of the less common: gray and palette images become RGB; transparency is dropped, the
colours under it stay (as `torchvision.datasets.ImageFolder` has it); CMYK is converted by Pillow;
16-bit gray is scaled to 8 bits; an image that a camera stored on its side is turned upright.

Legend: h w pixels, c channels.
"""

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image, ImageOps
from torch.nn import functional as F

from automix_cli.data.boxes import Box
from automix_cli.errors import DataError

SPARE = 1.5
"""A reduced image is still so many times as large as what is made of it, in each direction."""

ORIENTATION = 0x0112  # the EXIF tag
JPEG_END = b"\xff\xd9"
"""Decoders differ in what they make of a file that ends too early, some without a word."""

TURNED = 5  # orientations from here on exchange height and width


class Picture(Protocol):
    """An image of known size, of which a part and a reduced version may be cheaper."""

    height: int
    width: int

    def part(self, box: Box, factor: int = 1) -> np.ndarray:
        """Give a part of it as `(h, w, c)` uint8, at a size reduced by `factor`."""
        ...

    def factor(self, height: int, width: int, wanted: int) -> int:
        """Say how far to reduce it if a part of this size is to be resized to `wanted` pixels."""
        ...

    def jpeg(self) -> bytes | None:
        """Give the file, if it is a JPEG that every decoder reads alike."""
        ...


class StoredPicture:
    """A picture that is in memory already: `(c, h, w)`, uint8."""

    def __init__(self, pixels: torch.Tensor) -> None:
        self._pixels = pixels
        self.height, self.width = pixels.shape[1:]

    def part(self, box: Box, factor: int = 1) -> np.ndarray:
        """Give a part of it; it is never reduced."""
        assert factor == 1
        rows = slice(box.top, box.top + box.height)
        columns = slice(box.left, box.left + box.width)
        return self._pixels[:, rows, columns].permute(1, 2, 0).numpy()

    def factor(self, height: int, width: int, wanted: int) -> int:
        """Never reduce: nothing would be saved."""
        del height, width, wanted
        return 1

    def jpeg(self) -> None:
        """Give nothing: there is no file."""


class PictureFile:
    """A picture in a file, of which only the header has been read.

    Args:
        path: Of the file.

    Raises:
        DataError: it cannot be read, or is no image.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._content = b""
        try:
            self._content = path.read_bytes()
            self._image = _opened(self._content)
            self._orientation = self._image.getexif().get(ORIENTATION, 1)
        except BROKEN as problem:
            raise self._broken(problem) from problem
        width, height = self._image.size
        is_turned = self._orientation >= TURNED
        self.height, self.width = (width, height) if is_turned else (height, width)

    def part(self, box: Box, factor: int = 1) -> np.ndarray:
        """Decode, and give a part as `(h, w, 3)`, uint8, upright; once for each picture.

        Args:
            box: Which part, in pixels of the full size.
            factor: What `factor()` said, or 1.

        Raises:
            DataError: the file is broken.
        """
        image = self._image
        try:
            if factor > 1:
                width, height = image.size
                image.draft(None, (width // factor, height // factor))
            image.load()
            if self._orientation != 1:
                image = ImageOps.exif_transpose(image)
            top, left, height, width = box.reduced(factor)
            if (height, width) != (image.height, image.width):
                image = image.crop((left, top, left + width, top + height))
            return np.asarray(image if image.mode == "RGB" else to_rgb(image))
        except BROKEN as problem:
            raise self._broken(problem) from problem

    def factor(self, height: int, width: int, wanted: int) -> int:
        """Say how far to reduce it: 1, 2, 4 or 8; see `SPARE`."""
        spare = min(height, width) / (SPARE * wanted)
        can = self._image.format in {"JPEG", "MPO"}
        return max([1, *(factor for factor in (2, 4, 8) if can and factor <= spare)])

    def jpeg(self) -> bytes | None:
        """Give the file, if it is a complete, upright JPEG in color or gray."""
        image = self._image
        is_plain = image.format in {"JPEG", "MPO"} and image.mode in {"RGB", "L"}
        is_whole = self._content.rstrip(b"\0").endswith(JPEG_END)
        return self._content if is_plain and is_whole and self._orientation == 1 else None

    def _broken(self, problem: Exception) -> DataError:
        reason = " ".join(str(problem).split()) or type(problem).__name__
        return DataError(
            f"wanted an image in `{self._path}`, found {len(self._content):,} bytes that cannot be"
            f" decoded ({reason})",
            hint="repair or remove the file; `automix data check` finds all such files",
        )


BROKEN = (
    *(OSError, RuntimeError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError),
    *(OverflowError, AttributeError, MemoryError, struct.error, zlib.error),
    Image.DecompressionBombError,
)
"""What the decoders raise for files that are not what they say."""


def _opened(content: bytes) -> Image.Image:
    with warnings.catch_warnings():  # a very large image is no reason to talk
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(content))


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any image to RGB with 8 bits; see the module docstring."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError(f"gray values must be in [0, 65535], mode {image.mode}")
        image = Image.fromarray(np.round(values / 257).astype(np.uint8))  # 65535 becomes 255
    return image.convert("RGB")


def resize(pixels: np.ndarray, height: int, width: int, interpolation: str) -> np.ndarray:
    """Bring an image to a size, smoothing where it shrinks.

    Args:
        pixels: `(h, w, c)`, uint8.
        height: Wanted.
        width: Wanted.
        interpolation: `bilinear` or `bicubic`.

    Returns:
        `(height, width, c)`, uint8: what `torchvision.transforms.v2.functional.resize` gives, and
        Pillow within one level.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    # a copy by numpy, because torch's would start threads of its own in each worker
    planes = torch.from_numpy(pixels.copy()).permute(2, 0, 1).unsqueeze(0)
    resized = F.interpolate(planes, size=(height, width), mode=interpolation, antialias=True)
    return resized[0].permute(1, 2, 0).numpy()
