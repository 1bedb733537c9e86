"""Which part of an image is shown or erased: random boxes, drawn from a generator.

Legend: h w pixels of the whole image.
"""

import math
from typing import NamedTuple

import numpy as np

ATTEMPTS = 10
"""How often a box is drawn until it fits, as in torchvision and timm."""


class Box(NamedTuple):
    """A part of an image, in pixels: its first row and column, its height and its width."""

    top: int
    left: int
    height: int
    width: int

    def reduced(self, factor: int) -> "Box":
        """Find this box in the same image at a `factor` times smaller scale."""
        top, left = round(self.top / factor), round(self.left / factor)
        return Box(top, left, round(self.height / factor), round(self.width / factor))


def random_resized_box(
    rng: np.random.Generator, height: int, width: int, *, scale_min: float
) -> Box:
    """Draw a part of random area, shape and place.

    Area is uniform in [`scale_min`, 1] of the whole, the logarithm of width over height in
    +- log(4/3), the place uniform. Where ten such boxes do not fit, it is the largest central part
    with a shape in that range.

    Args:
        rng: Source of randomness.
        height: h.
        width: w.
        scale_min: In (0, 1].

    Source:
        `torchvision.transforms.v2.RandomResizedCrop`, ratio (3/4, 4/3). No difference.
    """
    for _ in range(ATTEMPTS):
        area = height * width * rng.uniform(scale_min, 1)
        ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        box_width, box_height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < box_width <= width and 0 < box_height <= height:
            top = int(rng.integers(height - box_height + 1))
            left = int(rng.integers(width - box_width + 1))
            return Box(top, left, box_height, box_width)
    box_height = min(height, round(width / (3 / 4)))
    box_width = min(width, round(height * (4 / 3)))
    return central_box(height, width, box_height, box_width)


def central_box(height: int, width: int, box_height: int, box_width: int) -> Box:
    """Place a box in the middle, as torchvision's `center_crop` does where halves are uneven."""
    top, left = round((height - box_height) / 2), round((width - box_width) / 2)
    return Box(top, left, box_height, box_width)


def erased_box(rng: np.random.Generator, height: int, width: int) -> Box | None:
    """Draw a part to erase: 2 % to a third of the area, at most ten times as long as it is narrow.

    Returns:
        None where ten draws did not fit.

    Source:
        Zhong et al. 2020; timm `RandomErasing` with its defaults. No difference.
    """
    for _ in range(ATTEMPTS):
        area = height * width * rng.uniform(0.02, 1 / 3)
        ratio = math.exp(rng.uniform(math.log(0.3), math.log(1 / 0.3)))
        box_height, box_width = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if box_width < width and box_height < height:
            top = int(rng.integers(height - box_height + 1))
            left = int(rng.integers(width - box_width + 1))
            return Box(top, left, box_height, box_width)
    return None
