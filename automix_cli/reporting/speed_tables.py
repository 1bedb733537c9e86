"""Tables about speed: images per second of what was measured in turns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from automix_cli.reporting.tables import key_value_table

FACTS = ("dataset", "images_made", "workers", "image_size", "batch_size", "method", "backbone")


def data_path_tables(content: Mapping[str, Any]) -> list[Table]:
    """Show a measurement of the data path: what, how fast, and what waits for what."""
    facts = {name: content[name] for name in (*FACTS, "device")}
    table = Table(title="images a second", title_justify="left")
    table.add_column("measured in turns")
    for column in ("median", "least", "most"):
        table.add_column(column, justify="right")
    rows = {"pipeline alone": content["pipeline"], "training step": content["training_step"]}
    comparison = content.get("torchvision")
    if comparison is not None:
        rows["pipeline, only crop and mirror"] = comparison["ours"]
        rows[f"torchvision DataLoader, {comparison['workers']} workers"] = comparison["theirs"]
    for name, record in rows.items():
        rounds = record["rounds"]
        numbers = (record["images_per_second"], min(rounds), max(rounds))
        table.add_row(name, *(f"{number:,.0f}" for number in numbers))
    table.caption = f"the bottleneck is the {content['bottleneck']}"
    if comparison is not None:
        table.caption += f"; {comparison['ratio']:.2f} times torchvision, median of the rounds"
    table.caption_justify = "left"
    return [key_value_table("data path", facts), table]
