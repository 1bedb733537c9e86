"""Options that several commands share, each written once.

There is a flag for what people type weekly; every other setting is `--set KEY=VALUE`. Values are
checked with all other settings, not here, so that all problems are reported together.
"""
# pyright: strict

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from automix_cli.settings.layering import Overrides


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
Weights = Annotated[
    str | None, typer.Option(help="Network to evaluate.", metavar="momentum|classifier")
]
FrostDir = Annotated[
    Path | None,
    typer.Option(help="Folder of the five photographs that frost needs.", metavar="FOLDER"),
]
Corruptions = Annotated[
    str | None,
    typer.Option(
        "--corruptions",
        help="Measure on corrupted test images too: published ones in the data folder, for CIFAR"
        " else generated ones.",
        metavar="cifar-c|imagenet-c|tiny-imagenet-c",
    ),
]
CorruptionsDir = Annotated[
    Path | None, typer.Option(help="Folder of the corrupted images.", metavar="FOLDER")
]
CorruptionsLimit = Annotated[
    int | None,
    typer.Option(help="Only so many images of each corruption and severity.", metavar="N"),
]
Baseline = Annotated[
    Path | None,
    typer.Option(
        help="Relate corruption errors to those of another evaluation (mCE); on imagenet-c also"
        " `alexnet`.",
        metavar="JSON",
    ),
]
VerifyCifarC = Annotated[
    Path | None,
    typer.Option(
        "--verify-cifar-c",
        help="First compare a folder's files with the published ones, as `automix corruptions"
        " verify` does.",
        metavar="FOLDER",
    ),
]
PresetName = Annotated[
    str, typer.Argument(help="A preset.", metavar="NAME", autocompletion=complete_preset)
]


def overrides_of_trained(
    *,
    weights: str | None,
    data_dir: Path | None,
    batch_size: int | None,
    device: str | None,
    sets: list[str] | None,
) -> "Overrides":
    """What the flags of a command that judges a trained network change about its settings."""
    from automix_cli.settings.layering import Flag, Overrides

    flags = (
        Flag("--weights", "evaluation.weights", weights),
        Flag("--data-dir", "data.dir", data_dir),
        Flag("--batch-size", "evaluation.batch_size", batch_size),
        Flag("--device", "run.device", device),
    )
    return Overrides(
        flags=tuple(flag for flag in flags if flag.value is not None), sets=tuple(sets or ())
    )


def terminal_width() -> int:
    """Characters that a line of text may have."""
    return max(40, min(100, shutil.get_terminal_size().columns))
