"""The command line: flags become overrides, then one call per command. No logic.

Commands are imported inside their functions, so that `--help` and completion never wait for torch.
Options that several commands share are in `options`.

Touch points, to add a command: a module in `commands/` with `run(overrides, request)`, its request
in `commands/requests.py`, and a function here.
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
from automix_cli.cli.inspect import inspect
from automix_cli.cli.options import (
    BatchSize,
    Config,
    DataDir,
    Device,
    DryRun,
    Epochs,
    Json,
    Method,
    MixedPrecision,
    OutputDir,
    Preset,
    PrintConfig,
    Seed,
    Set,
    terminal_width,
    with_hyphens,
)
from automix_cli.cli.presets import presets_app
from automix_cli.cli.robustness import robustness
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
app.add_typer(presets_app, name="presets")
app.command("robustness")(robustness)
app.add_typer(corruptions_app, name="corruptions")
app.add_typer(data_app, name="data")


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


@app.command(cls=TrainCommand)
def train(  # noqa: PLR0913 - Typer reads the flags from the signature
    *,
    preset: Preset = None,
    method: Method = None,
    config: Config = None,
    sets: Set = None,
    seed: Seed = None,
    output_dir: OutputDir = None,
    data_dir: DataDir = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    device: Device = None,
    mixed_precision: MixedPrecision = None,
    resume: Annotated[
        str | None,
        typer.Option(
            help="Go on with a run: given alone, the newest; `auto`, the one in --output-dir or the"
            " newest, or a new one if there is none; else this run folder.",
            metavar="[auto|PATH]",
        ),
    ] = None,
    dry_run: DryRun = False,
    print_config: PrintConfig = False,
    as_json: Json = False,
) -> None:
    """Train a classifier with AutoMix or a rival, and leave a run folder behind.

    Flags and --set beat AUTOMIX_* variables, those beat --config, that beats
    --preset, and that beats the defaults.

    Examples:
    $ automix train --preset digits-tiny
    $ automix train -p cifar100-r18 --data-dir ~/data --epochs 400
    $ automix train -p cifar100-r18 --data-dir ~/data --method cutmix
    $ automix train --config mine.toml --set optimizer.lr=0.05 --print-config
    $ automix train --resume
    """
    from automix_cli.commands import train as command
    from automix_cli.commands.requests import TrainRequest
    from automix_cli.settings.layering import Flag, Overrides

    flags = (
        Flag("--method", "mix.method", method),
        Flag("--seed", "run.seed", seed),
        Flag("--output-dir", "run.output_dir", output_dir),
        Flag("--data-dir", "data.dir", data_dir),
        Flag("--epochs", "train.epochs", epochs),
        Flag("--batch-size", "train.batch_size", batch_size),
        Flag("--device", "run.device", device),
        Flag("--mixed-precision", "train.mixed_precision", mixed_precision),
    )
    overrides = Overrides(
        preset=preset,
        configs=tuple(config or ()),
        flags=tuple(flag for flag in flags if flag.value is not None),
        sets=tuple(sets or ()),
    )
    command.run(overrides, TrainRequest(resume, dry_run, print_config, as_json))


app.command("eval")(evaluate)
app.command("detect", cls=TrainCommand)(detect)
app.command("bench")(bench)
app.command("export")(export)
app.command("inspect")(inspect)
app.command("compare")(compare)
app.command("visualize-masks", cls=MasksCommand)(visualize_masks)


@app.command("settings")
def list_settings(
    selection: Annotated[
        str | None, typer.Argument(help="A section or a key.", metavar="SECTION|KEY")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """List every setting with its range, default and meaning.

    Examples:
    $ automix settings
    $ automix settings mix
    $ automix settings optimizer.min_lr --json
    """
    from automix_cli.commands import settings as command

    typer.echo(command.run(selection, as_json=as_json, width=terminal_width()))


def main() -> None:
    """Entry point of `automix` and of `python -m automix_cli`."""
    try:
        app()
    finally:
        close_output()
