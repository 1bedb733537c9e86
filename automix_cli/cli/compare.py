"""`automix compare`: methods and seeds on one preset, or runs that are there."""
# pyright: strict

from pathlib import Path
from typing import Annotated

import typer

from automix_cli.cli.options import (
    TRAINING,
    BatchSize,
    Config,
    DataDir,
    Device,
    Epochs,
    Json,
    OutputDir,
    Preset,
    Set,
    overrides_of,
)

Runs = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Tabulate these run folders, or folders of them, and train nothing.",
        metavar="[RUN]...",
        show_default=False,
    ),
]
Methods = Annotated[
    str | None,
    typer.Option(
        help="Methods to compare (default: vanilla,mixup,cutmix,automix; with --variant: automix;"
        " none: the variants alone).",
        metavar="NAME,...",
    ),
]
Seeds = Annotated[
    str | None, typer.Option(help="Seeds to repeat with (default: 0,1,2).", metavar="N,...")
]
Variants = Annotated[
    list[str] | None,
    typer.Option(
        help="One more row: the preset with other settings, under a name; repeatable. {seed} in"
        " them is the run's seed.",
        metavar="'NAME: KEY=VALUE,...'",
    ),
]
Launcher = Annotated[
    str | None,
    typer.Option(
        help="Start each training with this command instead of Python, such as 'torchrun"
        " --nproc_per_node 2'.",
        metavar="COMMAND",
    ),
]


def compare(  # noqa: PLR0913 - Typer reads the flags from the signature
    *,
    runs: Runs = None,
    preset: Preset = None,
    methods: Methods = None,
    seeds: Seeds = None,
    variant: Variants = None,
    config: Config = None,
    sets: Set = None,
    output_dir: OutputDir = None,
    data_dir: DataDir = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    device: Device = None,
    launcher: Launcher = None,
    as_json: Json = False,
) -> None:
    """Compare methods over seeds on one preset: accuracy with intervals, and cost.

    Each run is one of `automix train` (or `detect`), in a process of its own, in --output-dir
    (default: runs/compare/PRESET). The same command given again skips what is
    finished and goes on with what is not.

    Examples:
    $ automix compare -p digits-tiny
    $ automix compare -p cifar100-r18 --methods vanilla,cutmix,automix --seeds 0,1,2
    $ automix compare -p digits-tiny --variant noarea:mix.mask_area_weight=0
    $ automix compare -p cub200-r18 --methods none --variant "old: model.init=old-seed{seed}"
    $ automix compare runs/compare/digits-tiny
    """
    from automix_cli.commands import compare as command
    from automix_cli.commands.requests.compare import CompareRequest

    overrides = overrides_of(
        TRAINING,
        sets,
        preset=preset,
        config=config,
        data_dir=data_dir,
        epochs=epochs,
        batch_size=batch_size,
        device=device,
    )
    request = CompareRequest(
        runs=tuple(runs or ()),
        methods=methods,
        seeds=seeds,
        variants=tuple(variant or ()),
        folder=output_dir,
        launcher=launcher,
        as_json=as_json,
    )
    command.run(overrides, request)
