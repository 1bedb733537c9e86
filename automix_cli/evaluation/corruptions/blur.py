"""Blurs that move no camera: Gaussian, defocus and glass.

Legend: n images, h w pixels.
"""

from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from automix_cli.evaluation.corruptions.pixels import extend, smooth, to_bytes, to_unit

Images = UInt8[Tensor, "n h w 3"]


def gaussian_blur(images: Images, sigma: float, dtype: torch.dtype) -> Images:
    """Smooth with a Gaussian of `sigma` pixels.

    Source:
        `gaussian_blur` of make_cifar_c.py (skimage's `gaussian`). No difference in float64.
    """
    return to_bytes(smooth(to_unit(images, dtype), sigma))


@cache
def disk_taps(radius: float, sigma: float) -> tuple[tuple[int, int, float], ...]:
    """Give the pixels that a point of an unfocused image is made of, and their weights.

    A disk of equal weights, smoothed by 3 x 3 pixels of a Gaussian, or 5 x 5 where the radius is
    more than 8, all in float32: in float64 four weights of CIFAR-C differ in the 13th decimal,
    which shows in one pixel of CIFAR-100-C.

    Returns:
        Row, column and weight of each weight that is not 0, row by row, the centre at (0, 0).

    Source:
        `disk` of make_cifar_c.py, `cv2.GaussianBlur` included. No difference.
    """
    half, reach = (8, 1) if radius <= 8 else (int(radius), 2)
    positions = np.arange(-half, half + 1)
    columns, rows = np.meshgrid(positions, positions)
    disk = (columns**2 + rows**2 <= radius**2).astype(np.float32)
    disk /= disk.sum()
    gaussian = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma * sigma))
    shares = (gaussian / gaussian.sum()).astype(np.float32)[reach:]
    padded = np.pad(disk, reach, mode="reflect")
    weights = _smoothed_rows(_smoothed_rows(padded.T, shares).T, shares)
    return tuple(
        (int(row) - half, int(column) - half, float(weights[row, column]))
        for row, column in np.argwhere(weights != 0)
    )


def _smoothed_rows(
    padded: Float[np.ndarray, "h w"], shares: Float[np.ndarray, " reach"]
) -> Float[np.ndarray, "h2 w"]:
    """Smooth down the columns: the middle first, then pairs from the inside to the outside."""
    reach = len(shares) - 1
    size = len(padded) - 2 * reach
    total = padded[reach : reach + size] * shares[0]
    for offset in range(1, reach + 1):
        low, high = padded[reach - offset :][:size], padded[reach + offset :][:size]
        total = total + (low + high) * shares[offset]
    return total


def defocus_blur(images: Images, disk: tuple[float, float], dtype: torch.dtype) -> Images:
    """Spread every point over a disk of a radius, whose border is smoothed by a sigma, pixels.

    Source:
        `defocus_blur` of the published scripts (`cv2.filter2D`), summed row by row. No difference
        in float64 for CIFAR-C. For the large disks of ImageNet-C OpenCV may multiply Fourier
        transforms instead, which differs in the last bits.
    """
    taps = disk_taps(*disk)
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
    images: Images,
    glass: tuple[float, int, int],
    steps: UInt8[Tensor, "n passes h w 2"],
    dtype: torch.dtype,
) -> Images:
    """Smooth, let pixels take the places of others near them, and smooth again.

    Args:
        images: Clean images.
        glass: Sigma of the smoothing; how far pixels move; number of passes.
        steps: For every pixel of every pass, by how many columns (first) and rows (second) less
            than the farthest right and down its source lies, in [0, 2 * how far). Pixels as near
            to the border as that, and one more above and to the left, stay.
        dtype: float64 is exact, float32 faster.

    Source:
        `glass_blur` of the published scripts. There two pixels are meant to change places, but both
        sides of the assignment are views, so that only the first part has an effect: a pixel
        becomes a copy of its source. The sweep goes up and to the left, so that a source below or
        to the right has been replaced before. No difference in float64.
    """
    sigma, reach, _ = glass
    # in float64 always: two roundings in float32 could move a value by two levels
    pixels = smooth(to_unit(images, torch.float64), sigma).mul_(255).to(torch.uint8)
    # red, green, blue and 0 as one integer: a pixel is looked up as a whole
    packed = torch.nn.functional.pad(pixels, (0, 1)).view(torch.int32).flatten()
    size = images.shape[1]
    offsets = reach - 1 - steps.permute(1, 0, 2, 3, 4).int()
    moves = offsets[..., 0] + size * offsets[..., 1]
    stay = torch.ones(size, size, dtype=torch.bool)
    stay[reach + 1 : size - reach + 1, reach + 1 : size - reach + 1] = False
    moves.masked_fill_(stay, 0)
    for move in moves.flatten(1):
        packed = packed.index_select(0, _followed(move))
    pixels = packed.view(torch.uint8).view(*images.shape[:3], 4)[..., :3]
    return to_bytes(smooth(to_unit(pixels, dtype), sigma))


def _followed(moves: Int[Tensor, " pixels"]) -> Int[Tensor, " pixels"]:
    """Say where each pixel of a sweep from the last to the first ends up being copied from.

    Args:
        moves: From each pixel to its source, 0 for a pixel that stays.

    A source that comes later in the image was replaced before, by its own source: such chains are
    followed by doubling, as far as each one goes.
    """
    here = torch.arange(len(moves), dtype=torch.int32)
    sources = here + moves
    later = torch.where(moves > 0, sources, here)
    while True:
        farther = later.index_select(0, later)
        if torch.equal(farther, later):
            return sources.index_select(0, later)
        later = farther
