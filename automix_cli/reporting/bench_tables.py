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


def bench_tables(content: Mapping[str, Any]) -> list[Table]:
    """The configurations, the pairs, the parts of a step, and the growth if it was asked for."""
    tables = [configurations(content), parts_table(content)]
    if content["pairs"]:
        tables.insert(1, pairs(content))
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


def configurations(content: Mapping[str, Any]) -> Table:
    """One row a configuration: time, speed, ratios, arithmetic and memory."""
    rows: Sequence[Row] = content["rows"]
    title = f"A training step on {content['device']}, {content['threads']} threads, made-up images"
    table = Table(title=title, title_justify="left")
    table.add_column("configuration", no_wrap=True)
    heads = ("ms", "quartiles", "images/s", "times vanilla", "times plain", "GFLOP", "of ceiling")
    for head in (*heads, "peak MiB"):
        table.add_column(head, justify="right")
    for row in rows:
        middle = median(row["seconds"])
        low, high = spread(row["seconds"])
        table.add_row(
            row["name"],
            f"{1000 * middle:,.0f}",
            f"{1000 * low:,.0f} to {1000 * high:,.0f}",
            f"{row['batch_size'] / middle:,.0f}",
            f"{row['times_vanilla']['median']:.2f}",
            f"{row['times_plain']['median']:.2f}",
            f"{row['flops'] / 1e9:,.1f}",
            f"{100 * row['flops'] / middle / row['ceiling_flops_per_second']:.0f} %",
            mebibytes(row["peak_memory_bytes"]),
        )
    table.caption = (
        "vanilla: the same settings without mixing; plain: besides in float32 and contiguous; "
        "ceiling: the fastest matrix product of this machine in the same number format; "
        "memory: of a process that does nothing else"
    )
    table.caption_justify = "left"
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
    """Time of a step and, where measured, peak memory against the value that grows."""
    from matplotlib.figure import Figure

    quantities = {"ms a step": [1000 * median(row["seconds"]) for row in rows]}
    if all(row["peak_memory_bytes"] is not None for row in rows):
        quantities["peak memory, MiB"] = [row["peak_memory_bytes"] / 2**20 for row in rows]
    labels = [row["value"].partition("=")[2] for row in rows]
    with style():
        figure = Figure(figsize=(3.5 * len(quantities), 3))
        panels = figure.subplots(1, len(quantities), squeeze=False)[0]
        for axes, (name, values) in zip(panels, quantities.items(), strict=True):
            axes.plot(labels, values, marker="o")
            axes.set_xlabel(rows[0]["value"].partition("=")[0])
            axes.set_ylabel(name)
            axes.set_ylim(bottom=0)
        figure.tight_layout()
    return figure
