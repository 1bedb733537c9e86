"""What the runs cost, where they ran, and how to repeat them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from automix_cli.reporting.document.blocks import (
    Block,
    Commands,
    Gallery,
    More,
    Paragraph,
    Section,
    Table,
)
from automix_cli.reporting.progress import duration
from automix_cli.reporting.run_report.curves import line_of, panel
from automix_cli.reporting.run_report.missing import EVALUATION
from automix_cli.reporting.run_report.reported import NOTHING, Record, ReportedRun
from automix_cli.reporting.training_cost import training_cost


def cost(runs: Sequence[ReportedRun]) -> Section:
    """Time, speed and memory."""
    rows: dict[str, list[str]] = {}
    for run in runs:
        for name, cell in _costs(run).items():
            rows.setdefault(name, []).append(cell)
    lines = tuple((name, *cells) for name, cells in rows.items())
    blocks: list[Block] = [
        Table("Cost", ("", *(run.label for run in runs)), lines, runs_from=1),
        Paragraph(
            "Training alone leaves evaluations and saving out. Seconds are those of a machine that"
            " may have done other work too: trust ratios of runs made side by side."
        ),
    ]
    speeds = [
        line_of(run.training, "images_per_second", run.label, number)
        for number, run in enumerate(runs)
    ]
    if any(speeds):
        blocks.append(Gallery((panel("images_per_second", "images a second", speeds),)))
    return Section("cost", "Cost", tuple(blocks))


def _costs(run: ReportedRun) -> dict[str, str]:
    summary, training = run.summary or {}, training_cost(run.training)
    seconds = summary.get("seconds")
    peak = summary.get("peak_memory_bytes")
    return {
        "time in all": NOTHING if seconds is None else duration(seconds),
        "training alone": NOTHING if training is None else duration(training.seconds),
        "a step of training": NOTHING
        if training is None
        else f"{1000 * training.seconds / training.steps:,.1f} ms",
        "images a second": NOTHING if training is None else f"{training.images_per_second:,.0f}",
        "peak memory": NOTHING if peak is None else f"{peak / 2**20:,.0f} MiB",
        "device": str(summary.get("device", _last(run).get("device", NOTHING))),
        "processes": str(summary.get("num_processes", _last(run).get("num_processes", NOTHING))),
    }


def _last(run: ReportedRun) -> Record:
    return run.sessions[-1] if run.sessions else {}


def environment(runs: Sequence[ReportedRun]) -> Section | None:
    """Machine and versions of each run's last session; None where that was not kept."""
    if not any(run.sessions for run in runs):
        return None
    facts = [_facts(_last(run)) for run in runs]
    names = list(dict.fromkeys(name for each in facts for name in each))
    rows = tuple(
        (_marked(name, facts), *(each.get(name, NOTHING) for each in facts)) for name in names
    )
    caption = "Machine and versions" + ("; * differs between the runs" if len(runs) > 1 else "")
    table = Table(caption, ("", *(run.label for run in runs)), rows, runs_from=1, is_text=True)
    return Section("environment", "Environment", (table,))


def _facts(session: Record) -> dict[str, str]:
    git = session.get("git")
    commit = NOTHING
    if git:
        commit = git["commit"] + (" with changes" if git["has_changes"] else "")
    named = ("started", "platform", "processor", "cores", "device", "num_processes")
    facts = {name: str(session[name]) for name in named if name in session}
    return {**facts, "git commit": commit, **session.get("software", {})} if session else {}


def _marked(name: str, facts: Sequence[dict[str, str]]) -> str:
    values = {each.get(name, NOTHING) for each in facts}
    return f"{name} *" if len(values) > 1 and name != "started" else name


def commands(runs: Sequence[ReportedRun]) -> Section:
    """How the runs were made, and how to make them again."""
    blocks: list[Block] = []
    for run in runs:
        made = tuple(typed(session) for session in run.sessions if session.get("command"))
        again = (f"{run.command} --config {shlex.quote(str(run.folder / 'settings.toml'))}",)
        blocks.append(Paragraph(f"{run.label}: trained again, with the same settings, by"))
        blocks.append(Commands((*again, *measurements(run))))
        if made:
            summary = f"How {run.label} was started" + (f", {len(made)} times" * (len(made) > 1))
            blocks.append(More(summary, (Commands(made),)))
    folders = " ".join(shlex.quote(str(run.folder)) for run in runs)
    blocks += [Paragraph("This report:"), Commands((f"automix report {folders}",))]
    return Section("commands", "Commands", tuple(blocks))


def typed(session: Record) -> str:
    """A session's command line as one would type it."""
    program, *arguments = map(str, session["command"])
    start = ["python", "-m", "automix_cli"] if program == "__main__.py" else [program]
    return shlex.join([*start, *arguments])


def measurements(run: ReportedRun) -> tuple[str, ...]:
    """The commands behind the measurements that the report shows."""
    folder = shlex.quote(str(run.folder))
    lines: list[str] = []
    if run.evaluation is not None:
        mixed = " --mixed" * any("mixed" in row for row in run.evaluation["heads"].values())
        place = shlex.quote(str(run.folder / EVALUATION))
        lines.append(f"automix eval {folder}{mixed} -o {place}")
    if run.precision is not None:
        place = shlex.quote(str(run.folder / EVALUATION))
        lines.append(f"automix eval {folder} -o {place}")
    lines += [
        f"automix eval {folder} --corruptions {record['suite']}"
        for record in run.corruptions.values()
    ]
    if run.robustness is not None:
        quick = f" --quick {run.robustness['num_images']}" * bool(run.robustness["quick"])
        lines.append(f"automix robustness {folder}{quick} --seed {run.robustness['seed']}")
    if run.masks is not None:
        lines.append(f"automix visualize-masks {folder} --seed {run.masks['seed']}")
    return tuple(lines)
