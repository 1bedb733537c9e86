"""Images with true boxes and found ones, over the maps that they were found by.

Legend: h w pixels, g true boxes. A box is x0, y0, x1, y1 in pixels, both ends included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automix_cli.reporting.figures import COLOURS, SEQUENTIAL, Background, style
from automix_cli.reporting.picture_grid import PictureGrid, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEAD, GAP, MARGIN, LEGEND = 0.3, 0.06, 0.3, 0.3
TRUE, FOUND = COLOURS[5], COLOURS[1]
STRENGTH = 0.6
"""How much of an overlay is the map; the rest is the image in grey."""


@dataclass(frozen=True, eq=False)
class LocatedPicture:
    """A map `(h, w)` in [0, 1], its box `(4,)`, and the overlap with the true box it fits best."""

    scores: np.ndarray
    box: np.ndarray
    overlap: float


@dataclass(frozen=True, eq=False)
class LocatedRow:
    """An image `(h, w, c)` in [0, 1] with what was found in it.

    Attributes:
        pixels: The image.
        truth: True boxes, `(g, 4)`.
        names: Of its class, and of the class that the network says.
        pictures: By kind of map.
    """

    pixels: np.ndarray
    truth: np.ndarray
    names: tuple[str, str]
    pictures: Mapping[str, LocatedPicture]


def localization_figure(
    columns: Sequence[LocatedRow], *, background: Background = "light"
) -> Figure:
    """One page: a column an image, the image itself on top, below it the overlay of each map.

    Args:
        columns: One or more, with the same kinds of maps.
        background: What it is drawn on.
    """
    kinds = list(columns[0].pictures)
    width = max(MARGIN + len(columns) * (1 + GAP), 4.0)
    height = (1 + len(kinds)) * (1 + HEAD) + LEGEND
    with style(background):
        grid = PictureGrid(width, height)
        for place, kind in enumerate(("image", *kinds)):
            middle = place * (1 + HEAD) + HEAD + 0.5
            grid.text(kind, MARGIN / 2, middle, rotation=90, va="center", fontsize=10)
        for place, column in enumerate(columns):
            put_column(grid, column, MARGIN + place * (1 + GAP))
        put_legend(grid, height - LEGEND / 2)
    return grid.figure


def put_column(grid: PictureGrid, column: LocatedRow, x: float) -> None:
    """One image, and its maps below."""
    label, answer = column.names
    words = shortened(label) if label == answer else f"{shortened(label)}\nsays {shortened(answer)}"
    grid.text(words, x + 0.5, HEAD - 0.04, fontsize=6.5)
    grid.picture(column.pixels, x, HEAD)
    size = (column.pixels.shape[0], column.pixels.shape[1])
    put_boxes(grid, column.truth, size, (x, HEAD), TRUE)
    for number, picture in enumerate(column.pictures.values()):
        y = (number + 1) * (1 + HEAD) + HEAD
        grid.text(f"IoU {picture.overlap:.2f}", x + 0.5, y - 0.04)
        grid.picture(overlay(column.pixels, picture.scores), x, y)
        put_boxes(grid, column.truth, size, (x, y), TRUE)
        put_boxes(grid, picture.box[None], size, (x, y), FOUND)


def put_boxes(
    grid: PictureGrid,
    boxes: np.ndarray,
    size: tuple[int, int],
    corner: tuple[float, float],
    colour: str,
) -> None:
    """Draw boxes on the picture whose upper left corner is given."""
    height, width = size
    for x0, y0, x1, y1 in np.clip(boxes, 0, [width - 1, height - 1] * 2):
        left, top = corner[0] + x0 / width, corner[1] + y0 / height
        grid.outline((left, top), ((x1 - x0 + 1) / width, (y1 - y0 + 1) / height), colour)


def put_legend(grid: PictureGrid, y: float) -> None:
    """What the colours of boxes mean."""
    for x, colour, words in ((MARGIN, TRUE, "true box"), (MARGIN + 1.2, FOUND, "found box")):
        grid.outline((x, y - 0.06), (0.16, 0.12), colour)
        grid.text(words, x + 0.24, y, ha="left", va="center", fontsize=9)


def overlay(pixels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The map in shades over the image in grey, `(h, w, 3)`."""
    from matplotlib import colormaps

    shades = colormaps[SEQUENTIAL](scores)[:, :, :3]
    grey = pixels.mean(axis=2, keepdims=True)
    return STRENGTH * shades + (1 - STRENGTH) * grey
