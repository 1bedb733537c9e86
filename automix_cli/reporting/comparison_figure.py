"""The figure of a comparison: accuracy against cost, one point a method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automix_cli.reporting.comparison import Comparison, Row
from automix_cli.reporting.comparison_tables import SCORES
from automix_cli.reporting.figures import COLOURS, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = "osD^vP"
MOST_ON_A_LINEAR_AXIS = 5.0
"""Ratio of the largest cost to the smallest above which the axis becomes logarithmic."""


def comparison_figure(comparison: Comparison) -> Figure | None:
    """Draw the mean score against seconds per epoch; bars are standard deviations over seeds.

    Returns:
        None where no method has a cost to draw.
    """
    from matplotlib.figure import Figure

    drawn = [row for row in comparison.rows if "seconds_per_epoch" in row.costs]
    if not drawn:
        return None
    with style():
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.add_subplot()
        for number, row in enumerate(drawn):
            _draw(axes, row, number)
        costs = [row.costs["seconds_per_epoch"] for row in drawn]
        if max(costs) > MOST_ON_A_LINEAR_AXIS * min(costs):
            axes.set_xscale("log")
        else:
            axes.set_xlim(0, 1.1 * max(costs))
        axes.set_xlabel("seconds per epoch of training, median over seeds")
        axes.set_ylabel(f"test {SCORES[comparison.score]} (%), mean and deviation")
        axes.set_title(comparison.subject["preset"] or "", parse_math=False)
        legend = figure.legend(loc="outside right upper")
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure


def _draw(axes: Axes, row: Row, number: int) -> None:
    score = row.mean_score
    axes.errorbar(
        row.costs["seconds_per_epoch"],
        100 * score.mean,
        yerr=None if score.deviation is None else 100 * score.deviation,
        fmt=MARKERS[number % len(MARKERS)],
        color=COLOURS[number % len(COLOURS)],
        capsize=3,
        label=row.name,
    )
