"""`automix import-openmixup`."""
# pyright: strict

from pathlib import Path
from typing import Annotated

import typer

from automix_cli.cli.options import (
    TRAINING,
    Config,
    DataDir,
    Json,
    Method,
    Preset,
    Set,
    overrides_of,
)

Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", help="File (default: FILE with the ending .automix.pt).", metavar="FILE"
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that exists.")]


def import_openmixup(  # noqa: PLR0913 - Typer reads the flags from the signature
    file: Annotated[Path, typer.Argument(help="A `.pth` of OpenMixup.", metavar="FILE")],
    *,
    preset: Preset = None,
    method: Method = None,
    config: Config = None,
    sets: Set = None,
    data_dir: DataDir = None,
    output: Output = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Take over weights that OpenMixup trained, as a checkpoint to evaluate, show and export.

    Settings must be those of the training; the data say the names of the classes. ResNets,
    ResNeXts and wide ResNets. No code in the file is run.

    Examples:
    $ automix import-openmixup r18.pth --preset cifar100-r18 --data-dir ~/data
    $ automix import-openmixup mixup.pth -p cifar100-r18 --method mixup -o mixup.pt
    $ automix eval --checkpoint r18.automix.pt
    """
    from automix_cli.commands import import_openmixup as command
    from automix_cli.commands.requests.export import ImportRequest

    overrides = overrides_of(
        TRAINING, sets, preset=preset, config=config, method=method, data_dir=data_dir
    )
    command.run(overrides, ImportRequest(file, output, force, as_json))
