"""`automix data ...`, the group of commands about images."""
# pyright: strict

from pathlib import Path
from typing import Annotated

import typer

from automix_cli.cli.options import Json

data_app = typer.Typer(no_args_is_help=True, help="Check the images that a training would use.")


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
    from automix_cli.commands.requests import DataCheckRequest

    command.run(DataCheckRequest(folder, name, csv, workers, strict, as_json))
