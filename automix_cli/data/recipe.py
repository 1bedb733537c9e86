"""What is done to an image before a network sees it: in training at random, else always the same.

All that is random about a training image is a function of (seed, epoch, image, repetition) and
nothing else: not of the batch, the worker or the process it falls to.

Legend: h w pixels, c channels, s height and width that the network sees.
"""

import math
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

from automix_cli.data.appearance import Appearance
from automix_cli.data.boxes import Box, central_box, erased_box, random_resized_box
from automix_cli.data.decoding import Picture, resize
from automix_cli.randomness import Purpose, stream

Interpolation = Literal["bilinear", "bicubic"]
GEOMETRY, COLOURS, ERASING = range(3)
"""Each with random numbers of its own, so that switching one off does not change another."""


class Sample(NamedTuple):
    """One image in one epoch: what its random numbers depend on."""

    seed: int
    epoch: int
    image: int
    repetition: int

    def rng(self, aspect: int) -> np.random.Generator:
        """Give the generator for one aspect of this image."""
        return stream(Purpose.SAMPLE, *self, aspect)


class Geometry(NamedTuple):
    """Which pixels of a picture are shown: a part, brought to a size, of which a part is kept.

    Attributes:
        part: Of the picture.
        height: What the part is brought to.
        width: What the part is brought to.
        kept: Of the part, after that.
        is_mirrored: Left to right, at last.
    """

    part: Box
    height: int
    width: int
    kept: Box
    is_mirrored: bool = False


class Erasure(NamedTuple):
    """A box of a normalised image, and what it is filled with: `(c, h, w)`, float32."""

    box: Box
    fill: np.ndarray


@dataclass(frozen=True)
class Recipe:
    """How training images are made.

    Attributes:
        size: s.
        crop: `pad`: a random part of s x s pixels of the image with a border of reflection;
            `random_resized`: a random part of random shape, brought to s x s.
        crop_padding: Pixels of the border, for `pad`.
        crop_scale_min: Smallest share of the area, for `random_resized`.
        resize: Short side that the image is brought to before it is cropped. None: as it is for
            `random_resized`, s for `pad`.
        flip: Mirror half of the images left to right.
        interpolation: How images are resized.
        appearance: What is done to the colours.
        erase_probability: Of erasing a box, in [0, 1].
        erase_fill: `noise`: normal, for each pixel; `mean`: zero, the mean of normalised images.

    Raises:
        ValueError: the border is not smaller than the image, or `resize` smaller than s.
    """

    size: int
    crop: Literal["pad", "random_resized"]
    crop_padding: int = 0
    crop_scale_min: float = 0.08
    resize: int | None = None
    flip: bool = True
    interpolation: Interpolation = "bicubic"
    appearance: Appearance = field(default_factory=Appearance)
    erase_probability: float = 0.0
    erase_fill: Literal["noise", "mean"] = "noise"

    def __post_init__(self) -> None:
        """Check what would otherwise fail at the first image."""
        shown = self.resize or self.size
        if self.crop == "pad" and not 0 <= self.crop_padding < shown:
            raise ValueError(f"padding must be in [0, {shown}), got {self.crop_padding}")
        if self.crop == "pad" and shown < self.size:
            raise ValueError(f"resize must be at least {self.size} to crop that, got {shown}")

    @property
    def is_plain(self) -> bool:
        """Whether images are only cropped after padding, mirrored and erased, never resampled."""
        return self.crop == "pad" and self.resize is None and self.appearance.is_plain

    @property
    def is_geometric(self) -> bool:
        """Whether `geometry` says all that is done, but for what is erased."""
        return self.crop == "random_resized" and self.resize is None and self.appearance.is_plain

    def geometry(self, height: int, width: int, sample: Sample) -> Geometry:
        """Draw which pixels of a picture of h x w pixels are shown, if that is all."""
        assert self.is_geometric
        rng = sample.rng(GEOMETRY)
        is_mirrored = bool(rng.integers(2)) and self.flip
        return self._resized_part(height, width, rng)._replace(is_mirrored=is_mirrored)

    def pixels(self, picture: Picture, sample: Sample) -> np.ndarray:
        """Make `(s, s, c)` uint8 of a picture."""
        rng = sample.rng(GEOMETRY)
        is_mirrored = bool(rng.integers(2)) and self.flip
        make = self._padded if self.crop == "pad" else self._random_resized
        pixels = make(picture, rng)
        if is_mirrored:
            pixels = pixels[:, ::-1]
        if self.appearance.is_plain:
            return pixels
        is_gray = pixels.shape[2] == 1
        image = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if is_gray else pixels))
        changed = np.asarray(self.appearance(image, sample.rng(COLOURS)))
        return changed[:, :, None] if is_gray else changed

    def erasure(self, channels: int, sample: Sample) -> Erasure | None:
        """Draw what is erased of the image, after it was normalised; None: nothing."""
        if self.erase_probability == 0:
            return None
        rng = sample.rng(ERASING)
        is_erased = rng.random() < self.erase_probability
        box = erased_box(rng, self.size, self.size) if is_erased else None
        if box is None:
            return None
        shape = (channels, box.height, box.width)
        if self.erase_fill == "mean":
            return Erasure(box, np.zeros(shape, dtype=np.float32))
        return Erasure(box, rng.standard_normal(shape, dtype=np.float32))

    def _random_resized(self, picture: Picture, rng: np.random.Generator) -> np.ndarray:
        if self.resize is None:
            geometry = self._resized_part(picture.height, picture.width, rng)
            return _shown(picture, geometry, self.interpolation)
        pixels = _with_short_side(picture, self.resize, self.interpolation)
        height, width, _ = pixels.shape
        box = random_resized_box(rng, height, width, scale_min=self.crop_scale_min)
        return resize(_cut(pixels, box), self.size, self.size, self.interpolation)

    def _resized_part(self, height: int, width: int, rng: np.random.Generator) -> Geometry:
        box = random_resized_box(rng, height, width, scale_min=self.crop_scale_min)
        return Geometry(box, self.size, self.size, Box(0, 0, self.size, self.size))

    def _padded(self, picture: Picture, rng: np.random.Generator) -> np.ndarray:
        pixels = _with_short_side(picture, self.resize or self.size, self.interpolation)
        border = (self.crop_padding, self.crop_padding)
        pixels = np.pad(pixels, (border, border, (0, 0)), mode="reflect")
        top, left = (int(rng.integers(side - self.size + 1)) for side in pixels.shape[:2])
        return _cut(pixels, Box(top, left, self.size, self.size))


@dataclass(frozen=True)
class View:
    """How images are shown to be judged: resized, then their middle, then normalised.

    Attributes:
        mean: Mean of each channel, in [0, 1] (units of 255).
        std: Standard deviation of each channel, in the same units, > 0.
        size: s.
        crop_ratio: s over the short side that an image is brought to, in (0, 1].
        interpolation: How images are resized.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int
    crop_ratio: float = 1.0
    interpolation: Interpolation = "bicubic"

    @property
    def short_side(self) -> int:
        """What the short side of an image is brought to: 256 for 224 and 0.875."""
        return math.floor(self.size / self.crop_ratio + 1e-6)  # not 99 for 96 / 0.96

    def pixels(self, picture: Picture) -> np.ndarray:
        """Make `(s, s, c)` uint8 of a picture.

        Source:
            `torchvision.transforms.v2` `Resize` and `CenterCrop`. Differs: a large JPEG is decoded
            at a reduced size, see `decoding.SPARE`.
        """
        geometry = self.geometry(picture.height, picture.width)
        return _shown(picture, geometry, self.interpolation)

    def geometry(self, height: int, width: int) -> Geometry:
        """Say which pixels of a picture of h x w pixels are shown."""
        whole = _whole(height, width, self.short_side)
        return whole._replace(kept=central_box(whole.height, whole.width, self.size, self.size))


def _shown(picture: Picture, geometry: Geometry, interpolation: Interpolation) -> np.ndarray:
    part, height, width, kept, is_mirrored = geometry
    factor = picture.factor(part.height, part.width, min(height, width))
    pixels = _cut(resize(picture.part(part, factor), height, width, interpolation), kept)
    return pixels[:, ::-1] if is_mirrored else pixels


@dataclass(frozen=True)
class WholeView(View):
    """How images are shown to find something in them: whole, whatever their shape.

    `crop_ratio` has no effect.
    """

    def geometry(self, height: int, width: int) -> Geometry:
        """Say that all pixels of a picture of h x w pixels are shown, squashed to a square.

        Source:
            clovaai/wsolevaluation. Differs: resized as `interpolation` says, with antialiasing.
        """
        kept = Box(0, 0, self.size, self.size)
        return Geometry(Box(0, 0, height, width), self.size, self.size, kept)


def _cut(pixels: np.ndarray, box: Box) -> np.ndarray:
    return pixels[box.top : box.top + box.height, box.left : box.left + box.width]


def _with_short_side(picture: Picture, side: int, interpolation: Interpolation) -> np.ndarray:
    """The whole picture, its short side brought to `side` and its shape kept."""
    return _shown(picture, _whole(picture.height, picture.width, side), interpolation)


def _whole(height: int, width: int, side: int) -> Geometry:
    long_side = int(side * max(height, width) / min(height, width))
    wanted = (side, long_side) if height <= width else (long_side, side)
    return Geometry(Box(0, 0, height, width), *wanted, Box(0, 0, *wanted))
