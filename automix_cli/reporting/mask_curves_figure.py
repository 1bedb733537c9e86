"""Whether masks keep what the labels say, and what they look like, as curves over the ratio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automix_cli.reporting.figures import COLOURS, LINES, Background, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = {
    "area_mean": "mean area of the mask",
    "entropy": "entropy, bits a pixel",
    "total_variation": "total variation, sides",
}
SHARES = ("area_mean", "entropy")
"""What lies in [0, 1]."""


def curves_figure(
    methods: Mapping[str, Mapping[str, Any]], *, background: Background = "light"
) -> Figure:
    """Mean area with its spread and the identity line, entropy and total variation.

    Args:
        methods: The numbers by method; those without masks, or without ratios, have no curve.
        background: What it is drawn on.
    """
    from matplotlib.figure import Figure

    with style(background):
        figure = Figure(figsize=(11, 3.6), layout="constrained")
        for key, axes in zip(PANELS, figure.subplots(1, 3), strict=True):
            draw_panel(axes, methods, key)
        figure.axes[0].legend(fontsize=8, loc="upper left")
    return figure


def curve_figure(
    methods: Mapping[str, Mapping[str, Any]], key: str, *, background: Background = "light"
) -> Figure:
    """One of the panels alone, with a legend of its own; arguments as for `curves_figure`."""
    from matplotlib.figure import Figure

    with style(background):
        figure = Figure(figsize=(4.3, 3.4), layout="constrained")
        axes = figure.add_subplot()
        draw_panel(axes, methods, key)
        if key == "area_mean" or len(methods) > 1:
            axes.legend(fontsize=8.5, loc="best")
    return figure


def draw_panel(axes: Axes, methods: Mapping[str, Mapping[str, Any]], key: str) -> None:
    """One quantity of every method that has masks and follows the ratio."""
    shown = {
        name: record["curve"]
        for name, record in methods.items()
        if record["has_masks"] and record["follows_ratio"]
    }
    axes.set_axisbelow(True)
    if key == "area_mean":
        axes.plot((0, 1), (0, 1), color=COLOURS[7], linewidth=1, label="identity")
    for number, (name, curve) in enumerate(shown.items()):
        draw_curve(axes, number, name, curve, key)
    axes.set(xlabel="lam", ylabel=PANELS[key], xlim=(-0.02, 1.02))
    axes.set_ylim(bottom=-0.02)
    if key in SHARES:
        axes.set_ylim(-0.02, 1.02)


def draw_curve(axes: Axes, number: int, name: str, curve: list[dict[str, Any]], key: str) -> None:
    """One method: a colour and a line style of its own, the spread of the area as a band."""
    ratios, values = [each["ratio"] for each in curve], [each[key] for each in curve]
    colour, line = COLOURS[number % len(COLOURS)], LINES[number % len(LINES)]
    axes.plot(ratios, values, line, color=colour, marker="o", markersize=3, label=name)
    if key == "area_mean":
        low = [each["area_mean"] - each["area_std"] for each in curve]
        high = [each["area_mean"] + each["area_std"] for each in curve]
        axes.fill_between(ratios, low, high, color=colour, alpha=0.15, linewidth=0)
