"""Accuracy by corruption and severity as a heat map."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from automix_cli.reporting.figures import SEQUENTIAL, Background, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_heat_map(record: Mapping[str, Any], *, background: Background = "light") -> Figure:
    """Draw top-1 accuracy, one row a corruption and one column a severity.

    Args:
        record: What `automix eval --corruptions` writes.
        background: What it is drawn on.
    """
    from matplotlib.figure import Figure

    rows: Mapping[str, Mapping[str, Any]] = record["corruptions"]
    values = [[100 * share for share in row["top1"]] for row in rows.values()]
    with style(background):
        figure = Figure(figsize=(6, 1.4 + 0.3 * len(values)))
        axes = figure.add_subplot()
        axes.grid(visible=False)
        image = axes.imshow(values, cmap=SEQUENTIAL, vmin=0, vmax=100, aspect="auto")
        axes.set_xticks(range(len(values[0])), record["severities"])
        axes.set_xlabel("severity")
        names = [f"{name.replace('_', ' ')} ({row['group']})" for name, row in rows.items()]
        axes.set_yticks(range(len(values)), names)
        for row, line in enumerate(values):
            for column, value in enumerate(line):
                ink = "black" if value > 55 else "white"
                axes.text(column, row, f"{value:.1f}", ha="center", va="center", color=ink)
        axes.set_title("\n".join(heading(record)), loc="left", fontsize=9)
        figure.colorbar(image, ax=axes, label="top-1 accuracy, %")
    return figure


def heading(record: Mapping[str, Any]) -> list[str]:
    """Say of which images the numbers are, in a few lines."""
    lines = [
        f"Top-1 accuracy on {record['data_set']} ({record['origin']})",
        f"{record['num_images']:,} images a cell; clean {100 * record['clean_top1']:.2f} %",
    ]
    if record["differences"]:
        lines[1:1] = wrap(record["differences"], 66)
    if record["is_partial"]:
        lines[-1] += f"; PARTIAL: the first {record['num_images']:,} images only"
    if record["missing"]:
        lines.append(f"not measured: {', '.join(record['missing'])}")
    return lines
