"""Pixelate: shrink to fewer pixels and enlarge again.

Legend: n images, h w pixels.
"""

from functools import cache

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

PRECISION = 1 << 22
"""Pillow's shares of pixels are whole multiples of its inverse."""

Images = UInt8[Tensor, "n h w 3"]


def pixelate(images: Images, pixels: int) -> Images:
    """Shrink to `pixels` a side by averaging, enlarge by repeating them.

    Source:
        `pixelate` of the published scripts: Pillow's resize with the BOX filter in both directions,
        which works in whole bytes along the rows and then down the columns. No difference.
    """
    size = images.shape[1]
    for wanted in (pixels, size):
        for axis in (2, 1):
            images = resize_axis(images, axis, wanted)
    return images


@cache
def box_matrix(size: int, wanted: int) -> Float[Tensor, "wanted size"]:
    """What each pixel of a resized line is made of, in units of 1 / `PRECISION`, float64.

    A pixel counts when its middle lies in the box, whose left edge is open and whose right edge is
    not; all that count, count the same.
    """
    scale = size / wanted
    width = max(scale, 1.0)
    matrix = np.zeros((wanted, size))
    for position in range(wanted):
        middle = (position + 0.5) * scale
        first = max(int(middle - width / 2 + 0.5), 0)
        end = min(int(middle + width / 2 + 0.5), size)
        inside = [
            pixel for pixel in range(first, end) if -0.5 < (pixel - middle + 0.5) / width <= 0.5
        ]
        matrix[position, inside] = int(0.5 + PRECISION / len(inside))
    return torch.from_numpy(matrix)


def resize_axis(
    images: UInt8[Tensor, "n h w c"], axis: int, wanted: int
) -> UInt8[Tensor, "n h2 w2 c"]:
    """Resize one dimension with a box filter; whole numbers, which float64 holds exactly."""
    matrix = box_matrix(images.shape[axis], wanted)
    lines = images.movedim(axis, 0)
    sums = matrix @ lines.flatten(1).double()
    resized = sums.add_(PRECISION // 2).div_(PRECISION).to(torch.uint8)
    return resized.view(wanted, *lines.shape[1:]).movedim(0, axis).contiguous()
