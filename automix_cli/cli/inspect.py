"""`automix inspect`."""
# pyright: strict

from pathlib import Path
from typing import Annotated

import typer

from automix_cli.cli.options import Json
from automix_cli.startup import quick_imports


def inspect(
    file: Annotated[
        Path, typer.Argument(help="A checkpoint, weights or an export.", metavar="FILE")
    ],
    *,
    as_json: Json = False,
) -> None:
    """Show what a checkpoint or export holds, without running any code in it.

    Examples:
    $ automix inspect runs/mine/ckpt.pt
    $ automix inspect classifier.onnx --json
    """
    with quick_imports():
        from automix_cli.commands import inspect as command

    command.run(file, as_json=as_json)
