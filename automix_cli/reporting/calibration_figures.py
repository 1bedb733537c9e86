"""How sure a classifier is, and how often it is right: figures from plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from automix_cli.reporting.figures import COLOURS, Background, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def reliability_diagram(measured: Mapping[str, Any], *, background: Background = "light") -> Figure:
    """Accuracy of each bin of confidence as bars, the gap to its confidence hatched.

    Args:
        measured: The `calibration` part of an evaluation.
        background: What it is drawn on.
    """
    from matplotlib.figure import Figure

    num_bins, width = measured["num_bins"], 1 / measured["num_bins"]
    left = [place * width for place in range(num_bins)]
    accuracy, confidence = means(measured["bins"])
    with style(background):
        figure = Figure(figsize=(4.2, 5.2), layout="constrained")
        upper, lower = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
        upper.set_axisbelow(True)
        lower.set_axisbelow(True)
        upper.bar(left, accuracy, width, align="edge", color=COLOURS[0], label="accuracy")
        gaps = [one - other for one, other in zip(confidence, accuracy, strict=True)]
        hatched = {"fill": False, "hatch": "///", "edgecolor": COLOURS[1], "linewidth": 0.8}
        upper.bar(left, gaps, width, accuracy, align="edge", label="gap to confidence", **hatched)
        upper.plot((0, 1), (0, 1), "--", color=COLOURS[1], label="calibrated")
        upper.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
        upper.set_title(f"ECE {100 * measured['ece']:.2f} %, {num_bins} bins", fontsize=10)
        upper.legend(loc="upper left")
        counts = measured["bins"]["num_images"]
        shares = [count / sum(counts) for count in counts]
        lower.bar(left, shares, width, align="edge", color=COLOURS[7])
        lower.set(xlabel="confidence", ylabel="share of images")
    return figure


def confidence_histogram(
    measured: Mapping[str, Any], *, background: Background = "light"
) -> Figure:
    """How many images have which confidence, the right ones apart from the wrong ones."""
    from matplotlib.figure import Figure

    bins, width = measured["bins"], 1 / measured["num_bins"]
    left = [place * width for place in range(measured["num_bins"])]
    right = bins["num_right"]
    wrong = [count - hits for count, hits in zip(bins["num_images"], right, strict=True)]
    num_images = sum(bins["num_images"])
    marks = {
        "mean confidence": (sum(bins["sum_of_confidences"]) / num_images, "-"),
        "accuracy": (sum(right) / num_images, "--"),
    }
    with style(background):
        figure = Figure(figsize=(4.8, 3.4), layout="constrained")
        axes = figure.add_subplot()
        axes.set_axisbelow(True)
        axes.bar(left, right, width, align="edge", color=COLOURS[0], label="right")
        axes.bar(left, wrong, width, right, align="edge", color=COLOURS[4], label="wrong")
        for name, (place, line) in marks.items():
            axes.axvline(place, color=COLOURS[1], linestyle=line, label=f"{name} {place:.3f}")
        axes.set(xlabel="confidence", ylabel="images", xlim=(0, 1))
        axes.legend(loc="upper left")
    return figure


def mixed_figure(
    mixed: Mapping[str, Mapping[str, Any]], *, background: Background = "light"
) -> Figure:
    """Accuracy on mixed images against the larger share, a line a method."""
    from matplotlib.figure import Figure

    drawn = (("top1_larger", "top-1 is the larger"), ("top2_set", "top-2 is the pair"))
    with style(background):
        figure = Figure(figsize=(7.2, 3.2), layout="constrained")
        for axes, (quantity, title) in zip(figure.subplots(1, 2, sharey=True), drawn, strict=True):
            for number, (method, record) in enumerate(mixed.items()):
                points = [each for each in record["by_larger_share"] if each[quantity] is not None]
                middle = [(each["from"] + each["to"]) / 2 for each in points]
                height = [100 * each[quantity] for each in points]
                axes.plot(middle, height, "o-", color=COLOURS[number], label=method)
            axes.set(xlabel="larger share", title=title, xlim=(0.5, 1), ylim=(0, 100))
            axes.legend()
        figure.axes[0].set_ylabel("% of mixtures")
    return figure


def means(bins: Mapping[str, Sequence[float]]) -> tuple[list[float], list[float]]:
    """Accuracy and mean confidence of each bin, 0 where it is empty."""
    counts = [count or 1 for count in bins["num_images"]]
    accuracy, confidence = (
        [total / count for total, count in zip(bins[name], counts, strict=True)]
        for name in ("num_right", "sum_of_confidences")
    )
    return accuracy, confidence
