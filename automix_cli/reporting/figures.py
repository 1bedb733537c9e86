"""What all figures share: colours that colour-blind people can tell apart, and how they are saved.

Every figure is drawn by a function of its own module that takes plain numbers and returns a
matplotlib `Figure`; `save_figure` writes it as PNG and SVG. No display and no pyplot state are
involved, and the same numbers give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Background = Literal["light", "dark", "page"]
"""`page`: nothing, with ink and grid in colours that `document.inline_svg` knows again."""

PAGE_INK, PAGE_GRID = "#222223", "#dddddc"

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#999999")
"""Okabe and Ito (2008), the first ones apart in lightness too: for lines and bars."""

LINES = ("-", "--", ":", "-.")
"""Line styles, for those who do not see the colours, and for lines upon each other."""

SEQUENTIAL = "cividis"
"""Colour map of magnitudes, as good in grey and to colour-blind people."""

DIVERGING = "PuOr"
"""Colour map of differences around 0."""

_BACKGROUNDS = {
    "light": ("white", "#222222", "#dddddd"),
    "dark": ("#16181d", "#eeeeee", "#3a3f4b"),
    "page": ("none", PAGE_INK, PAGE_GRID),
}


@contextmanager
def style(background: Background = "light") -> Iterator[None]:
    """Draw everything inside with our colours, on a light or a dark background."""
    import matplotlib as mpl
    from matplotlib.rcsetup import cycler

    paper, ink, grid = _BACKGROUNDS[background]
    inked = ("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor")
    chosen: dict[Any, Any] = {
        **dict.fromkeys(inked, ink),
        **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), paper),
        "axes.prop_cycle": cycler(color=COLOURS),
        "axes.grid": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": grid,
        "grid.linewidth": 0.6,
        "font.size": 10,
        "legend.frameon": False,
        "svg.hashsalt": "automix",
        "svg.fonttype": "path",
    }
    with mpl.rc_context(chosen):
        yield


def save_figure(
    figure: Figure, stem: Path, *, background: Background = "light"
) -> tuple[Path, Path]:
    """Write a figure as `<stem>.png` and `<stem>.svg`.

    Args:
        figure: What to write.
        stem: Path without suffix; its folder exists. A dot in its name is part of the name.
        background: The same as it was drawn with.
    """
    with style(background):
        png, svg = (stem.with_name(f"{stem.name}.{suffix}") for suffix in ("png", "svg"))
        figure.savefig(png, dpi=150, bbox_inches="tight", metadata={"Software": None})
        figure.savefig(svg, bbox_inches="tight", metadata={"Date": None})
    return png, svg
