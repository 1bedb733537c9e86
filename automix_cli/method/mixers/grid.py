"""GridMix: many small holes in place of one large box.

Legend: n images, c channels, H W image. `lam` is the share of the first image, in [0, 1]; so is
`mask`, for each pixel.
"""

import math

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from automix_cli.method.mixers.boxes import Box
from automix_cli.method.mixers.mixture import Mixture, mix_by_mask
from automix_cli.method.mixers.sampling import sample_lam, sample_partners


def gridmix(
    images: Float[Tensor, "n c H W"],
    rng: np.random.Generator,
    *,
    alpha: float = 0.2,
    num_holes: tuple[int, int] = (2, 6),
    crop_area: tuple[float, float] = (0.5, 1.0),
    crop_aspect: tuple[float, float] = (0.5, 2.0),
) -> Mixture:
    """Show the second image through a regular grid of square holes inside a crop.

    The crop is divided into square cells. In the upper left corner of each is a hole of
    sqrt(1 - lam) times its side, at least one pixel and at most one less than the cell.

    Args:
        images: The batch.
        rng: Draws one grid for the batch, and the partners.
        alpha: Of Beta(alpha, alpha).
        num_holes: Fewest and most holes along the width of the crop.
        crop_area: Smallest and largest area of the crop, as a share of the image.
        crop_aspect: Smallest and largest height over width of the crop.

    Returns:
        A mixture whose labels count as much as the mask has area.

    Source:
        Baek et al., GridMix (2021); OpenMixup `gridmix`. Differs: a crop longer than the image is
        cut to its size, where the reference wraps around or loses holes; a crop too narrow for the
        drawn number of holes gets as many as fit at two pixels each, where the reference stops.
        Cells are square, as in its configs.
    """
    _, _, height, width = images.shape
    lam = sample_lam(rng, alpha)
    holes = int(rng.integers(num_holes[0], num_holes[1] + 1))
    crop = _sample_crop(rng, (height, width), rng.uniform(*crop_area), rng.uniform(*crop_aspect))
    holes = max(1, min(holes, crop.size[1] // 2))
    cell = math.ceil(crop.size[1] / holes)
    side = min(max(int(cell * math.sqrt(1 - lam)), 1), cell - 1)
    rows = _in_holes(height, crop.top, crop.bottom, cell, side, images.device)
    columns = _in_holes(width, crop.left, crop.right, cell, side, images.device)
    holes_mask = (rows[:, None] & columns).to(images.dtype)
    return mix_by_mask(
        images, 1 - holes_mask.view(1, 1, height, width), sample_partners(rng, images)
    )


def _sample_crop(
    rng: np.random.Generator, image_size: tuple[int, int], area: float, aspect: float
) -> Box:
    """Draw a box of the given area and aspect that lies inside the image."""
    height, width = image_size
    wide = int(math.sqrt(int(height * width * area) / aspect))
    tall, wide = min(int(wide * aspect), height), min(wide, width)
    left, top = int((width - wide) * rng.random()), int((height - tall) * rng.random())
    return Box(top, top + tall, left, left + wide)


def _in_holes(
    length: int, start: int, stop: int, cell: int, side: int, device: torch.device
) -> Bool[Tensor, " length"]:
    """Whether each row, or column, of the image meets a hole."""
    position = torch.arange(length, device=device)
    inside_crop = (position >= start) & (position < stop)
    return inside_crop & ((position - start) % cell < side)
