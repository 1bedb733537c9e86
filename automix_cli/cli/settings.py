"""`automix settings`."""
# pyright: strict

from typing import Annotated

import typer

from automix_cli.cli.options import Json, terminal_width


def list_settings(
    selection: Annotated[
        str | None, typer.Argument(help="A section or a key.", metavar="SECTION|KEY")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """List every setting with its range, default and meaning.

    Examples:
    $ automix settings
    $ automix settings mix
    $ automix settings optimizer.min_lr --json
    """
    from automix_cli.commands import settings as command

    typer.echo(command.run(selection, as_json=as_json, width=terminal_width()))
