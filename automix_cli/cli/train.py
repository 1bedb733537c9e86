"""`automix train`."""
# pyright: strict

from typing import Annotated

import typer

from automix_cli.cli.options import (
    TRAINING,
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
    Tracker,
    overrides_of,
)

Resume = Annotated[
    str | None,
    typer.Option(
        help="Go on with a run: given alone, the newest; `auto`, the one in --output-dir or the"
        " newest, or a new one if there is none; else this run folder.",
        metavar="[auto|PATH]",
    ),
]


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
    tracker: Tracker = None,
    resume: Resume = None,
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
    $ automix train --preset digits-tiny --tracker tensorboard
    $ automix train --resume
    """
    from automix_cli.commands import train as command
    from automix_cli.commands.requests.train import TrainRequest

    overrides = overrides_of(
        TRAINING,
        sets,
        preset=preset,
        config=config,
        method=method,
        seed=seed,
        output_dir=output_dir,
        data_dir=data_dir,
        epochs=epochs,
        batch_size=batch_size,
        device=device,
        mixed_precision=mixed_precision,
        tracker=",".join(tracker) if tracker else None,
    )
    command.run(overrides, TrainRequest(resume, dry_run, print_config, as_json))
