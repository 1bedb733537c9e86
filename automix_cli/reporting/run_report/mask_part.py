"""The masks of the runs: pictures and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from automix_cli.reporting.curves_figure import legend_label
from automix_cli.reporting.document.blocks import Block, Figure, Gallery, Picture, Section, Table
from automix_cli.reporting.mask_curves_figure import PANELS, curve_figure
from automix_cli.reporting.run_report.reported import NOTHING, Record, ReportedRun
from automix_cli.reporting.tables import percent


def masks(runs: Sequence[ReportedRun]) -> Section | None:
    """Area against ratio, what masks look like in numbers, and pairs; None without masks."""
    methods = {
        _name(run, method): record
        for run in runs
        if run.masks is not None
        for method, record in run.masks["methods"].items()
    }
    progress = tuple(
        Picture(
            name=f"masks-{number}-progress",
            title=f"Masks during the training, {run.label}",
            alt="the masks of the same pairs of test images, from epoch to epoch",
            content=run.mask_progress,
        )
        for number, run in enumerate(runs)
        if run.mask_progress is not None
    )
    if not methods:
        return Section("masks", "Masks", (Gallery(progress),)) if progress else None
    figures = tuple(
        Figure(
            name=f"masks-{key.replace('_', '-')}",
            title=label.capitalize(),
            alt=f"{label} against the ratio of {', '.join(methods)}",
            draw=partial(_curve, methods, key),
        )
        for key, label in PANELS.items()
        if any(_has_curve(record) for record in methods.values())
    )
    pages = tuple(
        Picture(
            name=f"masks-{number}-{page}",
            title=f"Pairs, masks and mixtures, {run.label}",
            alt="pairs of test images with the mask and the mixture at each ratio",
            content=content,
        )
        for number, run in enumerate(runs)
        for page, content in enumerate(run.mask_pages, start=1)
    )
    blocks: list[Block] = [Gallery(figures)] if figures else []
    return Section("masks", "Masks", (*blocks, mask_table(methods), Gallery((*pages, *progress))))


def _name(run: ReportedRun, method: str) -> str:
    return run.label if method == run.method else f"{run.label}: {method}"


def _has_curve(record: Record) -> bool:
    return bool(record["has_masks"] and record["follows_ratio"])


def _curve(methods: Mapping[str, Record], key: str, background: Any) -> Any:
    named = {legend_label(name): record for name, record in methods.items()}
    return curve_figure(named, key, background=background)


def mask_table(methods: Mapping[str, Record]) -> Table:
    """One row a method, as `automix visualize-masks` prints it."""
    rows: list[tuple[str, ...]] = []
    for name, record in methods.items():
        half = min(record["curve"], key=lambda each: abs(each["ratio"] - 0.5), default=None)
        cells = ("no mask", NOTHING, NOTHING, NOTHING)
        if record["has_masks"] and half is not None:
            error = f"{record['area_error']:.3f}" if "area_error" in record else NOTHING
            spread = f"{half['area_mean']:.2f} +- {half['area_std']:.2f}"
            cells = (spread, error, f"{half['entropy']:.3f}", f"{half['total_variation']:.2f}")
        falls = percent(record["fall_back"]["share"]) if "fall_back" in record else NOTHING
        rows.append((name, *cells, falls))
    columns = ("masks", "area at 0.5", "|area - lam|", "entropy, bits", "variation", "falls back")
    return Table("Masks in numbers, at ratio 0.5", columns, tuple(rows))
