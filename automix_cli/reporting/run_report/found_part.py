"""What detectors found: numbers of an evaluation, and pages of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from automix_cli.reporting.document.blocks import Block, Gallery, Picture, Section, Table
from automix_cli.reporting.progress import PRECISIONS, in_percent
from automix_cli.reporting.run_report.reported import DETECTOR, ReportedRun


def found(runs: Sequence[ReportedRun]) -> Section | None:
    """What `automix eval` measured of detectors, and the boxes; None where there is neither."""
    rows = tuple(
        (
            run.label,
            Path(str(run.precision["annotations"])).name,
            f"{run.precision[DETECTOR]['num_images']:,}",
            *(in_percent(run.precision[DETECTOR][name]) for name in PRECISIONS),
        )
        for run in runs
        if run.precision is not None
    )
    columns = ("run", "annotations", "images", *PRECISIONS.values())
    pages = tuple(
        Picture(
            name=f"boxes-{number}",
            title=f"Test images with boxes, {run.label}",
            alt="test images with the boxes that are there, dashed, and those found, solid",
            content=run.boxes,
        )
        for number, run in enumerate(runs)
        if run.boxes is not None
    )
    blocks: list[Block] = []
    if rows:
        blocks.append(Table("Measured by `automix eval`, in %", columns, rows))
    if pages:
        blocks.append(Gallery(pages))
    return Section("found", "What was found", tuple(blocks)) if blocks else None
