"""`automix report`: what the folders of some runs hold, as one page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from automix_cli import __version__
from automix_cli.commands.requests.report import ReportRequest
from automix_cli.commands.run_report.runs import found_folders, read_runs
from automix_cli.errors import SettingsError
from automix_cli.reporting.document.files import is_a_report, write_html, write_markdown
from automix_cli.reporting.progress import say
from automix_cli.reporting.run_report.whole import report_on

ENDINGS = {"html": ".html", "markdown": ".md"}
WRITERS = {"html": write_html, "markdown": write_markdown}


def run(request: ReportRequest) -> None:
    """Read the runs and write the report.

    Raises:
        AutoMixError: anything a person can mend; the exit code says what kind.
    """
    file_format = chosen_format(request)
    folders = found_folders(request.runs)
    target = request.output or default_output(folders, file_format)
    refuse_foreign(target, force=request.force)
    runs = read_runs(folders, request.include)
    document = report_on(runs, version=__version__, moment=datetime.now(UTC))
    say(f"wrote {WRITERS[file_format](document, target)}")


def chosen_format(request: ReportRequest) -> str:
    """What to write: as asked for, or by the ending of the file, or HTML.

    Raises:
        SettingsError: there is no such format.
    """
    if request.format is None:
        ending = "" if request.output is None else request.output.suffix.lower()
        return "markdown" if ending in (".md", ".markdown") else "html"
    if request.format not in ENDINGS:
        raise SettingsError(
            f"`--format` must be one of {', '.join(ENDINGS)}, got `{request.format}`"
        )
    return request.format


def default_output(folders: Sequence[Path], file_format: str) -> Path:
    """In the folder of the one run; of several, in the working folder."""
    name = f"report{ENDINGS[file_format]}"
    return folders[0] / name if len(folders) == 1 else Path(name)


def refuse_foreign(target: Path, *, force: bool) -> None:
    """A report takes the place of a report, and of nothing else.

    Raises:
        SettingsError: `target` is something else.
    """
    if target.is_dir():
        raise SettingsError(
            f"`{target}` is a folder", hint=f"name a file: `-o {target / 'report.html'}`"
        )
    if target.exists() and not force and not is_a_report(target):
        raise SettingsError(
            f"`{target}` exists and is no report of ours",
            hint="give `--force` to replace it, or another `-o FILE`",
        )
