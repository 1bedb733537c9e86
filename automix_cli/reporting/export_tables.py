"""What a person sees of an export and of a file that is inspected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from automix_cli.reporting.tables import key_value_table, percent


def export_table(content: Mapping[str, Any]) -> list[Table]:
    """The file, and how it was proved."""
    facts = {
        "file": content["file"],
        "size": f"{content['num_bytes'] / 2**20:.2f} MiB",
        "network": f"{content['backbone']}, {content['weights']}",
        "input": " x ".join(map(str, content["input"])) + f", {content['input_range']}",
        "other heights and widths": "yes" if content["any_size"] else "no",
        "output": content["output"],
        "model card": content["card"],
    }
    if "hub" in content:
        facts["pushed to"] = content["hub"]["url"] or "nowhere"
    table = Table(title="verified in a fresh process", title_justify="left")
    table.add_column("")
    for check in content["checks"]:
        table.add_column(check["reader"], justify="right")
    for shown in content["checks"][0]["differences"]:
        values = (f"{check['differences'][shown]:.2e}" for check in content["checks"])
        table.add_row(f"largest difference, {shown}", *values)
    for name, key in (("top-1 before", "top1_before"), ("top-1 after", "top1_after")):
        table.add_row(name, *(percent(check[key]) for check in content["checks"]))
    milliseconds = (f"{check['milliseconds']:.2f} ms" for check in content["checks"])
    table.add_row("median time of one image", *milliseconds)
    return [key_value_table("Export", facts), table]


def import_table(content: Mapping[str, Any]) -> Table:
    """What was taken over, and how to go on."""
    facts = {
        "checkpoint": content["file"],
        "trained with": content["method"],
        "network": f"{content['backbone']}, stem {content['stem']}",
        "data set": content["dataset"],
        "tensors": f"{content['num_tensors']} taken, {len(content['left_out'])} left out",
        "next": f"automix eval --checkpoint {content['file']}",
    }
    return key_value_table("Import", facts)


def inspection_tables(content: Mapping[str, Any]) -> list[Table]:
    """What a file holds."""
    plain = {name: each for name, each in content.items() if isinstance(each, str | int | float)}
    told = {name: content[name] for name in ("facts", "software") if content[name]}
    tables = [key_value_table(name, facts) for name, facts in {"File": plain, **told}.items()]
    groups = Table(title="tensors", title_justify="left")
    for number, column in enumerate(("group", "tensors", "numbers", "largest", "shape")):
        groups.add_column(column, justify="left" if number in (0, 3) else "right")
    for name, group in content["groups"].items():
        shape = " x ".join(map(str, group["largest_shape"])) or "scalar"
        groups.add_row(
            name, f"{group['num_tensors']:,}", f"{group['numel']:,}", group["largest"], shape
        )
    return [*tables, groups]
