"""Tables in the terminal. Accuracies are percent here and fractions in every file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from automix_cli.reporting.progress import duration
from automix_cli.reporting.terminal import Terminal


def percent(share: float) -> str:
    """A fraction as a percentage with two decimals."""
    return f"{100 * share:.2f} %"


def accuracy_table(title: str, rows: Mapping[str, Mapping[str, Any]], *, marked: str) -> Table:
    """One row a head: top-1 with its interval, top-5, NLL, ECE; the head that counts is marked."""
    table = Table(title=title, title_justify="left")
    table.add_column("network and head")
    for column in ("top-1", "95 % interval", "top-5", "NLL", "ECE"):
        table.add_column(column, justify="right")
    for name, row in rows.items():
        low, high = row["top1_interval"]
        table.add_row(
            f"{name} *" if name == marked else name,
            percent(row["top1"]),
            f"{100 * low:.2f} to {100 * high:.2f}",
            percent(row["top5"]),
            f"{row['nll']:.4f}",
            percent(row["ece"]) if "ece" in row else "-",  # a run begun by an earlier version
            style="bold" if name == marked else None,
        )
    table.caption = "* fixed before the run as the one it stands for"
    table.caption_justify = "left"
    return table


def summary_table(summary: Mapping[str, Any], folder: str, next_commands: Sequence[str]) -> Table:
    """The end of a run: cost, where it lies and what to type next."""
    table = Table(show_header=False, title="Run", title_justify="left")
    table.add_column()
    table.add_column()
    best = summary["best"]
    score = best["top1"] if "top1" in best else best["ap"]  # a detector's
    table.add_row("steps", f"{summary['step']:,} ({summary['epochs']:.4g} epochs)")
    table.add_row("time", duration(summary["seconds"]))
    table.add_row("images a second", f"{summary['images_per_second']:,.0f}")
    table.add_row("peak memory", f"{summary['peak_memory_bytes'] / 2**20:,.0f} MiB")
    table.add_row(
        "best checkpoint",
        f"{percent(score)} after step {best['step']:.0f}, {summary['best_chosen_on']}",
    )
    table.add_row("run folder", folder)
    for number, command in enumerate(next_commands):
        table.add_row("next" if number == 0 else "", command)
    return table


def key_value_table(title: str, facts: Mapping[str, Any]) -> Table:
    """Facts by name, one a row."""
    table = Table(show_header=False, title=title, title_justify="left")
    table.add_column()
    table.add_column(justify="right")
    for name, fact in facts.items():
        table.add_row(name.replace("_", " "), f"{fact:,}" if isinstance(fact, int) else str(fact))
    return table


def print_tables(*tables: Table) -> None:
    """Print tables one below the other on stdout: they are data."""
    console = Terminal()
    for table in tables:
        console.print(table)
