"""A page of images with what is in them and what a detector found.

Legend: h w pixels. Boxes are x, y, width, height, in pixels of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from automix_cli.reporting.figures import COLOURS, style
from automix_cli.reporting.picture_grid import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS, CELL_INCHES = 4, 2.6
LEAST_SCORE = 0.5
"""What is less sure is not drawn: a detector lists up to 100 guesses an image."""


class Drawn(NamedTuple):
    """One image of the page.

    Attributes:
        name: Its file.
        pixels: `(h, w, 3)`, uint8.
        true: Class and box of what is in it.
        found: Class, box and score, in [0, 1], of what was found.
    """

    name: str
    pixels: np.ndarray
    true: Sequence[tuple[str, np.ndarray]]
    found: Sequence[tuple[str, np.ndarray, float]]


def detection_figure(images: Sequence[Drawn]) -> Figure:
    """Draw the page: what is there dashed, what was found solid, with its class and score."""
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(images))
    rows = math.ceil(len(images) / columns)
    with style():
        figure = Figure(figsize=(columns * CELL_INCHES, rows * CELL_INCHES + 0.4))
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for axes, image in zip(grid.flat, images, strict=False):
            _draw(axes, image)
        words = f"dashed: what is there; solid: what was found with score {LEAST_SCORE} or more"
        figure.suptitle(words, fontsize=9)
        figure.subplots_adjust(0.01, 0.01, 0.99, 0.94 if rows > 1 else 0.86, 0.05, 0.12)
    return figure


def _draw(axes: Axes, image: Drawn) -> None:
    axes.imshow(image.pixels)
    surely = [each for each in image.found if each[2] >= LEAST_SCORE]
    for _, box in image.true:
        _frame(axes, box, COLOURS[0], "--")
    for name, box, score in surely:
        _frame(axes, box, COLOURS[1], "-")
        axes.text(
            float(box[0]),
            float(box[1]),
            f"{name} {score:.2f}",
            fontsize=6,
            color="white",
            va="top",
            clip_on=True,
            bbox={"facecolor": COLOURS[1], "edgecolor": "none", "pad": 1},
        )
    axes.set_title(
        f"{shortened(image.name)}: {len(image.true)} there, {len(surely)} found", fontsize=7, pad=2
    )


def _frame(axes: Axes, box: np.ndarray, colour: str, line: str) -> None:
    from matplotlib.patches import Rectangle

    x, y, width, height = map(float, box)
    frame = Rectangle((x, y), width, height, fill=False, edgecolor=colour, linestyle=line)
    frame.set_linewidth(1.4)
    axes.add_patch(frame)
