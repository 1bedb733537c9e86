"""Tables of `automix robustness`: one row a measurement, one column a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table

from automix_cli.reporting.tables import percent

Models = Mapping[str, Mapping[str, Any]]

AS_IN_PAPERS = ("fgsm", "8/255")
"""The attack that papers on mixup report."""


def robustness_tables(content: Mapping[str, Any]) -> list[Table]:
    """Every table of a report; what was not measured has none."""
    models: Models = content["models"]
    first = next(iter(models.values()))
    makers = {
        "attacks": attack_table,
        "masking": masking_table,
        "unknown": unknown_table,
        "occlusion": occlusion_table,
    }
    tables = [make(models, images_of(content)) for part, make in makers.items() if part in first]
    return tables or [attack_table(models, images_of(content))]


def images_of(content: Mapping[str, Any]) -> str:
    """On what the numbers stand; a quick report says that it is one."""
    if content["quick"]:
        part, whole = content["num_images"], content["num_test_images"]
        return f"quick: {part:,} of the {whole:,} test images of {content['dataset']}"
    return f"the {content['num_images']:,} test images of {content['dataset']}"


def _table(title: str, first: str, models: Models) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first)
    for label in models:
        table.add_column(label, justify="right")
    table.caption_justify = "left"
    return table


def _shares(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Accuracies, with their intervals where there is room: of one network alone."""
    rows = list(records)
    if len(rows) > 1:
        return [percent(each["accuracy"]) for each in rows]
    return [
        f"{percent(each['accuracy'])} ({100 * each['interval'][0]:.1f} to"
        f" {100 * each['interval'][1]:.1f})"
        for each in rows
    ]


def attack_name(record: Mapping[str, Any]) -> str:
    """What an attack is called in tables and figures, without its epsilon."""
    name = record["attack"]
    if name in ("pgd", "mifgsm"):
        name += f"-{record['steps']}"
    if record.get("restarts", 1) > 1:
        name += f" x{record['restarts']}"
    return f"targeted {name}" if record.get("targeted") else name


def attack_table(models: Models, images: str) -> Table:
    """Accuracy without and under each attack."""
    table = _table(f"Accuracy under attack, {images}", "attack", models)
    clean = [model["clean"] for model in models.values()]
    unattacked = ({"accuracy": each["top1"], "interval": each["top1_interval"]} for each in clean)
    table.add_row("none", *_shares(unattacked))
    rows = [model.get("attacks", []) for model in models.values()]
    for records in zip(*rows, strict=True):
        first = records[0]
        named = f"{attack_name(first)}, {first['norm']} {first['epsilon_typed']}"
        style = "bold" if (first["attack"], first["epsilon_typed"]) == AS_IN_PAPERS else None
        table.add_row(named, *_shares(records), style=style)
        if first.get("error_of_all") is not None:
            errors = [percent(record["error_of_all"]) for record in records]
            table.add_row("  FGSM error of papers", *errors, style="dim")
        if first.get("target_reached") is not None:
            table.add_row(
                "  taken for the target",
                *(percent(record["target_reached"]) for record in records),
                style="dim",
            )
    table.caption = (
        "recognised before and after the attack; in parentheses 95 % intervals;"
        " bold: FGSM as papers on mixup report it"
    )
    return table


def masking_table(models: Models, images: str) -> Table:
    """Whether the attacks can be believed."""
    first = next(iter(models.values()))["masking"]
    epsilon = first[0]["epsilon"]
    title = f"Can the attacks be believed? {first[0]['num_images']} images, epsilon {epsilon:.4g}"
    table = _table(title, "check", models)
    for records in zip(*(model["masking"] for model in models.values()), strict=True):
        verdicts = [_verdict(record, with_numbers=len(models) == 1) for record in records]
        table.add_row(records[0]["check"], *verdicts)
    table.caption = f"a warning is a sign of masked gradients; {images}"
    return table


def _verdict(record: Mapping[str, Any], *, with_numbers: bool) -> str:
    word = "pass" if record["passed"] else "WARN"
    numbers = f" {record['value']:.3f} <= {record['at_most']:.3f}"
    return word + numbers if with_numbers else word


def unknown_table(models: Models, images: str) -> Table:
    """How well unknown images are told apart: a row for each network."""
    table = Table(title=f"Unknown images, against {images}, in %", title_justify="left")
    for column in ("unknown", "score", "network"):
        table.add_column(column)
    for column in ("AUROC", "FPR95", "AUPR in", "AUPR out"):
        table.add_column(column, justify="right")
    sizes: dict[str, int] = {}
    for records in zip(*(model["unknown"] for model in models.values()), strict=True):
        for label, each in zip(models, records, strict=True):
            found = [each[key] for key in ("auroc", "fpr95", "aupr_known", "aupr_unknown")]
            numbers = [f"{100 * share:.2f}" for share in found]
            table.add_row(each["unknown"], each["score"], label, *numbers)
            sizes[each["unknown"]] = each["num_unknown"]
    counts = ", ".join(f"{name}: {size:,} images" for name, size in sizes.items())
    table.caption = f"{counts}; FPR95: unknown images that pass where 95 % of the known ones do"
    table.caption_justify = "left"
    return table


def occlusion_table(models: Models, images: str) -> Table:
    """Accuracy with patches hidden."""
    first = next(iter(models.values()))["occlusion"]
    side = first[0]["patch_pixels"]
    table = _table(f"Hidden patches of {side} x {side} pixels, {images}", "hidden", models)
    for records in zip(*(model["occlusion"] for model in models.values()), strict=True):
        share = f"{100 * records[0]['share']:.0f} %"
        table.add_row(share, *_shares(records))
    return table
