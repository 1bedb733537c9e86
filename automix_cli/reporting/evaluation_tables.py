"""Tables of `automix eval`: accuracy, calibration, the hardest classes, mixed images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from automix_cli.reporting.tables import accuracy_table, percent

NUM_CLASSES_SHOWN = 5


def evaluation_tables(content: Mapping[str, Any]) -> list[Table]:
    """Every table of an evaluation, for its one head."""
    ((_, row),) = content["heads"].items()
    title = (
        f"{content['checkpoint']} on the {row['num_images']:,} test images of {content['dataset']}"
    )
    tables = [
        accuracy_table(title, content["heads"], marked="momentum_one_hot"),
        calibration_table(row),
        class_table(row["classes"]),
    ]
    if "mixed" in row:
        tables.append(mixed_table(row["mixed"]))
    if "localization" in content:
        tables.append(localization_table(content["localization"]))
    return tables


def calibration_table(row: Mapping[str, Any]) -> Table:
    """Every calibration error, one a row, and what a temperature would do."""
    measured = row["calibration"]
    bins = measured["num_bins"]
    low, high = measured["ece_interval"]
    table = Table(title=f"Calibration, {bins} bins", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    table.add_row("ECE", percent(measured["ece"]), f"95 %: {100 * low:.2f} to {100 * high:.2f}")
    table.add_row("  overconfidence", percent(measured["overconfidence"]), "claims too much")
    table.add_row("  underconfidence", percent(measured["underconfidence"]), "claims too little")
    bound = 100 * measured["adaptive_ece_bound"]
    table.add_row("adaptive ECE", percent(measured["adaptive_ece"]), f"to {bound:.2g} points")
    table.add_row("classwise ECE", percent(measured["classwise_ece"]), "mean over classes")
    table.add_row("largest error (MCE)", percent(measured["mce"]), "of a bin")
    table.add_row("RMS error", percent(measured["rmsce"]), "")
    table.add_row("Brier score", f"{measured['brier']:.4f}", "summed over classes")
    if row["temperature"] is not None:
        add_temperature(table, row["temperature"])
    return table


def add_temperature(table: Table, fitted: Mapping[str, Any]) -> None:
    """What dividing the logits by the temperature does."""
    values = " and ".join(f"{each:.3f}" for each in fitted["temperatures"])
    table.add_section()
    table.add_row("temperature", values, f"fitted on {fitted['fitted_on']}")
    before, after = fitted["before"], fitted["after"]
    table.add_row("  ECE with it", percent(after["ece"]), f"from {percent(before['ece'])}")
    table.add_row("  NLL with it", f"{after['nll']:.4f}", f"from {before['nll']:.4f}")


def class_table(classes: list[Mapping[str, Any]]) -> Table:
    """The classes that are recognised least."""
    seen = [each for each in classes if each["num_images"]]
    worst = sorted(seen, key=lambda each: each["accuracy"])[:NUM_CLASSES_SHOWN]
    table = Table(title=f"The {len(worst)} hardest of {len(seen)} classes", title_justify="left")
    table.add_column("class")
    for column in ("accuracy", "95 % interval", "images"):
        table.add_column(column, justify="right")
    for each in worst:
        low, high = each["interval"]
        span = f"{100 * low:.2f} to {100 * high:.2f}"
        table.add_row(each["name"], percent(each["accuracy"]), span, f"{each['num_images']:,}")
    return table


def mixed_table(mixed: Mapping[str, Mapping[str, Any]]) -> Table:
    """Accuracy on mixed images, one row a method."""
    table = Table(title="Mixed images, ratios from Beta(1, 1)", title_justify="left")
    table.add_column("mixed by")
    for column in ("top-1 is the larger", "top-1 is either", "top-2 is the pair", "mixtures"):
        table.add_column(column, justify="right")
    for name, each in mixed.items():
        pairs = each["top2_set"]
        table.add_row(
            name,
            percent(each["top1_larger"]),
            percent(each["top1_either"]),
            "-" if pairs is None else percent(pairs),
            f"{each['num_images']:,}",
        )
    table.caption = "pairs of one class count for top-1 only"
    table.caption_justify = "left"
    return table


def localization_table(record: Mapping[str, Any]) -> Table:
    """How often each kind of map finds the object, one row a kind."""
    table = Table(
        title=f"Localisation, {record['num_images']:,} of {record['num_test_images']:,} test"
        f" images have boxes, {record['view']}",
        title_justify="left",
    )
    table.add_column("map")
    columns = ("MaxBoxAcc", "95 % interval", "at", "IoU 0.3", "0.5", "0.7", "MaxBoxAccV2", "top-1")
    for column in columns:
        table.add_column(column, justify="right")
    for name, each in record["maps"].items():
        low, high = each["interval"]
        table.add_row(
            name,
            percent(each["max_box_acc"]),
            f"{100 * low:.1f} to {100 * high:.1f}",
            f"{each['threshold']:.3f}",
            *(f"{100 * one['accuracy']:.2f}" for one in each["of_overlaps"]),
            percent(each["max_box_acc_v2"]),
            percent(each["top1_localization"]),
        )
    missing = [f"; no {name}: {reason}" for name, reason in record["without"].items()]
    table.caption = (
        "of the true class; MaxBoxAcc: box of the largest contour, IoU 0.5; V2: of any contour,"
        f" mean over IoU; top-1: found as in MaxBoxAcc, and recognised; {record['thresholds']};"
        f" centre: a map that looks at no image{''.join(missing)}"
    )
    table.caption_justify = "left"
    return table
