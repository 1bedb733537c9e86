"""The command line: flags become overrides, then one call per command. No logic.

Commands are imported inside their functions, so that `--help` and completion never wait for torch.
Options that several commands share are in `options`.

Touch points, to add a command: a module in `commands/` with `run(overrides, request)`, its request
in `commands/requests/`, its function in a module of its own here, and a line below.
"""

from typing import Annotated

import typer

from automix_cli import __version__
from automix_cli.cli.bench import bench
from automix_cli.cli.boundary import (
    EXIT_CODES,
    ErrorBoundary,
    MasksCommand,
    TrainCommand,
    close_output,
)
from automix_cli.cli.compare import compare
from automix_cli.cli.corruptions import corruptions_app
from automix_cli.cli.data import data_app
from automix_cli.cli.detect import detect
from automix_cli.cli.evaluate import evaluate
from automix_cli.cli.export import export
from automix_cli.cli.import_openmixup import import_openmixup
from automix_cli.cli.inspect import inspect
from automix_cli.cli.options import with_hyphens
from automix_cli.cli.presets import presets_app
from automix_cli.cli.report import report
from automix_cli.cli.robustness import robustness
from automix_cli.cli.settings import list_settings
from automix_cli.cli.train import train
from automix_cli.cli.visualize_masks import visualize_masks

app = typer.Typer(
    name="automix",
    cls=ErrorBoundary,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog=EXIT_CODES,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": with_hyphens,
    },
)


def _say_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"automix {__version__}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_say_version, is_eager=True),
    ] = False,
) -> None:
    """Train stronger image classifiers with learned mixup (AutoMix), and measure them."""


app.command("train", cls=TrainCommand)(train)
app.command("eval")(evaluate)
app.command("detect", cls=TrainCommand)(detect)
app.command("robustness")(robustness)
app.command("visualize-masks", cls=MasksCommand)(visualize_masks)
app.command("inspect")(inspect)
app.command("export")(export)
app.command("import-openmixup")(import_openmixup)
app.command("compare")(compare)
app.command("report")(report)
app.command("bench")(bench)
app.command("settings")(list_settings)
app.add_typer(presets_app, name="presets")
app.add_typer(corruptions_app, name="corruptions")
app.add_typer(data_app, name="data")


def main() -> None:
    """Entry point of `automix` and of `python -m automix_cli`."""
    try:
        app()
    finally:
        close_output()
