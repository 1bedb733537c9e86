"""Attacks, unknown images and hidden patches: networks measured alike are overlaid."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from automix_cli.reporting.curves_figure import legend_label
from automix_cli.reporting.document.blocks import Block, Figure, Gallery, Paragraph, Section, Table
from automix_cli.reporting.robustness_figure import robustness_figure
from automix_cli.reporting.robustness_tables import attack_name, images_of
from automix_cli.reporting.run_report.reported import Record, ReportedRun
from automix_cli.reporting.tables import percent

DRAWN = {
    "attacks": "Accuracy under attack",
    "unknown": "Unknown images",
    "occlusion": "Hidden patches",
}
COMMON = ("dataset", "split", "num_images", "num_test_images", "quick", "seed", "norm")
"""What must be the same for networks to stand in one figure."""


def robustness(runs: Sequence[ReportedRun]) -> Section | None:
    """Every group of runs that was measured alike; None where nothing was measured."""
    groups: dict[str, dict[str, Record]] = {}
    for run in runs:
        if run.robustness is not None:
            groups.setdefault(_protocol(run.robustness), {})[run.label] = run.robustness
    blocks: list[Block] = []
    if len(groups) > 1:
        blocks.append(
            Paragraph(
                "These runs were attacked in different ways, or on different images: only those in"
                " one figure can be compared.",
                is_warning=True,
            )
        )
    for number, group in enumerate(groups.values()):
        blocks += _group(number, group)
    return Section("robustness", "Robustness", tuple(blocks)) if blocks else None


def _protocol(content: Record) -> str:
    """What was measured and how, but for the results."""
    ((_, model),) = content["models"].items()
    attacks = [(attack_name(each), each["epsilon"]) for each in model.get("attacks", [])]
    unknown = [(each["unknown"], each["score"]) for each in model.get("unknown", [])]
    shares = [each["share"] for each in model.get("occlusion", [])]
    checks = [each["check"] for each in model.get("masking", [])]
    return json.dumps([[content.get(key) for key in COMMON], attacks, unknown, shares, checks])


def _group(number: int, group: Mapping[str, Record]) -> list[Block]:
    models = {label: next(iter(content["models"].values())) for label, content in group.items()}
    content = next(iter(group.values()))
    first = next(iter(models.values()))
    figures = tuple(
        Figure(
            name=f"robustness-{number}-{part}",
            title=title,
            alt=f"{title} of {', '.join(models)}; the numbers are in the table below",
            draw=partial(_drawn, content, models, part),
        )
        for part, title in DRAWN.items()
        if part in first
    )
    tables = [make(models) for part, make in TABLES.items() if part in first]
    return [Paragraph(f"Images: {images_of(content)}."), Gallery(figures), *tables]


def _drawn(content: Record, models: Mapping[str, Record], part: str, background: Any) -> Any:
    """One plot of the page that `automix robustness` draws."""
    alone = {
        legend_label(label): {"clean": model["clean"], part: model[part]}
        for label, model in models.items()
    }
    figure = robustness_figure({**content, "models": alone}, background=background)
    figure.suptitle("")  # the page has said both
    figure.axes[0].set_title("")
    return figure


def _table(caption: str, first: str, models: Mapping[str, Any], rows: list[list[str]]) -> Table:
    return Table(caption, (first, *models), tuple(map(tuple, rows)))


def _spread(record: Record, name: str) -> str:
    low, high = record["interval"]
    return f"{percent(record[name])} ({100 * low:.1f} to {100 * high:.1f})"


def attack_table(models: Mapping[str, Record]) -> Table:
    """Accuracy without and under each attack."""
    rows = [["none", *(percent(model["clean"]["top1"]) for model in models.values())]]
    for records in zip(*(model["attacks"] for model in models.values()), strict=True):
        first = records[0]
        name = f"{attack_name(first)}, {first['norm']} {first['epsilon_typed']}"
        rows.append([name, *(_spread(each, "accuracy") for each in records)])
        if first.get("error_of_all") is not None:
            errors = [percent(each["error_of_all"]) for each in records]
            rows.append([f"{name}: FGSM error of papers", *errors])
    return _table("Accuracy under attack, with 95 % intervals", "attack", models, rows)


def masking_table(models: Mapping[str, Record]) -> Table:
    """Whether the attacks can be believed."""
    rows = [
        [records[0]["check"], *("pass" if each["passed"] else "WARNING" for each in records)]
        for records in zip(*(model["masking"] for model in models.values()), strict=True)
    ]
    return _table("Can the attacks be believed?", "check", models, rows)


def unknown_table(models: Mapping[str, Record]) -> Table:
    """How well unknown images are told apart."""
    rows = [
        [
            f"{records[0]['unknown']}, {records[0]['score']}",
            *(percent(each["auroc"]) for each in records),
        ]
        for records in zip(*(model["unknown"] for model in models.values()), strict=True)
    ]
    return _table("Unknown images: AUROC by score", "unknown, score", models, rows)


def occlusion_table(models: Mapping[str, Record]) -> Table:
    """Accuracy with patches hidden."""
    rows = [
        [f"{100 * records[0]['share']:.0f} %", *(percent(each["accuracy"]) for each in records)]
        for records in zip(*(model["occlusion"] for model in models.values()), strict=True)
    ]
    return _table("Accuracy with a share of the patches hidden", "hidden", models, rows)


TABLES = {
    "attacks": attack_table,
    "masking": masking_table,
    "unknown": unknown_table,
    "occlusion": occlusion_table,
}
