"""Reads image files: bytes to red, green and blue, upright, the same way for every format.

JPEG is decoded by torchvision, the rest by Pillow, both outside Python's lock, so that threads do
it at the same time. A large JPEG of which a small picture is wanted is decoded at a half, a quarter
or an eighth of its size, which the format offers at a fraction of the cost.

What becomes of the less common: gray and palette images become RGB; transparency is dropped, the
colours under it stay (as `torchvision.datasets.ImageFolder` has it); CMYK is converted by Pillow;
16-bit gray is scaled to 8 bits; an image that a camera stored on its side is turned upright.

Legend: h w pixels, c channels.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch
from PIL import Image, ImageOps
from torch.nn import functional as F
from torchvision.io import ImageReadMode, decode_jpeg

from automix_cli.errors import DataError

SPARE = 1.5
"""A reduced image is still so many times as large as what is made of it, in each direction."""

ORIENTATION = 0x0112  # the EXIF tag
TURNED = 5  # orientations from here on exchange height and width


class Picture(Protocol):
    """An image of known size, of which a reduced version may be cheaper."""

    height: int
    width: int

    def pixels(self, factor: int = 1) -> np.ndarray:
        """Give `(h, w, c)` uint8, at a size reduced by `factor` in each direction."""
        ...

    def factor(self, height: int, width: int, wanted: int) -> int:
        """Say how far to reduce it if a part of this size is to be resized to `wanted` pixels."""
        ...


class StoredPicture:
    """A picture that is in memory already: `(c, h, w)`, uint8."""

    def __init__(self, pixels: torch.Tensor) -> None:
        self._pixels = pixels
        self.height, self.width = pixels.shape[1:]

    def pixels(self, factor: int = 1) -> np.ndarray:
        """Give all of it; it is never reduced."""
        assert factor == 1
        return self._pixels.permute(1, 2, 0).numpy()

    def factor(self, height: int, width: int, wanted: int) -> int:
        """Never reduce: nothing would be saved."""
        del height, width, wanted
        return 1


class PictureFile:
    """A picture in a file, of which only the header has been read.

    Args:
        path: Of the file.

    Raises:
        DataError: it cannot be read, or is no image.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._bytes = path.read_bytes()
            self._image = _opened(self._bytes)
            self._orientation = self._image.getexif().get(ORIENTATION, 1)
        except BROKEN as problem:
            raise self._broken(problem) from problem
        self._is_jpeg = self._image.format in {"JPEG", "MPO"}
        width, height = self._image.size
        is_turned = self._orientation >= TURNED
        self.height, self.width = (width, height) if is_turned else (height, width)

    def pixels(self, factor: int = 1) -> np.ndarray:
        """Decode to `(h, w, 3)`, uint8, upright.

        Args:
            factor: What `factor()` said, or 1.

        Raises:
            DataError: the file is broken.
        """
        try:
            if self._is_jpeg and factor == 1 and self._image.mode in {"RGB", "L"}:
                return _jpeg_pixels(self._bytes)
            if factor > 1:
                width, height = self._image.size
                self._image.draft("RGB", (width // factor, height // factor))
            return np.asarray(to_rgb(ImageOps.exif_transpose(self._image)))
        except BROKEN as problem:
            raise self._broken(problem) from problem

    def factor(self, height: int, width: int, wanted: int) -> int:
        """Say how far to reduce it: 1, 2, 4 or 8; see `SPARE`."""
        spare = min(height, width) / (SPARE * wanted)
        can = self._is_jpeg and self._image.mode in {"RGB", "L"}
        return max([1, *(factor for factor in (2, 4, 8) if can and factor <= spare)])

    def _broken(self, problem: Exception) -> DataError:
        size = f"{len(self._bytes):,} bytes" if hasattr(self, "_bytes") else "nothing"
        reason = " ".join(str(problem).split()) or type(problem).__name__
        return DataError(
            f"wanted an image in `{self._path}`, found {size} that cannot be decoded ({reason})",
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


def _jpeg_pixels(content: bytes) -> np.ndarray:
    stored = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    decode = cast(Callable[..., torch.Tensor], decode_jpeg)  # one image, not a list of them
    decoded = decode(stored, mode=ImageReadMode.RGB, apply_exif_orientation=True)
    return decoded.permute(1, 2, 0).numpy()


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
    planes = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1).unsqueeze(0)
    resized = F.interpolate(planes, size=(height, width), mode=interpolation, antialias=True)
    return resized[0].permute(1, 2, 0).numpy()
