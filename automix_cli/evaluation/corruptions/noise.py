"""Four kinds of noise: Gaussian, shot, impulse and speckle.

Each function takes bytes and what was drawn for them, so that the published draws can be replayed.

Legend: n images, h w pixels.
"""

import torch
from jaxtyping import Bool, Float, Real, UInt8
from torch import Tensor

from automix_cli.evaluation.corruptions.pixels import to_bytes, to_unit

Images = UInt8[Tensor, "n h w 3"]


def gaussian_noise(
    images: Images, deviation: float, normal: Float[Tensor, "n h w 3"], dtype: torch.dtype
) -> Images:
    """Add noise of the same strength everywhere.

    Args:
        images: Clean images.
        deviation: Standard deviation, units of 255.
        normal: Standard normal draws.
        dtype: float64 is exact, float32 faster.

    Source:
        `gaussian_noise` of make_cifar_c.py. No difference.
    """
    noise = normal.to(dtype) * deviation
    return to_bytes(noise.add_(to_unit(images, dtype)))


def shot_noise(
    images: Images, count: int, photons: Real[Tensor, "n h w 3"], dtype: torch.dtype
) -> Images:
    """Count photons instead of measuring light.

    Args:
        images: Clean images, which only say how many there are.
        count: Photons that make white.
        photons: Poisson draws whose mean is the image in [0, 1] times `count`.
        dtype: float64 is exact, float32 faster.

    Source:
        `shot_noise` of make_cifar_c.py. No difference.
    """
    if photons.shape != images.shape:
        raise ValueError(f"photons must be {tuple(images.shape)}, got {tuple(photons.shape)}")
    return to_bytes(photons.to(dtype).div_(count))


def impulse_noise(
    images: Images,
    share: float,
    replacing: Float[Tensor, "n h w 3"],
    whitening: Bool[Tensor, "n h w 3"],
) -> Images:
    """Replace single values by 0 or 255.

    Args:
        images: Clean images.
        share: Of the values that are replaced.
        replacing: Uniform draws in [0, 1); a value is replaced where they are below the share.
        whitening: True where a replaced value becomes 255.

    Source:
        `impulse_noise` of make_cifar_c.py: `skimage.util.random_noise(mode="s&p")`. No difference.
    """
    replaced = replacing < share
    return torch.where(replaced, whitening.to(torch.uint8).mul_(255), images)


def speckle_noise(
    images: Images, deviation: float, normal: Float[Tensor, "n h w 3"], dtype: torch.dtype
) -> Images:
    """Add noise in proportion to the value; `deviation` is relative to it.

    Source:
        `speckle_noise` of make_cifar_c.py. No difference.
    """
    values = to_unit(images, dtype)
    noise = normal.to(dtype) * deviation
    return to_bytes(noise.mul_(values).add_(values))
