"""Move the salient cells of an image to where they will be seen.

Two ways lead to the same images. With all costs in one tensor no decision of the host is needed; a
CPU would look at n p^2 numbers in each round for that, and follows the cells instead that look for
a place (`puzzle_applicants`).

Legend: n images, c channels, H W image, h w grid, p = h w cells.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from automix_cli.method.mixers.host import is_on_host
from automix_cli.method.mixers.puzzle_applicants import sources_of_visible


@torch.no_grad()
def sources_of_cells(
    saliency: Float[Tensor, "n h w"], shares: Float[Tensor, "n h w"], distance_cost: float
) -> Int64[Tensor, "n p"]:
    """Decide which cell's content each visible cell shows.

    Each cell's content applies for the place where it gains most: its saliency if the place is
    visible, minus the cost of the way. Each place takes the best applicant; the others lose
    interest in it and apply elsewhere. As a visible cell's own content applies there first, every
    visible place is taken from the first round on.

    Args:
        saliency: Of each cell.
        shares: What is seen of the image at each place; visible is what is above 0.
        distance_cost: Of the longest side of the grid, squared; >= 0.

    Returns:
        For each place the index of a cell, row by row. No cell is shown at two visible places;
        hidden places may show any.

    Source:
        Puzzle Mix, section on transport; OpenMixup `mask_transport`, as many rounds as the grid has
        rows. Differs: among the applicants only; the reference also compares with zeros for cells
        that did not apply, which may leave a place of no saliency empty.
    """
    if not is_on_host(saliency):
        return sources_by_rounds(saliency, shares, distance_cost)
    seen = (shares > 0).numpy()
    return torch.from_numpy(sources_of_visible(saliency.float().numpy(), seen, distance_cost))


def sources_by_rounds(
    saliency: Float[Tensor, "n h w"], shares: Float[Tensor, "n h w"], distance_cost: float
) -> Int64[Tensor, "n p"]:
    """Do the same with the costs of all places for all cells, without a decision of the host."""
    n, rows, columns = saliency.shape
    visible = (shares > 0).to(saliency.dtype).view(n, 1, -1)
    way = distance_cost * _squared_ways(rows, columns, saliency.device)
    cost = way - saliency.view(n, -1, 1) * visible
    own = torch.arange(rows * columns, device=saliency.device).expand(n, -1)
    for _ in range(max(rows, columns) - 1):
        offer, place = cost.min(dim=2)
        lost = _best_applicants(offer, place).gather(1, place) != own
        cost.scatter_(2, place.unsqueeze(2), (offer + lost.to(offer.dtype)).unsqueeze(2))
    best = _best_applicants(*cost.min(dim=2))
    return torch.where(best < rows * columns, best, own)


def arrange_cells(
    images: Float[Tensor, "n c H W"], sources: Int64[Tensor, "n p"], grid: tuple[int, int]
) -> Float[Tensor, "n c H W"]:
    """Build images of cells of themselves.

    Args:
        images: A batch whose height and width are multiples of those of the grid.
        sources: Which cell is shown at each place, row by row.
        grid: Rows and columns of cells.
    """
    n, _, height, width = images.shape
    tall, wide = height // grid[0], width // grid[1]
    pixels = torch.arange(height * width, device=images.device).view(grid[0], tall, grid[1], wide)
    corner, within = pixels[:, 0, :, 0].flatten(), pixels[0, :, 0]
    origin = (corner[sources].view(n, grid[0], 1, grid[1], 1) + within.view(tall, 1, wide)).view(
        n, 1, height * width
    )
    shown = images.flatten(start_dim=2).gather(2, origin.expand(-1, images.shape[1], -1))
    return shown.view(images.shape)


def _best_applicants(
    offer: Float[Tensor, "n p"], place: Int64[Tensor, "n p"]
) -> Int64[Tensor, "n p"]:
    """Which cell each place takes: the lowest offer, the first of equal ones; p without any."""
    nobody = offer.shape[1]
    lowest = torch.full_like(offer, torch.inf).scatter_reduce(1, place, offer, "amin")
    cell = torch.arange(nobody, device=offer.device).expand_as(place)
    candidate = torch.where(offer == lowest.gather(1, place), cell, nobody)
    return torch.full_like(place, nobody).scatter_reduce(1, place, candidate, "amin")


def _squared_ways(rows: int, columns: int, device: torch.device) -> Float[Tensor, "p p"]:
    """Squared distance between any two cells, with the longer side of the grid as 1."""
    vertical = torch.arange(rows, device=device).repeat_interleave(columns)
    horizontal = torch.arange(columns, device=device).repeat(rows)
    squared = sum((each[:, None] - each).square() for each in (vertical, horizontal))
    return torch.as_tensor(squared) / (max(rows, columns) - 1) ** 2
