"""`automix presets ...`, the group of commands about presets."""
# pyright: strict

from pathlib import Path
from typing import Annotated

import typer

from automix_cli.cli.options import Json, PresetName, terminal_width

presets_app = typer.Typer(no_args_is_help=True, help="List, show, copy and compare the presets.")


@presets_app.command("list")
def list_presets(
    selection: Annotated[
        str | None,
        typer.Argument(help="Data set or other part of a name (default: all).", metavar="PART"),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """List the presets by data set; of some, also the results to expect.

    Examples:
    $ automix presets list
    $ automix presets list cifar100
    $ automix presets list --json
    """
    from automix_cli.commands import presets as command

    typer.echo(command.list_presets(selection, as_json=as_json, width=terminal_width()))


@presets_app.command("show")
def show_preset(name: PresetName, *, as_json: Json = False) -> None:
    """Print a preset's file.

    Examples:
    $ automix presets show cifar100-r18
    $ automix presets show cifar100-r18 --json
    """
    from automix_cli.commands import presets as command

    typer.echo(command.show(name, as_json=as_json))


@presets_app.command("copy")
def copy_preset(
    name: PresetName,
    destination: Annotated[
        Path | None, typer.Argument(help="File or folder (default: here).", metavar="PATH")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Copy a preset to a file of your own, to edit and give to `automix train --config`.

    Examples:
    $ automix presets copy cifar100-r18
    $ automix presets copy cifar100-r18 mine.toml
    """
    from automix_cli.commands import presets as command

    typer.echo(command.copy(name, destination, as_json=as_json))


@presets_app.command("diff")
def diff_presets(
    first: PresetName,
    second: Annotated[
        str | None, typer.Argument(help="Another (default: the defaults).", metavar="OTHER")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Show the settings in which two presets or settings files differ.

    Examples:
    $ automix presets diff cifar100-r18
    $ automix presets diff cifar100-r18 cifar100-rx50
    $ automix presets diff cifar100-r18 mine.toml
    """
    from automix_cli.commands import presets as command

    typer.echo(command.diff(first, second, as_json=as_json))
