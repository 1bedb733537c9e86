"""How sure the networks are and how often they are right, on clean and on corrupted images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Any

from automix_cli.reporting.calibration_figures import reliability_diagram
from automix_cli.reporting.corruption_figure import draw_heat_map, heading
from automix_cli.reporting.corruption_tables import MEAN_LABELS
from automix_cli.reporting.document.blocks import (
    Block,
    Figure,
    Gallery,
    More,
    Paragraph,
    Section,
    Table,
)
from automix_cli.reporting.run_report.reported import NOTHING, Record, ReportedRun
from automix_cli.reporting.tables import percent

MOST_CLASSES = 200


def head_of(evaluation: Mapping[str, Any]) -> Record:
    """The numbers of the one head that was evaluated."""
    ((_, row),) = evaluation["heads"].items()
    return row


def calibration(runs: Sequence[ReportedRun]) -> Section | None:
    """Reliability diagrams, errors, classes and mixed images; None where nothing was evaluated."""
    rows = {run.label: head_of(run.evaluation) for run in runs if run.evaluation is not None}
    if not rows:
        return None
    figures = tuple(
        Figure(
            name=f"reliability-{number}",
            title=f"Reliability, {label}",
            alt=f"accuracy against confidence in {row['calibration']['num_bins']} bins;"
            f" ECE {percent(row['calibration']['ece'])}, top-1 {percent(row['top1'])}",
            draw=partial(_reliability, row["calibration"]),
        )
        for number, (label, row) in enumerate(rows.items())
    )
    blocks: list[Block] = [Gallery(figures), error_table(runs, rows)]
    checked = ", ".join(
        f"{run.label}: {run.evaluation['checkpoint']}" for run in runs if run.evaluation
    )
    blocks.append(Paragraph(f"What was evaluated: {checked}."))
    if any("mixed" in row for row in rows.values()):
        blocks.append(mixed_table(rows))
    blocks.append(More("Accuracy of every class", (class_table(runs, rows),)))
    return Section("calibration", "Calibration", tuple(blocks))


def _reliability(measured: Record, background: Any) -> Any:
    return reliability_diagram(measured, background=background)


def columns_of(runs: Sequence[ReportedRun], first: str) -> tuple[str, ...]:
    """A column for every run, whether it has numbers or not, so that colours stay the same."""
    return (first, *(run.label for run in runs))


def error_table(runs: Sequence[ReportedRun], rows: Mapping[str, Record]) -> Table:
    """Every calibration error, one a row."""

    def of_all(shown: Any) -> tuple[str, ...]:
        return tuple(shown(rows[run.label]) if run.label in rows else NOTHING for run in runs)

    def error(name: str) -> tuple[str, ...]:
        return of_all(lambda row: percent(row["calibration"][name]))

    lines = (
        ("ECE", *of_all(_ece)),
        ("overconfidence", *error("overconfidence")),
        ("underconfidence", *error("underconfidence")),
        ("adaptive ECE", *error("adaptive_ece")),
        ("classwise ECE", *error("classwise_ece")),
        ("largest error of a bin (MCE)", *error("mce")),
        ("RMS error", *error("rmsce")),
        ("Brier score", *of_all(lambda row: f"{row['calibration']['brier']:.4f}")),
        ("NLL", *of_all(lambda row: f"{row['nll']:.4f}")),
        ("temperature", *of_all(_temperature)),
        ("ECE with it", *of_all(partial(_after, "ece", percent))),
        ("NLL with it", *of_all(partial(_after, "nll", "{:.4f}".format))),
    )
    caption = "Calibration errors; ECE with its 95 % bootstrap interval"
    return Table(caption, columns_of(runs, "error"), lines, runs_from=1)


def _ece(row: Record) -> str:
    low, high = row["calibration"]["ece_interval"]
    return f"{percent(row['calibration']['ece'])} ({100 * low:.2f} to {100 * high:.2f})"


def _temperature(row: Record) -> str:
    if row["temperature"] is None:
        return NOTHING
    return " and ".join(f"{each:.3f}" for each in row["temperature"]["temperatures"])


def _after(name: str, shown: Any, row: Record) -> str:
    return NOTHING if row["temperature"] is None else shown(row["temperature"]["after"][name])


def mixed_table(rows: Mapping[str, Record]) -> Table:
    """Accuracy on mixed images: a row for each run and method of mixing."""
    lines = tuple(
        (
            f"{label}, mixed by {method}",
            percent(each["top1_larger"]),
            percent(each["top1_either"]),
            NOTHING if each["top2_set"] is None else percent(each["top2_set"]),
        )
        for label, row in rows.items()
        for method, each in row.get("mixed", {}).items()
    )
    columns = ("mixed images", "top-1 is the larger", "top-1 is either", "top-2 is the pair")
    return Table("Accuracy on mixed images, ratios from Beta(1, 1)", columns, lines)


def class_table(runs: Sequence[ReportedRun], rows: Mapping[str, Record]) -> Table:
    """Every class, the hardest of the first run's first."""
    by_class: dict[str, dict[str, float]] = {}
    for label, row in rows.items():
        for each in row["classes"]:
            if each["num_images"]:
                by_class.setdefault(str(each["name"]), {})[label] = each["accuracy"]
    hardest = sorted(by_class, key=lambda name: next(iter(by_class[name].values())))
    lines = tuple(
        (name, *(_share(by_class[name].get(run.label)) for run in runs))
        for name in hardest[:MOST_CLASSES]
    )
    shown = f"The {len(lines)} hardest of {len(hardest)} classes, hardest first"
    return Table(shown, columns_of(runs, "class"), lines, runs_from=1)


def _share(value: float | None) -> str:
    return NOTHING if value is None else percent(value)


def corruptions(runs: Sequence[ReportedRun]) -> Section | None:
    """Heat maps and means, for every set of corrupted images; None where there are none."""
    titles = dict.fromkeys(title for run in runs for title in run.corruptions)
    blocks: list[Block] = []
    for place, title in enumerate(titles):
        records = {run.label: run.corruptions[title] for run in runs if title in run.corruptions}
        figures = tuple(
            Figure(
                name=f"corruptions-{place}-{number}",
                title=f"{title}, {label}",
                alt="; ".join(heading(record)),
                draw=partial(_heat_map, record),
                is_wide=True,
            )
            for number, (label, record) in enumerate(records.items())
        )
        blocks += [Gallery(figures), corruption_means(runs, title, records)]
    return Section("corruptions", "Corrupted images", tuple(blocks)) if blocks else None


def _heat_map(record: Record, background: Any) -> Any:
    return draw_heat_map(record, background=background)


def corruption_means(
    runs: Sequence[ReportedRun], title: str, records: Mapping[str, Record]
) -> Table:
    """Clean accuracy, every mean and every corruption, a column a run."""

    def row(name: str, shown: Any) -> tuple[str, ...]:
        cells = (shown(records[run.label]) if run.label in records else NOTHING for run in runs)
        return (name, *cells)

    def mean(key: str) -> Any:
        return lambda record: _share(record["means"].get(key, {}).get("top1"))

    def corruption(name: str) -> Any:
        return lambda record: (
            percent(fmean(record["corruptions"][name]["top1"]))
            if name in record["corruptions"]
            else NOTHING
        )

    names = dict.fromkeys(name for record in records.values() for name in record["corruptions"])
    lines = (
        row("clean", lambda record: percent(record["clean_top1"])),
        *(row(label, mean(key)) for key, label in MEAN_LABELS.items()),
        *(row(name.replace("_", " "), corruption(name)) for name in names),
    )
    caption = f"Top-1 on {title}, means over severities"
    return Table(caption, columns_of(runs, "images"), lines, runs_from=1)
