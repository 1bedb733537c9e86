"""What PuzzleMix holds against each labelling of its grid.

A cell that shows one image hides what is salient in the other. Neighbours that show different
images cost, and more so where the images do not fit together. A prior draws the shares to lam.

Legend: n images, c channels, H W image, b rows and columns of the grid, h w any grid. A share is
that of the first image, in [0, 1].
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from automix_cli.method.mixers.puzzle_labels import LabelCosts


@dataclass(frozen=True, kw_only=True)
class PuzzleMixOptions:
    """The constants of PuzzleMix, with the reference's values for CIFAR."""

    largest_grid: int = 16
    """Rows of the finest grid, a power of two: grids are drawn from 2, 4, ... up to it. The
    reference's `block_num` 5; 8 on ImageNet, its `block_num` 4."""

    label_smoothness: float = 1.2
    """How much neighbours with different shares cost; >= 0. The paper's beta."""

    data_smoothness: float = 0.5
    """How much it costs if they do not look alike, relative to that; >= 0. The paper's gamma."""

    prior_weight: float = 0.2
    """How strongly shares are drawn towards lam; >= 0. The paper's eta."""

    border_width: int = 4
    """Pixels over which the images are averaged before borders are compared; >= 1. If the cells
    are no multiple of it, the largest number that divides both."""

    pixel_std: tuple[float, ...] = (0.2,)
    """Standard deviations the images were normalised by, one or one per channel: borders are
    compared in brightness from 0 to 1. 0.2 is close for CIFAR and ImageNet."""

    transport: bool = True
    """Whether salient cells are moved to where they are seen."""

    distance_cost: float = 0.8
    """What moving a cell along the whole image costs, in saliency; >= 0. The reference's `t_eps`
    in its configs."""

    transport_cell: int | None = 4
    """Side in pixels of the cells that are moved, where cells of the grid are larger and a
    multiple of it. None moves whole cells, as on ImageNet. The reference's `t_size`."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        grid = self.largest_grid
        if grid < 2 or grid & (grid - 1):
            raise ValueError(f"`largest_grid` must be a power of two above 1, got `{grid}`")
        for name in ("label_smoothness", "data_smoothness", "prior_weight", "distance_cost"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must be at least 0, got `{getattr(self, name)}`")
        for name in ("border_width", "transport_cell"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"`{name}` must be at least 1, got `{value}`")


def saliency_of_cells(
    saliency: Float[Tensor, "n H W"], grid: tuple[int, int]
) -> Float[Tensor, "n h w"]:
    """Share of each cell in the saliency of its image; all alike where there is none.

    Args:
        saliency: Of each pixel, >= 0.
        grid: Rows and columns of cells, divisors of height and width.
    """
    cells = F.adaptive_avg_pool2d(saliency.float(), grid)
    total = cells.sum(dim=(1, 2), keepdim=True)
    smallest = torch.finfo(cells.dtype).tiny  # the branch not taken must not divide by zero
    uniform = torch.full_like(cells, 1 / math.prod(grid))
    return torch.where(total > 0, cells / total.clamp(min=smallest), uniform)


def label_costs(
    images: Float[Tensor, "n c H W"],
    saliency: Float[Tensor, "n H W"],
    perm: Int64[Tensor, " n"],
    lam: float,
    grid: int,
    options: PuzzleMixOptions,
) -> LabelCosts:
    """Write the costs of all labellings as costs of cells and of edges.

    With shares m, saliencies s and s' of the cells, and what two neighbours i and j cost if i is
    from image a and j from image b, theta_ab:

    sum_i [m_i s'_i + (1 - m_i) s_i + prior(m_i)] + sum_ij [smoothness (m_i - m_j)^2 + theta(m_i,
    m_j)]

    theta is what the two sides of the border differ by. For shares of 0 and 1 it equals, up to a
    constant, a cost of each cell plus (theta_10 + theta_01 - theta_11 - theta_00) / 2 times the
    squared difference, and that form serves for 1/2 too.

    Args:
        images: The batch.
        saliency: Of each pixel.
        perm: The partner of each image.
        lam: The wanted share of the first image, in (0, 1).
        grid: Rows and columns.
        options: See there.

    Source:
        Puzzle Mix, equation of the mask objective; OpenMixup `puzzlemix` and `graphcut_multi`.
        Differs: edge weights below 0, which images of more than the whole range of brightness can
        cause, count as 0: the costs stay convex.
    """
    own = saliency_of_cells(saliency, (grid, grid))
    scale = options.label_smoothness / grid / 16
    pooled = _pooled_cells(images, grid, options)
    down = _border_costs(pooled, perm)
    right = _Borders(*(each.mT for each in _border_costs(pooled.permute(0, 1, 4, 5, 2, 3), perm)))
    unlike = scale * options.data_smoothness
    first = own[perm] + unlike * (down.first + right.first)
    second = own + unlike * (down.second + right.second)
    prior = [-2 * math.log(1 - lam), -math.log(2 * lam * (1 - lam)), -2 * math.log(lam)]
    per_cell = options.prior_weight / grid**2
    own_costs = (second, (first + second) / 2, first)
    choice = [cost + per_cell * each for cost, each in zip(own_costs, prior, strict=True)]
    edges = ((scale + unlike * each.edge).clamp(min=0) for each in (down, right))
    return LabelCosts(torch.stack(choice, dim=1), *edges)


class _Borders(NamedTuple):
    """What the borders in one direction cost, per unit of smoothness."""

    edge: Float[Tensor, "n d e"]
    """For the squared difference of the shares of two neighbours; may be below 0."""

    first: Float[Tensor, "n b b"]
    """For each cell, if it shows the first image."""

    second: Float[Tensor, "n b b"]
    """For each cell, if it shows the second image."""


def _pooled_cells(
    images: Float[Tensor, "n c H W"], grid: int, options: PuzzleMixOptions
) -> Float[Tensor, "n c b t b k"]:
    """Brightness, averaged: t rows and k columns of averages in each cell."""
    n, channels, height, width = images.shape
    tall, wide = height // grid, width // grid
    pool = (math.gcd(tall, options.border_width), math.gcd(wide, options.border_width))
    pooled = F.avg_pool2d(images.float(), pool)
    std = torch.tensor(options.pixel_std, dtype=torch.float32).view(1, -1, 1, 1)
    bright = pooled.contiguous() * std.to(images.device, non_blocking=True)
    return bright.view(n, channels, grid, tall // pool[0], grid, wide // pool[1])


def _border_costs(cells: Float[Tensor, "n c b t b k"], perm: Int64[Tensor, " n"]) -> _Borders:
    """Costs of the borders between each cell and the one below it: of its last and first rows."""
    before, after = cells[:, :, :-1, -1], cells[:, :, 1:, 0]
    one_one, one_zero = _difference(before, after), _difference(before, after[perm])
    zero_zero, zero_one = one_one[perm], _difference(before[perm], after)
    return _Borders(
        edge=(one_zero + zero_one - one_one - zero_zero) / 2,
        first=_upper(one_zero + one_one) / 2 + _lower(zero_one + one_one) / 2,
        second=_upper(zero_one + zero_zero) / 2 + _lower(one_zero + zero_zero) / 2,
    )


def _difference(
    before: Float[Tensor, "n c d b k"], after: Float[Tensor, "n c d b k"]
) -> Float[Tensor, "n d b"]:
    """Mean difference in brightness along each border."""
    return (before - after).abs().mean(dim=(1, 4))


def _upper(edges: Float[Tensor, "n d b"]) -> Float[Tensor, "n b b"]:
    """What the cells above the borders get; the last row has no border below it."""
    return F.pad(edges, (0, 0, 0, 1))


def _lower(edges: Float[Tensor, "n d b"]) -> Float[Tensor, "n b b"]:
    """What the cells below the borders get; the first row has no border above it."""
    return F.pad(edges, (0, 0, 1, 0))
