"""What `automix bench` found, as tables and a figure. Ratios are of steps of the same round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from rich.table import Table

from automix_cli.reporting.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = Mapping[str, Any]
WIDE = 20
"""Ratio of the largest to the smallest value from which an axis is logarithmic."""


def bench_tables(content: Mapping[str, Any]) -> list[Table]:
    """Configurations, pairs, parts of a step, and the growth if it was asked for: 80 columns."""
    tables = [times(content), work(content), parts_table(content)]
    if content["pairs"]:
        tables.insert(2, pairs(content))
    if content["growth"]:
        tables.append(growth_table(content["growth"]))
    return tables


def mebibytes(num_bytes: int | None) -> str:
    """A size, or a dash where it was not measured."""
    return "-" if num_bytes is None else f"{num_bytes / 2**20:,.0f}"


def spread(values: Sequence[float]) -> tuple[float, float]:
    """First and third quartile; of one value, that value."""
    if len(values) < 2:
        return values[0], values[0]
    first, _, third = quantiles(values, n=4, method="inclusive")
    return first, third


def times(content: Mapping[str, Any]) -> Table:
    """One row a configuration: time, speed and ratios."""
    title = f"A training step on {content['device']}, {content['threads']} threads, made-up images"
    table = _numbers(title, "ms", "quartiles", "images/s", "times\nvanilla", "times\nplain")
    for row in content["rows"]:
        middle = median(row["seconds"])
        low, high = spread(row["seconds"])
        table.add_row(
            row["name"],
            f"{1000 * middle:,.0f}",
            f"{1000 * low:,.0f} to {1000 * high:,.0f}",
            f"{row['batch_size'] / middle:,.0f}",
            f"{row['times_vanilla']['median']:.2f}",
            f"{row['times_plain']['median']:.2f}",
        )
    table.caption = (
        "vanilla: the same settings without mixing; plain: besides in float32 and contiguous, "
        "on a CPU with memory managed as usual (`run.keep_freed_memory=false`)"
    )
    table.caption_justify = "left"
    return table


def work(content: Mapping[str, Any]) -> Table:
    """One row a configuration: arithmetic and memory."""
    table = _numbers("Its arithmetic and memory", "GFLOP", "of ceiling", "peak MiB")
    for row in content["rows"]:
        share = row["flops"] / median(row["seconds"]) / row["ceiling_flops_per_second"]
        table.add_row(
            row["name"],
            f"{row['flops'] / 1e9:,.1f}",
            f"{100 * share:.0f} %",
            mebibytes(row["peak_memory_bytes"]),
        )
    table.caption = (
        "ceiling: the fastest matrix product of this machine in the same number format; "
        "memory: of a process that does nothing else"
    )
    table.caption_justify = "left"
    return table


def _numbers(title: str, *heads: str) -> Table:
    """A table of configurations whose numbers keep their width; names give way to them."""
    table = Table(title=title, title_justify="left")
    table.add_column("configuration", min_width=len("configuration"))
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    return table


def pairs(content: Mapping[str, Any]) -> Table:
    """The configuration asked for against each of `--vs`, round by round."""
    title = f"{content['rows'][0]['name']} over each, round by round"
    table = Table(title=title, title_justify="left")
    table.add_column("over")
    table.add_column("median", justify="right")
    table.add_column("rounds", justify="right")
    for pair in content["pairs"]:
        listed = " ".join(f"{value:.2f}" for value in pair["rounds"])
        table.add_row(pair["over"], f"{pair['median']:.2f}", listed)
    return table


def parts_table(content: Mapping[str, Any]) -> Table:
    """Where the time of a step of the configuration asked for goes."""
    title = f"Parts of a step of {content['rows'][0]['name']}"
    table = Table(title=title, title_justify="left")
    table.add_column("part")
    table.add_column("ms", justify="right")
    table.add_column("share", justify="right")
    total = sum(content["parts"].values())
    for name, seconds in sorted(content["parts"].items(), key=lambda each: -each[1]):
        table.add_row(name, f"{1000 * seconds:,.1f}", f"{100 * seconds / total:.1f} %")
    return table


def growth_table(rows: Sequence[Row]) -> Table:
    """Time, memory and arithmetic at each value."""
    table = Table(title="Growth", title_justify="left")
    table.add_column("setting")
    for head in ("ms", "images/s", "GFLOP", "peak MiB"):
        table.add_column(head, justify="right")
    for row in rows:
        middle = median(row["seconds"])
        table.add_row(
            row["value"],
            f"{1000 * middle:,.0f}",
            f"{row['batch_size'] / middle:,.0f}",
            f"{row['flops'] / 1e9:,.1f}",
            mebibytes(row["peak_memory_bytes"]),
        )
    return table


def growth_figure(rows: Sequence[Row]) -> Figure:
    """Time of a step, its arithmetic and, where measured, peak memory against what grows."""
    from matplotlib.figure import Figure

    quantities = {
        "ms a step": [1000 * median(row["seconds"]) for row in rows],
        "GFLOP a step": [row["flops"] / 1e9 for row in rows],
    }
    if all(row["peak_memory_bytes"] is not None for row in rows):
        quantities["peak memory, MiB"] = [row["peak_memory_bytes"] / 2**20 for row in rows]
    key = rows[0]["value"].partition("=")[0]
    labels = [row["value"].partition("=")[2] for row in rows]
    with style():
        figure = Figure(figsize=(3.5 * len(quantities), 3))
        panels = figure.subplots(1, len(quantities), squeeze=False)[0]
        for axes, (name, values) in zip(panels, quantities.items(), strict=True):
            places = _places(labels)
            axes.plot(places, values, marker="o")
            if max(places) > WIDE * max(min(places), 1):
                axes.set_xscale("log")
            axes.set_xticks(places, labels)
            axes.minorticks_off()
            axes.set_xlabel(key)
            axes.set_ylabel(name)
            axes.set_ylim(0, 1.1 * max(values))
        figure.tight_layout()
    return figure


def _places(labels: Sequence[str]) -> list[float]:
    """Where values stand on an axis: numbers at their place, others side by side."""
    try:
        return [float(label) for label in labels]
    except ValueError:
        return [float(place) for place in range(1, len(labels) + 1)]
