"""Numbers over a training: one panel a quantity, one line a run or a head."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from automix_cli.reporting.figures import COLOURS, LINES, Background, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

MOST_POINTS = 500
"""Of a line: where there are more, each drawn point is the mean of as many neighbours."""


@dataclass(frozen=True)
class Line:
    """One line of a panel.

    Args:
        label: What the legend calls it.
        places: Epochs, ascending.
        heights: A value at each of them; what is not finite leaves a gap.
        number: Chooses colour and line style; the same run or head has the same one everywhere.
    """

    label: str
    places: Sequence[float]
    heights: Sequence[float]
    number: int


def curve_panel(
    lines: Sequence[Line], *, is_percent: bool = False, background: Background = "light"
) -> Figure:
    """Draw one quantity over the epochs.

    Args:
        lines: What to draw; of one line alone there is no legend.
        is_percent: Whether heights are shares, to be shown in percent.
        background: What it is drawn on.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with style(background):
        figure = Figure(figsize=(4.3, 2.9), layout="constrained")
        axes = figure.add_subplot()
        axes.set_axisbelow(True)
        drawn = [_draw(axes, line, 100.0 if is_percent else 1.0) for line in lines]
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=(1, 2, 5, 10), integer=_is_long(lines)))
        axes.set_ylabel("%" if is_percent else "")
        axes.margins(x=0.02)
        if len(lines) > 1:
            labels = [legend_label(line.label) for line in lines]
            columns = 1 if max(map(len, labels)) > 22 else 2
            figure.legend(drawn, labels, loc="outside lower center", ncols=columns, fontsize=8.5)
    return figure


def _draw(axes: Axes, line: Line, scale: float) -> Line2D:
    places, heights = thinned(line.places, line.heights)
    (drawn,) = axes.plot(
        places,
        [scale * each if math.isfinite(each) else math.nan for each in heights],
        LINES[line.number % len(LINES)],
        color=COLOURS[line.number % len(COLOURS)],
        marker="o" if len(places) < 2 else "",
        markersize=4,
        linewidth=1.6,
    )
    return drawn


def _is_long(lines: Sequence[Line]) -> bool:
    return max((line.places[-1] for line in lines), default=0) >= 5


def thinned(
    places: Sequence[float], heights: Sequence[float]
) -> tuple[Sequence[float], Sequence[float]]:
    """At most `MOST_POINTS` points, each the mean of neighbours, the last ones perhaps of fewer."""
    window = math.ceil(len(places) / MOST_POINTS)
    if window < 2:
        return places, heights
    parts = [slice(start, start + window) for start in range(0, len(places), window)]
    return [fmean(places[each]) for each in parts], [fmean(heights[each]) for each in parts]


def legend_label(text: str, longest: int = 32) -> str:
    """A name as a figure may print it: not as mathematics, not hidden, not too long."""
    shown = text if len(text) <= longest else f"...{text[-longest + 3 :]}"
    shown = shown.replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown  # matplotlib leaves those out
