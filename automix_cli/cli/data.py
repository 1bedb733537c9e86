"""`automix data ...`, the group of commands about images."""
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
    Json,
    Method,
    Preset,
    Set,
    overrides_of,
)

data_app = typer.Typer(
    no_args_is_help=True,
    help="Check the images that a training would use, and measure how fast they come.",
)


@data_app.command("check")
def check_data(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of your images.", metavar="FOLDER")
    ] = None,
    *,
    name: Annotated[
        str | None,
        typer.Option(help="A data set by name; FOLDER is then what --data-dir is.", metavar="NAME"),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Table of path,label[,split].", metavar="FILE")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Threads (default: one for each core).", min=1)
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 3 if anything is found.")] = (
        False
    ),
    as_json: Json = False,
) -> None:
    """Look into every image: counts, sizes, broken files, duplicates between train and test.

    Examples:
    $ automix data check ~/birds
    $ automix data check --csv birds.csv --strict
    $ automix data check ~/data --name cub200 --json
    """
    from automix_cli.commands import data_check as command
    from automix_cli.commands.requests.data import DataCheckRequest

    command.run(DataCheckRequest(folder, name, csv, workers, strict, as_json))


@data_app.command("voc-to-coco")
def voc_to_coco(
    folder: Annotated[
        Path, typer.Argument(help="Folder of `Annotations` and `JPEGImages`.", metavar="FOLDER")
    ],
    *,
    test_share: Annotated[
        float,
        typer.Option(
            help="Share of the images to be judged on, where `ImageSets/Main` does not say which.",
            metavar="SHARE",
        ),
    ] = 0.2,
    as_json: Json = False,
) -> None:
    """Turn Pascal VOC's XML files into COCO's format: FOLDER/train.json and test.json.

    Examples:
    $ automix data voc-to-coco ~/VOC2007
    $ automix data voc-to-coco ~/raccoons --test-share 0.2
    """
    from automix_cli.commands import voc_to_coco as command

    command.run(folder, test_share, as_json=as_json)


@data_app.command("bench")
def bench_data(  # noqa: PLR0913 - Typer reads the flags from the signature
    *,
    preset: Preset = None,
    method: Method = None,
    config: Config = None,
    sets: Set = None,
    data_dir: DataDir = None,
    batch_size: BatchSize = None,
    device: Device = None,
    against_torchvision: Annotated[
        bool,
        typer.Option(
            "--vs-torchvision",
            help="Measure a torchvision DataLoader with the same crop, too, in turns.",
        ),
    ] = False,
    rounds: Annotated[int, typer.Option(help="Times each is measured.", min=1)] = 5,
    steps: Annotated[int, typer.Option(help="Batches in a round.", min=1)] = 20,
    as_json: Json = False,
) -> None:
    """Measure how fast images are made, how fast training uses them, and which waits.

    Nothing is written.

    Examples:
    $ automix data bench --preset cifar100-r18 --data-dir ~/data
    $ automix data bench -p digits-tiny --vs-torchvision
    """
    from automix_cli.commands import data_bench as command
    from automix_cli.commands.requests.data import DataBenchRequest

    overrides = overrides_of(
        TRAINING,
        sets,
        preset=preset,
        config=config,
        method=method,
        data_dir=data_dir,
        batch_size=batch_size,
        device=device,
    )
    command.run(overrides, DataBenchRequest(rounds, steps, against_torchvision, as_json))
