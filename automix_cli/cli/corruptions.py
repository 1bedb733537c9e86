"""`automix corruptions ...`: make and verify corrupted test sets."""
# pyright: strict

from pathlib import Path
from typing import Annotated

import typer

from automix_cli.cli.options import TRAINED, DataDir, DrawSeed, FrostDir, Json, Set, overrides_of

corruptions_app = typer.Typer(
    no_args_is_help=True, help="Make and verify CIFAR-10-C and CIFAR-100-C."
)

DataSet = Annotated[
    str | None,
    typer.Option(help="Data set (make: default cifar10).", metavar="cifar10|cifar100"),
]


@corruptions_app.command("make")
def make(  # noqa: PLR0913 - Typer reads the flags from the signature
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="Where to (default: CIFAR-10-C-generated or CIFAR-100-C-generated in the data"
            " folder).",
            metavar="DIR",
        ),
    ] = None,
    *,
    data_set: DataSet = None,
    corruptions: Annotated[
        str | None, typer.Option(help="Only these, with commas (default: all).", metavar="NAMES")
    ] = None,
    severities: Annotated[
        str, typer.Option(help="Only these, with commas.", metavar="NUMBERS")
    ] = "1,2,3,4,5",
    fast: Annotated[
        bool, typer.Option("--fast", help="Compute in float32: values within one level.")
    ] = False,
    seed: DrawSeed = 0,
    frost_dir: FrostDir = None,
    data_dir: DataDir = None,
    sets: Set = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a generated set that is there.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Generate the corrupted test set in the published layout.

    The eight corruptions without chance, and the labels, are the published
    files byte for byte; the other eleven follow the published script with
    draws of their own. A run that was stopped goes on with the next file.

    Examples:
    $ automix corruptions make --data-dir ~/data
    $ automix corruptions make mine --data-set cifar100 --corruptions fog,snow
    $ automix corruptions make --frost-dir ~/frost --fast
    """
    from automix_cli.commands import corruptions as command
    from automix_cli.commands.corruption_requests import CorruptionsRequest

    overrides = overrides_of(TRAINED, sets, data_set=data_set or "cifar10", data_dir=data_dir)
    request = CorruptionsRequest(
        folder=folder,
        corruptions=tuple(_split(corruptions or "")),
        severities=tuple(_number(each) for each in _split(severities)),
        seed=seed,
        fast=fast,
        frost_dir=frost_dir,
        force=force,
        as_json=as_json,
    )
    command.make(overrides, request)


@corruptions_app.command("verify")
def verify(
    folder: Annotated[Path, typer.Argument(help="Folder of the .npy files.", metavar="DIR")],
    *,
    data_set: DataSet = None,
    as_json: Json = False,
) -> None:
    """Compare a folder's files with the published ones, by md5.

    Examples:
    $ automix corruptions verify ~/data/CIFAR-10-C
    """
    from automix_cli.commands import corruption_verify as command

    command.verify(folder, data_set, as_json=as_json)


def _split(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _number(text: str) -> int:
    from automix_cli.errors import SettingsError

    try:
        return int(text)
    except ValueError as error:
        raise SettingsError(f"severities are 1 to 5, got `{text}`") from error
