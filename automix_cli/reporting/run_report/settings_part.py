"""The settings of the runs, and who set them."""

from __future__ import annotations

from collections.abc import Sequence

from automix_cli.reporting.document.blocks import Block, More, Paragraph, Section, Table
from automix_cli.reporting.run_report.reported import ReportedRun

UNSET = "unset"


def settings_section(runs: Sequence[ReportedRun]) -> Section:
    """What differs between the runs, what somebody set, and everything."""
    keys = list(dict.fromkeys(key for run in runs for key in (*run.origins, *run.settings)))
    chosen = [
        key for key in keys if any(run.origins.get(key, "default") != "default" for run in runs)
    ]
    differing = [key for key in keys if len({value_of(run, key) for run in runs}) > 1]
    blocks: list[Block] = []
    if len(runs) > 1 and differing:
        blocks.append(_table("What differs between the runs", runs, differing))
    elif len(runs) > 1:
        blocks.append(Paragraph("All settings of the runs are the same."))
    if not any(run.origins for run in runs):
        blocks.append(Paragraph("Who set them was not kept: `origins.json` is missing."))
    if len(runs) == 1 and chosen:
        blocks.append(_table("Set by a preset, a file, a variable or a flag", runs, chosen))
    elif chosen:
        table = _table("Set by a preset, a file, a variable or a flag", runs, chosen)
        blocks.append(More(f"The {len(chosen)} settings that are no defaults", (table,)))
    every = _table("Every setting and who set it", runs, keys)
    blocks.append(More(f"All {len(keys)} settings", (every,)))
    return Section("settings", "Settings", tuple(blocks))


def value_of(run: ReportedRun, key: str) -> str:
    """A value as TOML writes it, but for the quotes of text."""
    if key not in run.settings:
        return UNSET
    value = run.settings[key]
    return str(value).lower() if isinstance(value, bool) else str(value)


def _table(caption: str, runs: Sequence[ReportedRun], keys: Sequence[str]) -> Table:
    """One run has a column for the origin; of several, it stands behind the value."""
    if len(runs) == 1:
        rows = tuple(
            (key, value_of(runs[0], key), runs[0].origins.get(key, "unknown")) for key in keys
        )
        return Table(caption, ("setting", "value", "set by"), rows, code=(0, 1), is_text=True)
    rows = tuple((key, *(_with_origin(run, key) for run in runs)) for key in keys)
    columns = ("setting", *(run.label for run in runs))
    return Table(caption, columns, rows, runs_from=1, code=(0,), is_text=True)


def _with_origin(run: ReportedRun, key: str) -> str:
    value, origin = value_of(run, key), run.origins.get(key, "unknown")
    return value if origin == "default" else f"{value} ({origin})"
