"""All parts of a report in their order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from automix_cli.reporting.document.blocks import Document
from automix_cli.reporting.run_report.circumstances import commands, cost, environment
from automix_cli.reporting.run_report.curves import curves
from automix_cli.reporting.run_report.found_part import found
from automix_cli.reporting.run_report.mask_part import masks
from automix_cli.reporting.run_report.overview import overview
from automix_cli.reporting.run_report.quality import calibration, corruptions
from automix_cli.reporting.run_report.reported import ReportedRun
from automix_cli.reporting.run_report.resistance import robustness
from automix_cli.reporting.run_report.settings_part import settings_section

PARTS = (
    overview,
    curves,
    found,
    calibration,
    corruptions,
    robustness,
    masks,
    cost,
    settings_section,
    environment,
    commands,
)


def report_on(runs: Sequence[ReportedRun], *, version: str, moment: datetime) -> Document:
    """Say everything that the folders of some runs hold.

    Args:
        runs: At least one, with labels of their own.
        version: Of this program.
        moment: When the report is written.
    """
    sections = [part(runs) for part in PARTS]
    named = ", ".join(run.label for run in runs) if len(runs) < 4 else f"{len(runs)} runs"
    return Document(
        title=f"Report on {named}",
        subtitle=f"Written by automix {version} on {moment:%Y-%m-%d at %H:%M} UTC",
        sections=tuple(section for section in sections if section is not None),
    )
