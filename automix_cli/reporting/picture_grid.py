"""A page of pictures with words between them, in units of a picture's width.

One set of axes holds all of them, each at its own resolution: a page costs what its pictures cost.

Legend: h w pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from automix_cli.reporting.figures import SEQUENTIAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL_INCHES = 1.2
"""Side of a picture: eight of them fill the width of a screen."""

MOST_INCHES = 60.0
"""No page is wider or higher; pictures of larger ones are smaller."""

MOST_PIXELS = 192
"""Larger pictures are reduced by a whole factor, which nobody sees at that size."""

SMALL = 7.5
"""Font size of what stands at a picture."""


class PictureGrid:
    """Pictures of side 1 on a page; x grows to the right, y downwards.

    Args:
        width: Of the page, in pictures.
        height: Of the page, in pictures.
    """

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.figure import Figure

        side = min(CELL_INCHES, MOST_INCHES / max(width, height))
        self.figure: Figure = Figure(figsize=(width * side, height * side))
        self.scale = side / CELL_INCHES
        self.axes: Axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(height, 0))
        self.axes.axis("off")

    def picture(self, pixels: np.ndarray, x: float, y: float) -> None:
        """Put colours `(h, w, 3)` or greys `(h, w, 1)`, in [0, 1], at the corner (x, y)."""
        colours = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
        self._put(reduced(colours), x, y)

    def shades(
        self, values: np.ndarray, x: float, y: float, span: tuple[float, float] = (0, 1)
    ) -> None:
        """Put numbers `(h, w)` as shades, which reach from one end of the span to the other."""
        least, most = span
        shown = reduced(values[:, :, None])[:, :, 0]
        self._put(shown, x, y, cmap=SEQUENTIAL, vmin=least, vmax=most)

    def frame(self, shade: float, x: float, y: float) -> None:
        """Draw a border around the picture at (x, y), in one of the shades, in [0, 1]."""
        from matplotlib import colormaps
        from matplotlib.patches import Rectangle

        border = Rectangle((x, y), 1, 1, fill=False, edgecolor=colormaps[SEQUENTIAL](shade))
        border.set_linewidth(3 * self.scale)
        self.axes.add_patch(border)

    def rule(self, y: float) -> None:
        """Draw a line across the page."""
        import matplotlib as mpl

        self.axes.axhline(y, color=mpl.rcParams["grid.color"], linewidth=0.8)

    def empty(self, text: str, x: float, y: float) -> None:
        """Say why there is no picture."""
        from matplotlib.patches import Rectangle

        colour = self.axes.xaxis.label.get_color()
        style = {"fill": False, "edgecolor": colour, "linewidth": 0.6, "linestyle": (0, (2, 3))}
        self.axes.add_patch(Rectangle((x + 0.01, y + 0.01), 0.98, 0.98, **style))
        self.text(text, x + 0.5, y + 0.5, va="center")

    def text(self, text: str, x: float, y: float, **options: Any) -> None:
        """Write, centred above (x, y) unless the options say otherwise."""
        chosen = {"ha": "center", "va": "bottom", "fontsize": SMALL, **options}
        chosen["fontsize"] *= self.scale
        self.axes.text(x, y, text, **chosen)

    def mark(self, position: tuple[int, int], size: tuple[int, int], x: float, y: float) -> None:
        """Frame one cell (row, column) of a grid of that size laid over the picture at (x, y)."""
        (row, column), (rows, columns) = position, size
        corner = (x + column / columns, y + row / rows)
        self.outline(corner, (1 / columns, 1 / rows), "white")

    def outline(self, corner: tuple[float, float], size: tuple[float, float], colour: str) -> None:
        """Draw a box of a width and a height, framed in black so that it shows on any picture."""
        from matplotlib.patches import Rectangle

        for edge, width in (("black", 2.4), (colour, 1.4)):
            frame = Rectangle(corner, *size, fill=False, edgecolor=edge)
            frame.set_linewidth(width * self.scale)
            self.axes.add_patch(frame)

    def scale_bar(self, words: tuple[str, str], x: float, y: float, width: float) -> None:
        """Show what the shades mean, from 0 on the left to the most on the right."""
        ramp = np.linspace(0, 1, 64)[None]
        self._put(ramp, x, y, size=(width, 0.1), cmap=SEQUENTIAL, vmin=0, vmax=1)
        self.text(words[0], x - 0.06, y + 0.05, ha="right", va="center")
        self.text(words[1], x + width + 0.06, y + 0.05, ha="left", va="center")

    def _put(
        self, pixels: np.ndarray, x: float, y: float, size: tuple[float, float] = (1, 1), **how: Any
    ) -> None:
        extent = (x, x + size[0], y + size[1], y)
        self.axes.imshow(pixels, extent=extent, aspect="auto", interpolation="nearest", **how)


def reduced(pixels: np.ndarray) -> np.ndarray:
    """Average blocks of pixels of `(h, w, c)`, as large as needed to have `MOST_PIXELS` or less."""
    factor = -(-max(pixels.shape[:2]) // MOST_PIXELS)
    if factor == 1:
        return pixels
    height, width, channels = pixels.shape
    rows, columns = height // factor, width // factor
    cut = pixels[: rows * factor, : columns * factor]
    return cut.reshape(rows, factor, columns, factor, channels).mean(axis=(1, 3))


def shortened(text: str, most: int = 18) -> str:
    """Keep the ends of a long name."""
    half = (most - 2) // 2
    return text if len(text) <= most else f"{text[:half]}..{text[-half:]}"
