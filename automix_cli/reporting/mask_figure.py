"""Pairs of images with the masks and mixtures of methods: the paper's figure.

Legend: h w pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automix_cli.reporting.figures import Background, style
from automix_cli.reporting.picture_grid import PictureGrid, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS_PER_PAGE = 6
"""Rows of a page, each of a mask over a mixture; a pair with more methods has a page to itself."""

HEAD, FOOT, TITLE, GAP, MARGIN = 0.24, 0.3, 0.36, 0.06, 0.42
"""Heights of the line above a row, of what is below a pair, of the page's head; width of the space
between pictures, and beside rows."""


@dataclass(frozen=True, eq=False)
class Cell:
    """What one method makes of one pair at one ratio.

    Attributes:
        ratio: Share of the first image that was wanted, in [0, 1].
        picture: The mixture, `(h, w, 3)` or `(h, w, 1)`, in [0, 1].
        mask: Share of the first image, `(h, w)`; None of a method that has none.
        area: Mean of the mask.
        label_weights: How much the labels of both images count.
        falls_back: Whether training would mix linearly here instead.
    """

    ratio: float
    picture: np.ndarray
    mask: np.ndarray | None
    area: float | None
    label_weights: tuple[float, float]
    falls_back: bool


@dataclass(frozen=True, eq=False)
class PairBlock:
    """A pair, and by method a row of its mixtures."""

    pictures: tuple[np.ndarray, np.ndarray]
    captions: tuple[str, str]
    rows: Mapping[str, Sequence[Cell]]


def pairs_per_page(num_methods: int) -> int:
    """How many pairs a page has."""
    return max(1, ROWS_PER_PAGE // num_methods)


def mask_figure(
    blocks: Sequence[PairBlock],
    *,
    background: Background = "light",
    titles: Sequence[str] | None = None,
) -> Figure:
    """One page: the two images of a pair on the left, for each ratio the mask over the mixture.

    Args:
        blocks: The pairs of the page, all with the same methods and ratios.
        background: What it is drawn on.
        titles: Of the columns; None for the ratios.
    """
    if titles is None:
        titles = [f"lam = {cell.ratio:g}" for cell in next(iter(blocks[0].rows.values()))]
    num_rows = sum(len(block.rows) for block in blocks)
    row_height = HEAD + 2 + GAP
    width = max(1 + MARGIN + len(titles) * (1 + GAP), 5.2)
    height = TITLE + num_rows * row_height + len(blocks) * FOOT + 0.3
    with style(background):
        grid = PictureGrid(width, height)
        grid.text("pair", 0.5, TITLE - 0.06, fontsize=10)
        for place, title in enumerate(titles):
            grid.text(title, 1 + MARGIN + place * (1 + GAP) + 0.5, TITLE - 0.06, fontsize=10)
        y = TITLE
        for block in blocks:
            put_images(grid, block, y)
            for method, cells in block.rows.items():
                put_row(grid, method, cells, y)
                y += row_height
            y += FOOT
            grid.rule(y - 0.04)
        grid.scale_bar(("second image", "first image"), 1 + MARGIN + 0.8, y + 0.1, 1.2)
        if any(cell.falls_back for block in blocks for row in block.rows.values() for cell in row):
            words = "* in training: plain mixup"
            grid.text(words, 1 + MARGIN + 2.9, y + 0.15, ha="left", va="center")
    return grid.figure


def put_images(grid: PictureGrid, block: PairBlock, y: float) -> None:
    """The two images of a pair, one over the other, each framed in the shade of its share."""
    (first, second), (above, below) = block.pictures, block.captions
    grid.text(shortened(above), 0.5, y + HEAD - 0.04, fontsize=8.5)
    grid.picture(first, 0, y + HEAD)
    grid.picture(second, 0, y + HEAD + 1 + GAP)
    grid.frame(1.0, 0, y + HEAD)
    grid.frame(0.0, 0, y + HEAD + 1 + GAP)
    grid.text(shortened(below), 0.5, y + HEAD + 2 + GAP + 0.04, fontsize=8.5, va="top")


def put_row(grid: PictureGrid, method: str, cells: Sequence[Cell], y: float) -> None:
    """The masks of one method over its mixtures, ratio by ratio."""
    middle = y + HEAD + 1 + GAP / 2
    grid.text(method, 1 + MARGIN / 2, middle, rotation=90, va="center", fontsize=10)
    for place, cell in enumerate(cells):
        x = 1 + MARGIN + place * (1 + GAP)
        grid.text(cell_words(cell), x + 0.5, y + HEAD - 0.04)
        if cell.mask is None:
            grid.empty("no mask:\nits pixels\nmove", x, y + HEAD)
        else:
            grid.shades(cell.mask, x, y + HEAD)
        grid.picture(cell.picture, x, y + HEAD + 1 + GAP)


def cell_words(cell: Cell) -> str:
    """The achieved area of a mask, or what the labels count where there is none."""
    if cell.area is not None:
        return f"area {cell.area:.2f}{' *' if cell.falls_back else ''}"
    first, second = cell.label_weights
    return f"labels {first:.2f} : {second:.2f}"
