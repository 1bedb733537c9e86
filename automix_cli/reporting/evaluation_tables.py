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
    """How often each kind of map finds the object, one column a kind."""
    maps = record["maps"].values()
    table = Table(title="Localisation, by the map of the true class", title_justify="left")
    table.add_column("")
    for name in record["maps"]:
        table.add_column(name, justify="right")
    table.add_row("MaxBoxAcc", *(percent(each["max_box_acc"]) for each in maps), style="bold")
    spans = ([f"{100 * end:.1f}" for end in each["interval"]] for each in maps)
    table.add_row("  95 % interval", *(" to ".join(span) for span in spans))
    table.add_row("  at threshold", *(f"{each['threshold']:.3f}" for each in maps))
    table.add_row("top-1 localisation", *(percent(each["top1_localization"]) for each in maps))
    table.add_row("MaxBoxAccV2", *(percent(each["max_box_acc_v2"]) for each in maps), style="bold")
    for rows in zip(*(each["of_overlaps"] for each in maps), strict=True):
        cells = (f"{100 * one['accuracy']:.2f} % at {one['threshold']:.3f}" for one in rows)
        table.add_row(f"  at IoU {rows[0]['overlap']:g}", *cells)
    missing = [f"; no {name}: {reason}" for name, reason in record["without"].items()]
    table.caption = (
        f"{record['num_images']:,} of {record['num_test_images']:,} test images have boxes;"
        f" {record['view']}; thresholds: {record['thresholds']}; MaxBoxAcc: box of the largest"
        " contour, IoU 0.5; V2: of any contour, mean over IoU; top-1: as MaxBoxAcc, and"
        f" recognised; centre: a map that looks at no image{''.join(missing)}"
    )
    table.caption_justify = "left"
    return table
