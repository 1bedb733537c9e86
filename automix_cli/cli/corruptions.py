"""`automix corruptions ...`: make and verify corrupted test sets."""
# pyright: strict

from pathlib import Path
from typing import Annotated

import typer

from automix_cli.cli.options import TRAINED, DataDir, DrawSeed, FrostDir, Json, Set, overrides_of

corruptions_app = typer.Typer(
    no_args_is_help=True, help="Make CIFAR-C, ImageNet-C and Tiny-ImageNet-C; verify CIFAR-C."
)

DataSet = Annotated[
    str | None,
    typer.Option(
        help="Data set (default: the one whose labels they are).", metavar="cifar10|cifar100"
    ),
]
Suite = Annotated[
    str,
    typer.Option(help="Which constants and size.", metavar="cifar-c|imagenet-c|tiny-imagenet-c"),
]
Source = Annotated[
    str | None,
    typer.Option(
        help="What to corrupt (default: cifar10; for the other suites `folder`, the images in"
        " --data-dir).",
        metavar="NAME",
    ),
]


@corruptions_app.command("make")
def make(  # noqa: PLR0913 - Typer reads the flags from the signature
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="Where to (default: a folder of its own in the data folder, or beside a folder"
            " of your own).",
            metavar="DIR",
        ),
    ] = None,
    *,
    suite: Suite = "cifar-c",
    data_set: Source = None,
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

    Of CIFAR-C the eight corruptions without chance are the published files
    byte for byte. A run that was stopped goes on with the next corruption.

    Examples:
    $ automix corruptions make --data-dir ~/data
    $ automix corruptions make mine --data-set cifar100 --corruptions fog,snow
    $ automix corruptions make --frost-dir ~/frost --fast
    $ automix corruptions make birds-c --suite imagenet-c --data-dir ~/birds
    """
    from automix_cli.commands import corruptions as command
    from automix_cli.commands.requests.corruptions import CorruptionsRequest

    name = data_set or ("cifar10" if suite == "cifar-c" else "folder")
    overrides = overrides_of(TRAINED, sets, data_set=name, data_dir=data_dir)
    request = CorruptionsRequest(
        folder=folder,
        suite=suite,
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
