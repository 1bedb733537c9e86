"""Four kinds of noise: Gaussian, shot, impulse and speckle.

Each function takes bytes and what was drawn for them, so that the published draws can be replayed.

Legend: n images, h w pixels.
"""

import torch
from jaxtyping import Bool, Float, Real, UInt8
from torch import Tensor

from automix_cli.evaluation.corruptions.pixels import to_bytes, to_unit

GAUSSIAN_DEVIATIONS = (0.04, 0.06, 0.08, 0.09, 0.10)
"""Standard deviation, units of 255, by severity."""
SHOT_COUNTS = (500, 250, 100, 75, 50)
"""Photons that make white, by severity."""
IMPULSE_SHARES = (0.01, 0.02, 0.03, 0.05, 0.07)
"""Share of the values that are replaced, by severity."""
SPECKLE_DEVIATIONS = (0.06, 0.1, 0.12, 0.16, 0.2)
"""Standard deviation relative to the value, by severity."""

Images = UInt8[Tensor, "n h w 3"]


def gaussian_noise(
    images: Images, severity: int, normal: Float[Tensor, "n h w 3"], dtype: torch.dtype
) -> Images:
    """Add noise of the same strength everywhere.

    Args:
        images: Clean images.
        severity: 1 to 5.
        normal: Standard normal draws.
        dtype: float64 is exact, float32 faster.

    Source:
        `gaussian_noise` of make_cifar_c.py. No difference.
    """
    noise = normal.to(dtype) * GAUSSIAN_DEVIATIONS[severity - 1]
    return to_bytes(noise.add_(to_unit(images, dtype)))


def shot_noise(
    images: Images, severity: int, photons: Real[Tensor, "n h w 3"], dtype: torch.dtype
) -> Images:
    """Count photons instead of measuring light.

    Args:
        images: Clean images, which only say how many there are.
        severity: 1 to 5.
        photons: Poisson draws whose mean is the image in [0, 1] times `SHOT_COUNTS`.
        dtype: float64 is exact, float32 faster.

    Source:
        `shot_noise` of make_cifar_c.py. No difference.
    """
    if photons.shape != images.shape:
        raise ValueError(f"photons must be {tuple(images.shape)}, got {tuple(photons.shape)}")
    return to_bytes(photons.to(dtype).div_(SHOT_COUNTS[severity - 1]))


def impulse_noise(
    images: Images,
    severity: int,
    replacing: Float[Tensor, "n h w 3"],
    whitening: Bool[Tensor, "n h w 3"],
) -> Images:
    """Replace single values by 0 or 255.

    Args:
        images: Clean images.
        severity: 1 to 5.
        replacing: Uniform draws in [0, 1); a value is replaced where they are below the share.
        whitening: True where a replaced value becomes 255.

    Source:
        `impulse_noise` of make_cifar_c.py: `skimage.util.random_noise(mode="s&p")`. No difference.
    """
    replaced = replacing < IMPULSE_SHARES[severity - 1]
    return torch.where(replaced, whitening.to(torch.uint8).mul_(255), images)


def speckle_noise(
    images: Images, severity: int, normal: Float[Tensor, "n h w 3"], dtype: torch.dtype
) -> Images:
    """Add noise in proportion to the value; arguments as for `gaussian_noise`.

    Source:
        `speckle_noise` of make_cifar_c.py. No difference.
    """
    values = to_unit(images, dtype)
    noise = normal.to(dtype) * SPECKLE_DEVIATIONS[severity - 1]
    return to_bytes(noise.mul_(values).add_(values))
