"""PuzzleMix: cut both images along a grid so that what matters of each is seen.

Three steps: what choices cost (`puzzle_costs`), which shares are cheapest (`puzzle_labels`), and
moving the salient cells to where they are seen (`puzzle_transport`).

Legend: n images, c channels, H W image, b rows and columns of the grid. A share is that of the
first image, in [0, 1].
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from automix_cli.method.masks import upsample
from automix_cli.method.mixers.mixture import Mixture, mix_by_mask
from automix_cli.method.mixers.puzzle_costs import (
    PuzzleMixOptions,
    label_costs,
    saliency_of_cells,
)
from automix_cli.method.mixers.puzzle_labels import cheapest_shares
from automix_cli.method.mixers.puzzle_transport import arrange_cells, sources_of_cells
from automix_cli.method.mixers.sampling import sample_lam, sample_partners

SMALLEST_LAM = 1e-8
"""Ratios are kept this far from 0 and 1, so that the prior stays finite."""


DEFAULTS = PuzzleMixOptions()


@torch.no_grad()
def puzzlemix(
    images: Float[Tensor, "n c H W"],
    rng: np.random.Generator,
    saliency: Float[Tensor, "n H W"],
    *,
    alpha: float = 1.0,
    options: PuzzleMixOptions = DEFAULTS,
) -> Mixture:
    """Give each cell of a grid to the image that has more to show there, and fit the images to it.

    Args:
        images: The batch; height and width multiples of the finest grid.
        rng: Draws one ratio and one grid for the batch, and the partners.
        saliency: Of each pixel, see `gradient_saliency`; an image without any counts as uniform.
        alpha: Of Beta(alpha, alpha); 2 for transformers.
        options: See there.

    Returns:
        A mixture whose labels count as much as the shares of the cells; that differs from image to
        image. With transport it has no mask: pixels have moved.

    Raises:
        ValueError: if the image size is not a multiple of the finest grid, or `pixel_std` is for
            another number of channels.

    Source:
        Kim et al., Puzzle Mix (2020); OpenMixup `puzzlemix`. Differs: the labelling is solved on
        the device for the whole batch, to the minimum instead of a local one (`puzzle_labels`),
        with costs that are not rounded; images need not be square; logarithms of the prior are
        guarded by lam in [1e-8, 1 - 1e-8]. Not offered: adversarial noise (off there), and numbers
        of labels other than three.
    """
    _, channels, height, width = images.shape
    if len(options.pixel_std) not in (1, channels):
        raise ValueError(
            f"`pixel_std` must have 1 or `{channels}` values, got `{len(options.pixel_std)}`"
        )
    if height % options.largest_grid or width % options.largest_grid:
        raise ValueError(
            f"image size must be a multiple of `largest_grid`, `{options.largest_grid}`, "
            f"got `{height} x {width}`"
        )
    lam = min(max(sample_lam(rng, alpha), SMALLEST_LAM), 1 - SMALLEST_LAM)
    grid = 2 ** int(rng.integers(1, options.largest_grid.bit_length()))
    perm = sample_partners(rng, images)
    shares = cheapest_shares(label_costs(images, saliency, perm, lam, grid, options))
    if not options.transport:
        return mix_by_mask(images, _enlarge(shares, (height, width)), perm)
    cells = _transport_grid((height, width), grid, options.transport_cell)
    seen, matters = _enlarge(shares, cells).squeeze(1), saliency_of_cells(saliency, cells)
    both = torch.cat([matters, matters[perm]]), torch.cat([seen, 1 - seen])
    first, second = sources_of_cells(*both, options.distance_cost).chunk(2)
    moved_first, moved_second = (
        arrange_cells(each, sources, cells)
        for each, sources in ((images, first), (images[perm], second))
    )
    mask = _enlarge(shares, (height, width)).to(images.dtype)
    weight = shares.mean(dim=(1, 2))
    mixed = torch.lerp(moved_second, moved_first, mask)
    return Mixture(mixed, perm, weight, 1 - weight, mask=None)


def _transport_grid(image_size: tuple[int, int], grid: int, cell: int | None) -> tuple[int, int]:
    """Rows and columns of the cells that are moved: those of the grid, or finer ones."""
    block = [size // grid for size in image_size]
    if cell is None or min(block) <= cell or any(side % cell for side in block):
        return grid, grid
    return image_size[0] // cell, image_size[1] // cell


def _enlarge(shares: Float[Tensor, "n b b"], size: tuple[int, int]) -> Float[Tensor, "n 1 H W"]:
    """Repeat each cell until the grid has that size, of which its own is a divisor."""
    return upsample(shares.unsqueeze(1), size, "nearest")
