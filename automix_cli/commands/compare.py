"""`automix compare`: train methods x seeds on one preset, or take existing runs, and tabulate them.

Torch is not imported here: every training is a process of its own.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from automix_cli import presets
from automix_cli.commands.comparing.cells import Cell, planned_cells
from automix_cli.commands.comparing.children import Children, sole_owner
from automix_cli.commands.comparing.runs import (
    FinishedRun,
    found_runs,
    grouped,
    notes_on,
    read_run,
    refuse_other_data,
)
from automix_cli.commands.comparing.training import (
    INTERRUPTED,
    Failure,
    carry_out,
    failed,
    states_of,
)
from automix_cli.commands.requests.compare import CompareRequest
from automix_cli.commands.train import with_default_preset
from automix_cli.errors import Interrupted, SettingsError
from automix_cli.reporting import records
from automix_cli.reporting.comparison import Comparison, compare_rows, comparison_record
from automix_cli.reporting.comparison_figure import comparison_figure
from automix_cli.reporting.comparison_tables import (
    comparison_csv,
    comparison_markdown,
    comparison_tables,
)
from automix_cli.reporting.evaluation_files import report_folder
from automix_cli.reporting.figures import save_figure
from automix_cli.reporting.progress import say
from automix_cli.reporting.tables import print_tables
from automix_cli.settings.layering import Overrides

STEM = "compare"
BASELINE = "vanilla"


def run(overrides: Overrides, request: CompareRequest) -> None:
    """Train what is missing and compare, or compare the runs that are named.

    Raises:
        AutoMixError: anything a person can mend; the exit code says what kind.
    """
    if request.runs:
        tabulate(overrides, request)
        return
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise SettingsError(
            "`automix compare` was started in several processes; it starts its own",
            hint='start it alone: `automix compare --launcher "torchrun --nproc_per_node 2" ...`',
        )
    overrides = with_default_preset(overrides)
    if overrides.preset is not None:
        presets.read(overrides.preset)  # said once, not for each method
    folder = request.folder or Path("runs") / STEM / (overrides.preset or "custom")
    cells = planned_cells(overrides, request, folder)
    with sole_owner(folder) as lock:
        states = states_of(cells)
        failures, received = carry_out(cells, states, Children(lock, request.launcher))
        finished = [cell for cell in cells if (cell.folder / records.SUMMARY).is_file()]
        if finished:
            missing = {
                cell.name: failures.get(cell.name, Failure(0, INTERRUPTED)).said
                for cell in cells
                if cell not in finished
            }
            comparison = comparison_of_cells(finished, missing)
            write(comparison, folder)
            show(comparison, folder, as_json=request.as_json)
    if received:
        raise Interrupted(
            f"stopped by signal {received} with {len(finished)} of {len(cells)} runs finished",
            exit_code=128 + received,
            hint="the same command goes on from here",
        )
    if failures:
        raise failed(failures, len(cells))


def tabulate(overrides: Overrides, request: CompareRequest) -> None:
    """Compare runs that are there, whoever trained them.

    Raises:
        SettingsError: options that only make sense for new runs were given too.
    """
    for_new = {
        "--preset": overrides.preset,
        "--config": overrides.configs,
        "--set": overrides.sets,
        **{flag.name: flag for flag in overrides.flags},
        "--methods": request.methods,
        "--seeds": request.seeds,
        "--variant": request.variants,
        "--launcher": request.launcher,
    }
    given = [name for name, value in for_new.items() if value]
    if given:
        raise SettingsError(
            f"existing runs are named, but `{given[0]}` is for new ones",
            hint=f"leave out `{given[0]}`, or the runs",
        )
    runs = found_runs(request.runs)
    refuse_other_data(runs)
    groups = grouped(runs)
    comparison = comparison_of(groups, notes=notes_on(groups, say_settings=True))
    if request.folder is not None:
        write(comparison, report_folder(request.folder))
    show(comparison, request.folder, as_json=request.as_json)


def comparison_of_cells(finished: Sequence[Cell], missing: Mapping[str, str]) -> Comparison:
    """Compare the cells that are finished, in the order of the command line."""
    groups: dict[str, list[FinishedRun]] = {}
    for cell in finished:
        groups.setdefault(cell.arm.name, []).append(read_run(cell.folder, cell.name))
    notes = [
        f"{arm.name}: {', '.join(arm.sets)}"
        for arm in dict.fromkeys(cell.arm for cell in finished)
        if arm.sets
    ]
    notes += notes_on(groups, say_settings=False)
    return comparison_of(groups, notes=notes, missing=missing)


def comparison_of(
    groups: Mapping[str, Sequence[FinishedRun]],
    *,
    notes: Sequence[str],
    missing: Mapping[str, str] | None = None,
) -> Comparison:
    """Compare runs by group; the baseline is the one group that mixes nothing, if there is one."""
    runs = [run for group in groups.values() for run in group]
    unmixed = [name for name, group in groups.items() if group[0].settings.mix.method == BASELINE]
    baseline = unmixed[0] if len(unmixed) == 1 else None
    if BASELINE in unmixed or (BASELINE in groups and runs[0].settings.data.name == "coco"):
        baseline = BASELINE  # of detectors, the backbone of a plain classifier
    judged = {str(run.summary["stands_for"]) for run in runs}
    named = {run.settings.run.preset for run in runs}
    rows = compare_rows(
        {
            name: (str(group[0].summary["method"]), [run.result for run in group])
            for name, group in groups.items()
        },
        baseline,
    )
    subject: dict[str, Any] = {
        "preset": named.pop() if len(named) == 1 else None,
        "dataset": runs[0].settings.data.name,
        "num_images": runs[0].num_images,
        "stands_for": judged.pop() if len(judged) == 1 else "the network that each run stands for",
        "seeds": sorted({run.result.seed for run in runs}),
    }
    return Comparison(subject, rows, baseline, dict(missing or {}), tuple(notes))


def write(comparison: Comparison, folder: Path) -> None:
    """Write `compare.json`, `.csv`, `.md`, `.png` and `.svg`."""
    records.write_json(folder / f"{STEM}.json", comparison_record(comparison))
    records.write_text(folder / f"{STEM}.csv", comparison_csv(comparison))
    records.write_text(folder / f"{STEM}.md", comparison_markdown(comparison))
    figure = comparison_figure(comparison)
    if figure is not None:
        for path in save_figure(figure, folder / f".{STEM}.partial"):
            path.replace(folder / f"{STEM}{path.suffix}")


def show(comparison: Comparison, folder: Path | None, *, as_json: bool) -> None:
    """Tables for people, or JSON for programs."""
    if as_json:
        content = {
            **comparison_record(comparison),
            "folder": None if folder is None else str(folder),
        }
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
    else:
        print_tables(*comparison_tables(comparison))
    for name, why in comparison.missing.items():
        say(f"missing: {name}: {why.partition(chr(10))[0]}")
    for note in comparison.notes:
        say(f"note: {note}")
    if folder is not None:
        say(f"{STEM}.json, .csv, .md, .png and .svg are in {folder}")
