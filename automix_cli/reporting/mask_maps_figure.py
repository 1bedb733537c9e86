"""What a mix block makes its masks of: values and attention of pairs of images.

Legend: h w of a feature map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automix_cli.reporting.figures import Background, style
from automix_cli.reporting.mask_figure import GAP, HEAD, MARGIN
from automix_cli.reporting.picture_grid import PictureGrid, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = 0.5


@dataclass(frozen=True, eq=False)
class MapsRow:
    """One pair in the eyes of one mix block, at ratio 0.5.

    Attributes:
        method: Its name.
        pictures: Of both images.
        captions: Their names.
        mask: Share of the first image at each pixel.
        value: Share that the values give by themselves, `(h, w)` in [0, 1].
        mean_attention: How much each position is looked at on average, `(h, w)`; None: no
            attention.
        attention: How much `position` looks at each one.
        position: Row and column of the position whose share is nearest to one half.
        value_of: Whose image the values are of, and whose share they give.
    """

    method: str
    pictures: tuple[np.ndarray, np.ndarray]
    captions: tuple[str, str]
    mask: np.ndarray
    value: np.ndarray
    mean_attention: np.ndarray | None
    attention: np.ndarray | None
    position: tuple[int, int]
    value_of: str


def maps_figure(rows: Sequence[MapsRow], *, background: Background = "light") -> Figure:
    """One page, a row for each pair and mix block.

    The framed position of the first image is the one whose share is nearest to one half. Shades of
    attention reach from the least to the most in a map, which are written above it.
    """
    titles = (
        *("first image", "second image", "mask\nat lam = 0.5", "values alone"),
        *("attention,\nmean", "attention of the\nframed position"),
    )
    with style(background):
        grid = PictureGrid(MARGIN + len(titles) * (1 + GAP), TITLE + len(rows) * (1 + HEAD) + 0.3)
        for place, title in enumerate(titles):
            grid.text(title, MARGIN + place * (1 + GAP) + 0.5, TITLE - 0.06, fontsize=8.5)
        for number, row in enumerate(rows):
            put_maps(grid, row, TITLE + number * (1 + HEAD))
        y = TITLE + len(rows) * (1 + HEAD) + 0.12
        grid.scale_bar(("0, or the least", "1, or the most in the map"), MARGIN + 2, y, 1.2)
    return grid.figure


def put_maps(grid: PictureGrid, row: MapsRow, y: float) -> None:
    """The pictures of one row."""
    left, top = [MARGIN + place * (1 + GAP) for place in range(6)], y + HEAD
    grid.text(row.method, MARGIN / 2, top + 0.5, rotation=90, va="center", fontsize=9)
    for place in range(2):
        grid.text(shortened(row.captions[place]), left[place] + 0.5, top - 0.04)
        grid.picture(row.pictures[place], left[place], top)
    grid.text(f"area {row.mask.mean():.2f}", left[2] + 0.5, top - 0.04)
    grid.shades(row.mask, left[2], top)
    grid.text(f"share of the {row.value_of}", left[3] + 0.5, top - 0.04)
    grid.shades(row.value, left[3], top)
    for place, each in ((4, row.mean_attention), (5, row.attention)):
        if each is None:
            grid.empty("no\ncross-attention", left[place], top)
            continue
        span = (float(each.min()), float(each.max()))
        grid.text(f"{span[0]:.3f} to {span[1]:.3f}", left[place] + 0.5, top - 0.04)
        grid.shades(each, left[place], top, span)
    rows, columns = row.value.shape
    grid.mark(row.position, (rows, columns), left[0], top)
