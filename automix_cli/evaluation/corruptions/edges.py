"""Edges of drops, and how far away they are, as OpenCV finds them.

Legend: n images, h w pixels.
"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from automix_cli.evaluation.corruptions.pixels import extend

TANGENT_22 = 13573
"""tan(22.5 degrees), units of 2**-15."""
STRAIGHT, DIAGONAL, KNIGHT = 65536, 91750, 143976
"""Lengths of steps to a neighbour, a diagonal one, and a knight's move away: 1/65536 pixel."""
FARTHEST = 20 * 65536
"""Distances are cut off here, same units."""

Map = Int[Tensor, "n h w"]


def neighbours(padded: Tensor, reach: int) -> dict[tuple[int, int], Tensor]:
    """Views of a padded map, moved by every (row, column) up to `reach`."""
    height, width = (size - 2 * reach for size in padded.shape[1:3])
    moves = range(-reach, reach + 1)
    return {
        (row, column): padded[
            :, reach + row : reach + row + height, reach + column : reach + column + width
        ]
        for row in moves
        for column in moves
    }


def find_edges(levels: Map, *, low: int, high: int) -> Bool[Tensor, "n h w"]:
    """Find the edges of images of levels in [0, 255].

    Args:
        levels: The images.
        low: Least gradient of an edge that a stronger one leads to.
        high: Least gradient of an edge that stands alone.

    Source:
        `cv2.Canny` with a 3 x 3 Sobel filter and the gradient |dx| + |dy|. No difference.
    """
    at = neighbours(extend(levels, 1, "replicate"), 1)
    across = (at[-1, 1] - at[-1, -1]) + 2 * (at[0, 1] - at[0, -1]) + (at[1, 1] - at[1, -1])
    down = (at[1, -1] - at[-1, -1]) + 2 * (at[1, 0] - at[-1, 0]) + (at[1, 1] - at[-1, 1])
    strength = across.abs() + down.abs()
    near = neighbours(torch.nn.functional.pad(strength, (1, 1, 1, 1)), 1)
    flat = across.abs() * TANGENT_22
    steep = flat + (across.abs() << 16)
    rise = down.abs() << 15
    on_row = (strength > near[0, -1]) & (strength >= near[0, 1])
    on_column = (strength > near[-1, 0]) & (strength >= near[1, 0])
    on_rising = (strength > near[-1, 1]) & (strength > near[1, -1])
    on_falling = (strength > near[-1, -1]) & (strength > near[1, 1])
    on_diagonal = torch.where((across ^ down) < 0, on_rising, on_falling)
    peak = torch.where(rise < flat, on_row, torch.where(rise > steep, on_column, on_diagonal))
    possible = peak & (strength > low)
    return _grown(possible & (strength > high), possible)


def _grown(certain: Bool[Tensor, "n h w"], possible: Bool[Tensor, "n h w"]) -> Tensor:
    """Every possible edge that touches a certain one, also through others."""
    while True:
        padded = torch.nn.functional.pad(certain.to(torch.uint8), (1, 1, 1, 1))
        across = padded[:, :, :-2] | padded[:, :, 1:-1] | padded[:, :, 2:]
        grown = (across[:, :-2] | across[:, 1:-1] | across[:, 2:]).bool() & possible
        if torch.equal(grown, certain):
            return grown
        certain = grown


def truncated_distance(edges: Bool[Tensor, "n h w"]) -> Map:
    """How far each pixel is from the nearest edge, at most `FARTHEST`, in 1/65536 pixel.

    Two sweeps, down and up, each a row at a time for all images: first steps from the rows already
    done, then steps within the row. A run of steps to the right is a running minimum of the
    distance less the way already gone.

    Source:
        `cv2.distanceTransform(DIST_L2, 5)`, then `cv2.threshold(THRESH_TRUNC)`. No difference.
    """
    num_images, height, width = edges.shape
    # a row more than the sweep needs, and two columns on either side, all far from any edge
    field = torch.full((height + 4, num_images, width + 4), FARTHEST, dtype=torch.int32)
    inside = slice(2, 2 + width)
    field[2:-2, :, inside] = torch.where(edges, 0, FARTHEST).permute(1, 0, 2)
    way = torch.arange(width, dtype=torch.int32) * STRAIGHT
    for order in (range(2, height + 2), range(height + 1, 1, -1)):
        back = -1 if order.step == 1 else 1
        for row in order:
            near, far = field[row + back], field[row + 2 * back]
            line = field[row, :, inside]
            straight = near[:, inside] + STRAIGHT
            diagonal = torch.minimum(near[:, 1 : width + 1], near[:, 3 : width + 3]) + DIAGONAL
            wide = torch.minimum(near[:, :width], near[:, 4:])
            high = torch.minimum(far[:, 1 : width + 1], far[:, 3 : width + 3])
            knight = torch.minimum(wide, high) + KNIGHT
            line = torch.minimum(torch.minimum(line, straight), torch.minimum(diagonal, knight))
            line = (line - way).cummin(1).values + way
            line = ((line + way).flip(1).cummin(1).values.flip(1)) - way
            field[row, :, inside] = line
    return field[2:-2, :, inside].permute(1, 0, 2).contiguous()
