"""Pixelate: shrink to fewer pixels and enlarge again.

Legend: n images, h w pixels.
"""

from functools import cache

import torch
from jaxtyping import UInt8
from torch import Tensor

from automix_cli.evaluation.corruptions.pixels import SIZE

PIXELS = (30, 28, 27, 24, 20)
"""Pixels of a side after shrinking, by severity: 32 times 0.95, 0.9, 0.85, 0.75 and 0.65."""

Images = UInt8[Tensor, "n h w 3"]


def pixelate(images: Images, severity: int) -> Images:
    """Shrink by averaging pixels, enlarge by repeating them.

    Source:
        `pixelate` of make_cifar_c.py: Pillow's resize with the BOX filter in both directions, which
        works in whole bytes along the rows and then down the columns. No difference.
    """
    size = PIXELS[severity - 1]
    for axis in (2, 1):
        images = resize_axis(images, axis, size)
    for axis in (2, 1):
        images = resize_axis(images, axis, SIZE)
    return images


@cache
def box_taps(size: int, wanted: int) -> tuple[list[int], list[int]]:
    """The first and the last pixel that each pixel of a resized line is the mean of.

    Between these sizes a pixel is the mean of one or two. A pixel counts when its middle lies in
    the box, whose left edge is open and whose right edge is not.
    """
    scale = size / wanted
    width = max(scale, 1.0)
    first, last = [], []
    for position in range(wanted):
        middle = (position + 0.5) * scale
        inside = [
            pixel
            for pixel in range(
                int(middle - width / 2 + 0.5), min(int(middle + width / 2 + 0.5), size)
            )
            if -0.5 < (pixel - middle + 0.5) / width <= 0.5
        ]
        first.append(inside[0])
        last.append(inside[-1])
    return first, last


def resize_axis(
    images: UInt8[Tensor, "n h w c"], axis: int, wanted: int
) -> UInt8[Tensor, "n h2 w2 c"]:
    """Resize one dimension with a box filter; a half is rounded up."""
    first, last = box_taps(images.shape[axis], wanted)
    low = images.index_select(axis, torch.tensor(first))
    if first == last:
        return low
    high = images.index_select(axis, torch.tensor(last))
    return (low.short() + high).add_(1).bitwise_right_shift_(1).to(torch.uint8)
