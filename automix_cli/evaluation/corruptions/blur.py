"""Blurs that move no camera: Gaussian, defocus and glass.

Legend: n images, h w pixels.
"""

from functools import cache

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from automix_cli.evaluation.corruptions.pixels import (
    SIZE,
    extend,
    smooth,
    to_bytes,
    to_unit,
)

GAUSSIAN_SIGMAS = (0.4, 0.6, 0.7, 0.8, 1.0)
"""Pixels, by severity."""
DEFOCUS = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1))
"""Radius of the disk and sigma of its smoothing, pixels, by severity."""
GLASS = ((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2))
"""Sigma in pixels and number of passes, by severity."""

Images = UInt8[Tensor, "n h w 3"]


def gaussian_blur(images: Images, severity: int, dtype: torch.dtype) -> Images:
    """Smooth with a Gaussian.

    Source:
        `gaussian_blur` of make_cifar_c.py (skimage's `gaussian`). No difference in float64.
    """
    return to_bytes(smooth(to_unit(images, dtype), GAUSSIAN_SIGMAS[severity - 1]))


@cache
def disk_taps(radius: float, sigma: float) -> tuple[tuple[int, int, float], ...]:
    """Give the pixels that a point of an unfocused image is made of, and their weights.

    A disk of equal weights, smoothed by 3 x 3 pixels of a Gaussian, all in float32: in float64
    four weights differ in the 13th decimal, which shows in one pixel of CIFAR-100-C.

    Returns:
        Row, column and weight of each weight that is not 0, row by row, the centre at (0, 0).

    Source:
        `disk` of make_cifar_c.py, `cv2.GaussianBlur` included. No difference.
    """
    positions = np.arange(-8, 9)
    columns, rows = np.meshgrid(positions, positions)
    disk = (columns**2 + rows**2 <= radius**2).astype(np.float32)
    disk /= disk.sum()
    gaussian = np.exp(-(np.arange(-1, 2) ** 2) / (2 * sigma * sigma))
    side, centre = (gaussian / gaussian.sum()).astype(np.float32)[:2]
    padded = np.pad(disk, 1, mode="reflect")
    across = padded[:, 1:-1] * centre + (padded[:, :-2] + padded[:, 2:]) * side
    weights = across[1:-1] * centre + (across[:-2] + across[2:]) * side
    return tuple(
        (int(row) - 8, int(column) - 8, float(weights[row, column]))
        for row, column in np.argwhere(weights != 0)
    )


def defocus_blur(images: Images, severity: int, dtype: torch.dtype) -> Images:
    """Spread every point over a disk.

    Source:
        `defocus_blur` of make_cifar_c.py (`cv2.filter2D`), summed row by row as there. No
        difference in float64.
    """
    taps = disk_taps(*DEFOCUS[severity - 1])
    reach = max(max(abs(row), abs(column)) for row, column, _ in taps)
    height, width = images.shape[1:3]
    padded = extend(to_unit(images, dtype), reach, "mirror")
    total = torch.zeros(images.shape, dtype=dtype)
    product = torch.empty_like(total)
    for row, column, weight in taps:
        top, left = reach + row, reach + column
        # product and sum are rounded one after the other; `add_(..., alpha=...)` would fuse them
        torch.mul(padded[:, top : top + height, left : left + width], weight, out=product)
        total += product
    return to_bytes(total)


def glass_blur(
    images: Images, severity: int, steps: UInt8[Tensor, "n passes h w 2"], dtype: torch.dtype
) -> Images:
    """Smooth, let pixels take their upper or left neighbour's place, and smooth again.

    Args:
        images: Clean images.
        severity: 1 to 5.
        steps: For every pixel of every pass, whether it comes from the left (first) and from above
            (second), 0 or 1. The first two rows and columns stay, whatever they say.
        dtype: float64 is exact, float32 faster.

    Source:
        `glass_blur` of make_cifar_c.py. There two pixels are meant to change places, but both sides
        of the assignment are views, so that only the first part has an effect; and as sources lie
        above and to the left, and the sweep goes up and to the left, a pass takes all its pixels
        from the image before it. No difference in float64.
    """
    sigma, _ = GLASS[severity - 1]
    # in float64 always: two roundings in float32 could move a value by two levels
    pixels = smooth(to_unit(images, torch.float64), sigma).mul_(255).to(torch.uint8)
    # red, green, blue and 0 as one integer: a pixel is looked up as a whole
    packed = torch.nn.functional.pad(pixels, (0, 1)).view(torch.int32).flatten()
    moves = (steps[..., 0] + SIZE * steps[..., 1].int()).permute(1, 0, 2, 3).contiguous()
    moves[:, :, :2] = 0
    moves[:, :, :, :2] = 0
    here = torch.arange(packed.numel(), dtype=torch.int32)
    for move in moves.flatten(1):
        packed = packed.index_select(0, here - move)
    pixels = packed.view(torch.uint8).view(*images.shape[:3], 4)[..., :3]
    return to_bytes(smooth(to_unit(pixels, dtype), sigma))
