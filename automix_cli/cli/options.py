"""Options that several commands share, each written once.

There is a flag for what people type weekly; every other setting is `--set KEY=VALUE`. Values are
checked with all other settings, not here, so that all problems are reported together.
"""
# pyright: strict

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from automix_cli.settings.layering import Overrides


TRAINING = {
    "method": "mix.method",
    "seed": "run.seed",
    "output_dir": "run.output_dir",
    "data_dir": "data.dir",
    "epochs": "train.epochs",
    "batch_size": "train.batch_size",
    "device": "run.device",
    "mixed_precision": "train.mixed_precision",
    "tracker": "train.trackers",
}
"""Settings that the flags of a command that trains stand for."""

TRAINED = {
    "weights": "evaluation.weights",
    "data_set": "data.name",
    "data_dir": "data.dir",
    "batch_size": "evaluation.batch_size",
    "device": "run.device",
}
"""Settings that the flags of a command that works with what is trained stand for."""


def complete_preset(typed: str) -> list[str]:
    """Names of presets that begin with what was typed."""
    from automix_cli import presets

    return [name for name in presets.names() if name.startswith(typed)]


def complete_method(typed: str) -> list[str]:
    """Names of methods that begin with what was typed."""
    from automix_cli.settings.mix import ALPHAS

    return [name for name in ALPHAS if name.startswith(typed)]


def with_hyphens(name: str) -> str:
    """Accept `--mixed_precision`, which people used to Hugging Face write."""
    return name.replace("_", "-")


Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        "-p",
        help="Start from a preset.",
        autocompletion=complete_preset,
        metavar="NAME",
    ),
]
Method = Annotated[
    str | None,
    typer.Option(
        "--method",
        "-m",
        help="How to mix: automix (default), vanilla, mixup, cutmix, ... (`automix settings"
        " mix.method`).",
        autocompletion=complete_method,
        metavar="NAME",
    ),
]
Config = Annotated[
    list[Path] | None,
    typer.Option(
        "--config",
        "-c",
        help="Read a TOML file of settings; repeatable, later files win.",
        metavar="FILE",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Set anything that `automix settings` lists, such as optimizer.lr=0.05; repeatable.",
        metavar="KEY=VALUE",
    ),
]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random.")]
OutputDir = Annotated[
    Path | None,
    typer.Option("--output-dir", "-o", help="Run folder; must be new or empty.", metavar="FOLDER"),
]
ReportDir = Annotated[
    Path | None,
    typer.Option(
        "--output-dir", "-o", help="Write numbers and figures into this folder.", metavar="FOLDER"
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the data sets, or of your images (default: data).", metavar="FOLDER"
    ),
]
Device = Annotated[str | None, typer.Option(help="Where to compute.", metavar="auto|cpu|cuda|mps")]
MixedPrecision = Annotated[
    str | None, typer.Option(help="Number format of the forward passes.", metavar="no|bf16|fp16")
]
Epochs = Annotated[int | None, typer.Option(help="Passes over the training images.")]
BatchSize = Annotated[
    int | None, typer.Option("--batch-size", "-b", help="Images at a time, over all processes.")
]
Tracker = Annotated[
    list[str] | None,
    typer.Option(
        help="Show the run in an experiment tracker too; repeatable.",
        metavar="tensorboard|wandb|mlflow",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Build everything, take two steps, say what a run would cost, write nothing.",
    ),
]
PrintConfig = Annotated[
    bool, typer.Option("--print-config", help="Show every setting and who set it, then stop.")
]
Json = Annotated[bool, typer.Option("--json", help="Write the result to stdout as JSON.")]
Run = Annotated[
    Path | None,
    typer.Argument(help="Run folder (default: the newest finished run).", metavar="RUN"),
]
Checkpoint = Annotated[
    Path | None, typer.Option(help="Take this file instead of a run.", metavar="FILE")
]
Checkpoints = Annotated[
    list[Path] | None,
    typer.Option(
        help="A checkpoint such as `ckpt.pt`, or a run folder; repeatable, to compare.",
        metavar="FILE",
    ),
]
DrawSeed = Annotated[int, typer.Option(help="Seed of everything random.", min=0)]
Weights = Annotated[
    str | None, typer.Option(help="Network to evaluate.", metavar="momentum|classifier")
]
FrostDir = Annotated[
    Path | None,
    typer.Option(help="Folder of the five photographs that frost needs.", metavar="FOLDER"),
]
PresetName = Annotated[
    str, typer.Argument(help="A preset.", metavar="NAME", autocompletion=complete_preset)
]


def overrides_of(
    keys: Mapping[str, str],
    sets: list[str] | None,
    *,
    preset: str | None = None,
    config: list[Path] | None = None,
    **values: object,
) -> "Overrides":
    """What a command line changes about the settings.

    Args:
        keys: From the names of flags to the settings they stand for: `TRAINING` or `TRAINED`.
        sets: `KEY=VALUE` texts of --set.
        preset: Name of a preset.
        config: TOML files, later ones win.
        values: By the names of flags; None for a flag that was not given.
    """
    from automix_cli.settings.layering import Flag, Overrides

    flags = (
        Flag(f"--{with_hyphens(name)}", keys[name], value)
        for name, value in values.items()
        if value is not None
    )
    return Overrides(
        preset=preset, configs=tuple(config or ()), flags=tuple(flags), sets=tuple(sets or ())
    )


def terminal_width() -> int:
    """Characters that a line of text may have."""
    return max(40, min(100, shutil.get_terminal_size().columns))
