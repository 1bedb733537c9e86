"""Motion blur: every pixel is smeared along a line of its own image's direction.

Legend: n images, h w pixels, c channels, t taps (pixels that a pixel is made of).
"""

from math import ceil

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

NEGLIGIBLE = 1e-7
"""Weights below it are left out in float32: together they move no value by a hundredth of a level.
"""

Images = UInt8[Tensor, "n h w 3"]


def motion_blur(
    images: Images, line: tuple[float, float], uniform: Float[Tensor, " n"], dtype: torch.dtype
) -> Images:
    """Move the camera in a straight line, within 45 degrees of the horizontal.

    Args:
        images: Clean images.
        line: Radius and sigma in pixels.
        uniform: Draws in [0, 1): where in [-45, 45) degrees the direction lies.
        dtype: float64 is exact, float32 faster.

    Source:
        `motion_blur` of make_cifar_c.py. No difference in float64.
    """
    radius, sigma = line
    degrees = -45 + (45 - -45) * uniform.double()
    return smear(images, radius, sigma, degrees, dtype)


def smear(
    images: UInt8[Tensor, "n h w c"],
    radius: float,
    sigma: float,
    degrees: Float[Tensor, " n"],
    dtype: torch.dtype,
) -> UInt8[Tensor, "n h w c"]:
    """Smear each image in one direction, with weights that fall off as half a Gaussian.

    Args:
        images: Bytes.
        radius: The line has 2 * ceil(radius) + 1 pixels.
        sigma: Standard deviation of the Gaussian, pixels.
        degrees: Direction for each image.
        dtype: float64 is exact, float32 faster.

    Source:
        ImageMagick 6 (Q16) `MotionBlurImage`. It sums 16-bit values, 257 times ours, adds a half,
        and cuts off twice: floor(floor(257 s + 1/2) / 257) is floor(s + 1/514). No difference in
        float64.
    """
    weights = _half_gaussian(2 * ceil(radius) + 1, sigma)
    if dtype == torch.float32:
        weights = weights[weights > NEGLIGIBLE]
    down, right = _offsets(degrees.double().numpy(), len(weights))
    num_images, height, width, channels = images.shape
    edges = [(max(0, -int(each.min())), max(0, int(each.max()))) for each in (down, right)]
    padded = np.pad(images.numpy(), [(0, 0), *edges, (0, 0)], mode="edge")
    lines = padded.reshape(num_images, padded.shape[1], -1)
    windows = sliding_window_view(lines, (height, width * channels), axis=(1, 2))  # type: ignore[call-overload]
    top, left = down + edges[0][0], (right + edges[1][0]) * channels
    every_image = np.arange(num_images)
    total = torch.full((num_images, height, width * channels), 1 / 514, dtype=dtype)
    for tap, weight in enumerate(weights):
        taken = windows[every_image, top[:, tap], left[:, tap]]
        total.add_(torch.from_numpy(taken).to(dtype), alpha=float(weight))
    return total.to(torch.uint8).view(images.shape)


def _half_gaussian(length: int, sigma: float) -> Float[np.ndarray, " t"]:
    weights = np.exp(-(np.arange(length) ** 2) / (2.0 * sigma * sigma))
    return weights / weights.sum()


def _offsets(
    degrees: Float[np.ndarray, " n"], length: int
) -> tuple[Int[np.ndarray, "n t"], Int[np.ndarray, "n t"]]:
    """Rows down and columns to the right of each pixel of the line, for each image."""
    angle = np.deg2rad(degrees)[:, None]
    # the direction is found from its sine and cosine times the length, as there
    sine, cosine = length * np.sin(angle), length * np.cos(angle)
    norm = np.hypot(sine, cosine)
    position = np.arange(length)
    down, right = (np.ceil(position * each / norm - 0.5).astype(int) for each in (sine, cosine))
    return down, right
