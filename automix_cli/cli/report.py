"""`automix report`."""
# pyright: strict

from pathlib import Path
from typing import Annotated

import typer

Runs = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Run folders, or folders of them (default: the newest finished run).",
        metavar="[RUN]...",
        show_default=False,
    ),
]
Include = Annotated[
    list[Path] | None,
    typer.Option(
        help="A JSON file that `eval`, `robustness` or `visualize-masks` wrote elsewhere about one"
        " of the runs; repeatable.",
        metavar="FILE",
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format", help="What to write (default: by the ending of -o).", metavar="html|markdown"
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="File (default: report.html in the run's folder, of several runs in this one).",
        metavar="FILE",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is no report.")]


def report(
    *,
    runs: Runs = None,
    include: Include = None,
    file_format: Format = None,
    output: Output = None,
    force: Force = False,
) -> None:
    """Write one page about a run, or about several side by side.

    The page needs no network and no program but a browser. It shows what the run folder holds, and
    says what else could be measured and how.

    Examples:
    $ automix report
    $ automix report runs/mine runs/theirs -o both.html
    $ automix report runs/compare/digits-tiny -o tiny.md
    $ automix report runs/mine --include elsewhere/robustness.json
    """
    from automix_cli.commands import report as command
    from automix_cli.commands.requests.report import ReportRequest

    command.run(ReportRequest(tuple(runs or ()), tuple(include or ()), file_format, output, force))
