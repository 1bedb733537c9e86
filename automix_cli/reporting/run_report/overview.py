"""What came out, what it cost, and what a reader must know before comparing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from automix_cli.reporting.document.blocks import Block, Paragraph, Section, Table
from automix_cli.reporting.progress import PRECISIONS, duration, in_percent
from automix_cli.reporting.run_report.missing import missing_parts
from automix_cli.reporting.run_report.reported import NOTHING, ReportedRun
from automix_cli.reporting.tables import percent

Fact = Callable[[ReportedRun], str]


def with_interval(row: dict[str, Any], name: str = "top1") -> str:
    """A share in percent with its 95 % interval, where there is one."""
    if name not in row:
        return NOTHING
    if f"{name}_interval" not in row:
        return percent(row[name])
    low, high = row[f"{name}_interval"]
    return f"{percent(row[name])} ({100 * low:.2f} to {100 * high:.2f})"


def overview(runs: Sequence[ReportedRun]) -> Section:
    """The first table that one looks for, warnings, and what could still be measured."""
    blocks: list[Block] = [
        *(Paragraph(f"{run.label}: {note}", is_warning=True) for run in runs for note in run.notes),
        *different_images(runs),
        _facts("Results on the test images", runs, results(runs)),
    ]
    classifiers = [run for run in runs if not run.is_detector]
    if classifiers:
        blocks.append(
            Paragraph(
                "Accuracy is that of the network and head fixed before the run, at the last step;"
                " in parentheses its 95 % Wilson interval. The median of the last ten evaluations"
                " is what the literature prints."
            )
        )
    if len(classifiers) < len(runs):
        blocks.append(Paragraph("AP is by COCO's protocol, in percent, at the last step."))
    if any(run.heads for run in classifiers):
        blocks.append(heads_table(classifiers))
    return Section("overview", "Overview", (*blocks, *missing_parts(runs)))


def _facts(caption: str, runs: Sequence[ReportedRun], facts: dict[str, Fact]) -> Table:
    rows = tuple((name, *(fact(run) for run in runs)) for name, fact in facts.items())
    return Table(caption, ("", *(run.label for run in runs)), rows, runs_from=1)


def _number(name: str) -> Fact:
    def said(run: ReportedRun) -> str:
        return f"{run.judged[name]:.4f}" if name in run.judged else NOTHING

    return said


def _share(name: str) -> Fact:
    return lambda run: percent(run.judged[name]) if name in run.judged else NOTHING


def _precision(name: str) -> Fact:
    return lambda run: in_percent(run.judged[name]) if name in run.judged else NOTHING


def _best(run: ReportedRun) -> str:
    if run.summary is None or not run.summary.get("best"):
        return NOTHING
    best = run.summary["best"]
    share = best["ap" if run.is_detector else "top1"]
    return f"{percent(share)} at step {best['step']:.0f}, on {run.summary['best_chosen_on']}"


def _median(run: ReportedRun) -> str:
    medians = (run.summary or {}).get("median_of_last_ten", {})
    return percent(medians[run.stands_for]) if run.stands_for in medians else NOTHING


def _length(run: ReportedRun) -> str:
    if run.summary is None:
        planned = run.settings.get("train.epochs", "unknown")
        return f"{run.step:,} so far, of {planned} epochs: not finished"
    return f"{run.summary['step']:,} ({run.summary['epochs']:.4g} epochs)"


def _of_summary(name: str, shown: Callable[[Any], str]) -> Fact:
    def said(run: ReportedRun) -> str:
        summary = run.summary or {}
        return shown(summary[name]) if name in summary else NOTHING

    return said


def _setting(key: str) -> Fact:
    return lambda run: str(run.settings.get(key, NOTHING))


SETTINGS: dict[str, Fact] = {
    "method": lambda run: run.method,
    "network": _setting("model.backbone"),
    "begins with": _setting("model.init"),
    "data set": _setting("data.name"),
    "preset": _setting("run.preset"),
    "seed": _setting("run.seed"),
    "steps": _length,
    "stands for": lambda run: run.stands_for,
}
OF_CLASSIFIERS: dict[str, Fact] = {
    "top-1": lambda run: with_interval(run.judged),
    "top-5": _share("top5"),
    "NLL": _number("nll"),
    "ECE": _share("ece"),
    "median of the last ten": _median,
}
OF_DETECTORS: dict[str, Fact] = {word: _precision(name) for name, word in PRECISIONS.items()}
COSTS: dict[str, Fact] = {"best checkpoint": _best, "time": _of_summary("seconds", duration)}


def results(runs: Sequence[ReportedRun]) -> dict[str, Fact]:
    """The rows of the first table: those that some of the runs have."""
    kinds = {run.is_detector for run in runs}
    facts = {**SETTINGS}
    if all(run.settings.get("model.init") is None for run in runs):
        del facts["begins with"]
    if False in kinds:
        facts |= OF_CLASSIFIERS
    if True in kinds:
        facts |= OF_DETECTORS
    return facts | COSTS


def heads_table(runs: Sequence[ReportedRun]) -> Table:
    """Both networks with both heads: of one run with every number, of several with top-1."""
    names = dict.fromkeys(head for run in runs for head in run.heads)
    if len(runs) > 1:
        rows = tuple(
            (name, *(with_interval(run.heads.get(name, {})) for run in runs)) for name in names
        )
        columns = ("network and head", *(run.label for run in runs))
        return Table("Test top-1 of every head", columns, rows, runs_from=1)
    ((run,), heads) = (runs, runs[0].heads)
    rows = tuple(
        (
            f"{name} *" if name == run.stands_for else name,
            with_interval(row),
            percent(row["top5"]) if "top5" in row else NOTHING,
            f"{row['nll']:.4f}" if "nll" in row else NOTHING,
            percent(row["ece"]) if "ece" in row else NOTHING,
        )
        for name, row in heads.items()
    )
    columns = ("network and head", "top-1", "top-5", "NLL", "ECE")
    return Table("Every head; * is the one that the run stands for", columns, rows)


def different_images(runs: Sequence[ReportedRun]) -> list[Paragraph]:
    """A warning where accuracies are of different images."""
    kinds = {
        (
            str(run.settings.get("detection.test" if run.is_detector else "data.name")),
            run.judged["num_images"],
        )
        for run in runs
        if "num_images" in run.judged
    }
    if len(kinds) < 2:
        return []
    listed = ", ".join(f"{num:,} of {name}" for name, num in sorted(kinds))
    return [
        Paragraph(
            f"These runs were judged on different test images ({listed}): their accuracies cannot"
            " be compared.",
            is_warning=True,
        )
    ]
