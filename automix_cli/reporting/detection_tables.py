"""Average precision in the terminal: percent, as papers print it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from automix_cli.reporting.progress import PRECISIONS, in_percent

COLUMNS = {**PRECISIONS, "ar100": "AR100"}


def precision_table(rows: Mapping[str, Mapping[str, Any]]) -> Table:
    """One row a part of the data."""
    table = Table(title="Average precision in %, COCO's protocol", title_justify="left")
    table.add_column("images of")
    table.add_column("number", justify="right")
    for column in COLUMNS.values():
        table.add_column(column, justify="right")
    for split, row in rows.items():
        shown = (in_percent(row[name]) for name in COLUMNS)
        table.add_row(split, f"{row['num_images']:,}", *shown)
    table.caption = "-: there is no object of that size"
    table.caption_justify = "left"
    return table
