"""What a report could show and the run folder does not hold, with the command that makes it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from automix_cli.reporting.document.blocks import Block, Commands, More, Paragraph
from automix_cli.reporting.run_report.reported import ReportedRun

EVALUATION, ROBUSTNESS, MASKS, CORRUPTIONS = "evaluation", "robustness", "masks", "corruptions"
"""Folders of a run in which a report looks."""

_SUITES = {
    "cifar10": "cifar-c",
    "cifar100": "cifar-c",
    "imagenet": "imagenet-c",
    "tiny_imagenet": "tiny-imagenet-c",
}


def missing_parts(runs: Sequence[ReportedRun]) -> list[Block]:
    """Nothing, or a part that lists them for all runs."""
    lines = [(run, *each) for run in runs for each in missing_of(run)]
    if not lines:
        return []
    named = (f"{run.label}: {what}" if len(runs) > 1 else what for run, what, _ in lines)
    commands = dict.fromkeys(command for _, _, command in lines)
    return [
        More(
            f"Not in this report ({len(lines)}), and how to make it",
            (Paragraph("; ".join(named) + "."), Commands(tuple(commands))),
        )
    ]


def missing_of(run: ReportedRun) -> list[tuple[str, str]]:
    """What is missing of one run: in words, and the command that makes it."""
    found: list[tuple[str, str]] = []
    folder = shlex.quote(str(run.folder))
    if run.summary is None:
        again = f"--config {shlex.quote(str(run.folder / 'settings.toml'))}"
        found.append(
            ("the end of the training", f"{run.command} --resume {folder}")
            if run.can_resume
            else ("the training", f"{run.command} {again}")
        )
        if not run.can_resume:
            return found  # there is no network to measure
    if run.is_detector:
        return found  # its training measures all that there is
    if run.evaluation is None:
        place = shlex.quote(str(run.folder / EVALUATION))
        found.append(("reliability and classes", f"automix eval {folder} -o {place}"))
    suite = _SUITES.get(str(run.settings.get("data.name")))
    if not run.corruptions and suite:
        found.append(("corrupted images", f"automix eval {folder} --corruptions {suite}"))
    if run.robustness is None:
        found.append(("attacks and unknown images", f"automix robustness {folder} --quick 500"))
    if run.masks is None:
        found.append(("masks", f"automix visualize-masks {folder}"))
    return found
