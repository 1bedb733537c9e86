"""The curves of the trainings: losses, accuracies, schedules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from automix_cli.reporting.curves_figure import Line, curve_panel
from automix_cli.reporting.document.blocks import Block, Figure, Gallery, Paragraph, Section
from automix_cli.reporting.progress import PRECISIONS
from automix_cli.reporting.run_report.reported import Record, ReportedRun

LOSS = "loss/"
NO_SCHEDULE = ("step", "epoch", "seconds_per_step", "images_per_second")
"""Numbers of training records that are neither losses nor schedules."""

HEADS = ("momentum_one_hot", "momentum_mixed", "classifier_one_hot", "classifier_mixed")


def curves(runs: Sequence[ReportedRun]) -> Section | None:
    """All curves, or None where no run has begun."""
    if not any(run.records for run in runs):
        return None
    names = numeric_names(record for run in runs for record in run.training)
    losses = [name for name in names if name.startswith(LOSS)]
    schedules = [name for name in names if name not in (*losses, *NO_SCHEDULE)]
    blocks: list[Block] = []
    for title, figures in (
        ("Accuracy during the training, of every head that was trained.", accuracies(runs)),
        ("Average precision during the training, on the test images.", precisions(runs)),
        ("Losses: means since the record before.", panels(runs, losses)),
        ("Learning rate, momentum coefficient and what else changes.", panels(runs, schedules)),
    ):
        if figures:
            blocks += [Paragraph(title), Gallery(tuple(figures))]
    return Section("curves", "Curves", tuple(blocks))


def numeric_names(records: Iterable[Record]) -> list[str]:
    """Names of numbers, in the order in which they come up."""
    return list(
        dict.fromkeys(
            name
            for record in records
            for name, value in record.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        )
    )


def line_of(records: Iterable[Record], name: str, label: str, number: int) -> Line | None:
    """The values of one name over the epochs, or None where there are none."""
    points = [
        (float(each["epoch"]), float(each[name])) for each in records if each.get(name) is not None
    ]
    if not points:
        return None
    places, heights = zip(*points, strict=True)
    return Line(label, places, heights, number)


def panels(runs: Sequence[ReportedRun], names: Sequence[str]) -> list[Figure]:
    """A panel for each name of a training record, the runs overlaid."""
    return [
        panel(name, name, [line_of(run.training, name, run.label, n) for n, run in enumerate(runs)])
        for name in names
        if name != "mix_block_learning_rate" or differs(runs, name, "learning_rate")
    ]


def differs(runs: Sequence[ReportedRun], name: str, other: str) -> bool:
    """Whether two numbers of the training records are ever unlike."""
    records = [each for run in runs for each in run.training if name in each]
    return any(each[name] != each.get(other) for each in records)


def panel(
    name: str, title: str, lines: Sequence[Line | None], *, is_percent: bool = False
) -> Figure:
    """A figure of one quantity, with its last values in words."""
    drawn = [line for line in lines if line is not None]
    unit = 100 if is_percent else 1
    last = "; ".join(f"{line.label}: {unit * line.heights[-1]:.4g}" for line in drawn)
    label = f"{title}, %" if is_percent else title
    return Figure(
        name="curve-" + "".join(each if each.isalnum() else "-" for each in name),
        title=title,
        alt=f"{label} over the epochs; at the end {last}",
        draw=lambda background: curve_panel(drawn, is_percent=is_percent, background=background),
    )


def precisions(runs: Sequence[ReportedRun]) -> list[Figure]:
    """Of detectors: a panel for AP, and one for AP50 and AP75 each."""
    lines = {
        name: [
            line_of(run.evaluations("test"), name, run.label, number)
            for number, run in enumerate(runs)
        ]
        for name in ("ap", "ap50", "ap75")
    }
    return [
        panel(name, f"test {PRECISIONS[name]}", drawn, is_percent=True)
        for name, drawn in lines.items()
        if any(drawn)
    ]


def accuracies(runs: Sequence[ReportedRun]) -> list[Figure]:
    """Of one run, its heads in one panel; of several, a panel for each head."""
    figures: list[Figure] = []
    for split in ("test", "validation"):
        lines = {
            (n, head): line_of(run.evaluations(split), f"{head}/top1", run.label, n)
            for n, run in enumerate(runs)
            for head in HEADS
        }
        heads = [head for head in HEADS if any(lines[n, head] for n in range(len(runs)))]
        if not heads:
            continue
        if len(runs) > 1:
            figures += [
                panel(
                    f"{split}-{head}",
                    f"{split} top-1, {head}",
                    [lines[n, head] for n in range(len(runs))],
                    is_percent=True,
                )
                for head in heads
            ]
        else:
            named = [
                line_of(runs[0].evaluations(split), f"{head}/top1", head, number)
                for number, head in enumerate(heads)
            ]
            figures.append(panel(f"{split}-top1", f"{split} top-1", named, is_percent=True))
    return figures
