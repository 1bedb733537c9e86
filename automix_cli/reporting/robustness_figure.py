"""One page of plots of `automix robustness`, all networks overlaid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automix_cli.reporting.figures import COLOURS, LINES, Background, style
from automix_cli.reporting.picture_grid import shortened
from automix_cli.reporting.robustness_tables import attack_name, images_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Models = Mapping[str, Mapping[str, Any]]


def robustness_figure(content: Mapping[str, Any], *, background: Background = "light") -> Figure:
    """Accuracy against epsilon, detection of unknown images, accuracy with patches hidden.

    Args:
        content: The report; a part that was not measured has no plot.
        background: What it is drawn on.
    """
    from matplotlib.figure import Figure

    models: Models = content["models"]
    first = next(iter(models.values()))
    panels = [
        draw
        for part, draw in (
            ("attacks", draw_attacks),
            ("unknown", draw_unknown),
            ("occlusion", draw_occlusion),
        )
        if part in first
    ] or [draw_attacks]
    with style(background):
        figure = Figure(figsize=(4.6 * len(panels), 3.8), layout="constrained")
        for draw, axes in zip(
            panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True
        ):
            axes.set_axisbelow(True)
            draw(axes, models)
            axes.legend(fontsize=8)
        figure.suptitle(images_of(content), fontsize=10)
    return figure


def draw_attacks(axes: Axes, models: Models) -> None:
    """Robust accuracy against epsilon: a colour a network, a line style an attack."""
    for number, (label, model) in enumerate(models.items()):
        clean = 100 * model["clean"]["top1"]
        curves: dict[str, list[tuple[float, float]]] = {}
        for record in model.get("attacks", []):
            point = (record["epsilon"], 100 * record["accuracy"])
            curves.setdefault(attack_name(record), [(0.0, clean)]).append(point)
        # a line style for each attack; a network keeps its colour
        for place, (name, points) in enumerate((curves or {"none": [(0.0, clean)]}).items()):
            axes.plot(
                *zip(*points, strict=True),
                LINES[place % len(LINES)],
                marker="o",
                markersize=4,
                color=COLOURS[number % len(COLOURS)],
                label=f"{label}: {name}" if len(models) > 1 else name,
            )
    norms = {record["norm"] for model in models.values() for record in model.get("attacks", [])}
    if norms == {"linf"}:
        axes.xaxis.set_major_formatter(lambda value, _: f"{255 * value:g}/255")
        axes.xaxis.set_major_locator(_levels(models))
    axes.set(xlabel="epsilon", ylabel="robust accuracy, %", ylim=(0, 100), title="attacks")


def _levels(models: Models) -> Any:
    from matplotlib.ticker import FixedLocator

    records = [each for model in models.values() for each in model["attacks"]]
    return FixedLocator([0.0, *sorted({record["epsilon"] for record in records})])


def draw_unknown(axes: Axes, models: Models) -> None:
    """AUROC by the energy score, a group of bars a set of images."""
    width = 0.8 / len(models)
    names: list[str] = []
    for number, (label, model) in enumerate(models.items()):
        records = [each for each in model["unknown"] if each["score"] == "energy"]
        names = [each["unknown"] for each in records]
        left = [place + number * width for place in range(len(records))]
        heights = [100 * each["auroc"] for each in records]
        colour = COLOURS[number % len(COLOURS)]
        axes.bar(left, heights, width, align="edge", color=colour, label=label)
    axes.axhline(50, color=COLOURS[7], linestyle="--", label="a coin")
    axes.set_xticks(
        [place + 0.4 for place in range(len(names))], [shortened(name) for name in names]
    )
    axes.set(ylabel="AUROC, %", ylim=(0, 100), title="unknown images, by energy")


def draw_occlusion(axes: Axes, models: Models) -> None:
    """Accuracy against the share of patches hidden."""
    for number, (label, model) in enumerate(models.items()):
        shares = [100 * each["share"] for each in model["occlusion"]]
        heights = [100 * each["accuracy"] for each in model["occlusion"]]
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(shares, heights, "o-", markersize=4, color=colour, label=label)
    axes.set(xlabel="patches hidden, %", ylabel="accuracy, %", ylim=(0, 100), title="occlusion")
