"""Where the program meets the shell: exit codes, errors, `--resume` alone, pipes that close."""
# pyright: strict

import errno
import os
import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from automix_cli.errors import AutoMixError, harmless

EXIT_CODES = """\
Exit codes:
  0    success
  1    the run failed, for example because a loss diverged
  2    bad usage or settings
  3    missing or damaged data
  4    broken, unsafe or foreign checkpoint
  5    a result failed its verification
  130  Ctrl-C, after saving a checkpoint when training
  143  SIGTERM, after saving a checkpoint"""


CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
"""Wherever a file is written: no room, or no right."""


class ErrorBoundary(TyperGroup):
    """Where errors that a person can mend become two lines and an exit code.

    Any other exception is a bug and keeps its traceback.
    """

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run the command line, then leave with the exit code of the error, if there is one."""
        try:
            return super().main(*arguments, **options)
        except AutoMixError as error:
            typer.echo(f"error: {error.message}", err=True)
            if error.hint:
                typer.echo(f"\nhint: {error.hint}", err=True)
            sys.exit(error.exit_code)
        except OSError as error:
            if error.errno not in CANNOT_WRITE:
                raise
            place = f" `{error.filename}`" if error.filename else ""
            typer.echo(harmless(f"error: cannot write{place}: {error.strerror}"), err=True)
            typer.echo("\nhint: make room or mend the rights; what was there is intact", err=True)
            sys.exit(AutoMixError.exit_code)


class TrainCommand(TyperCommand):
    """`train`, whose `--resume` may stand alone. Typer has no options with an optional value."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """Give a lone `--resume` the value `newest`, then read the arguments as usual."""
        filled: list[str] = []
        for position, argument in enumerate(args):
            filled.append(argument)
            following = args[position + 1 : position + 2]
            if argument == "--resume" and (not following or following[0].startswith("-")):
                filled.append("newest")
        return super().make_context(info_name, filled, parent, **extra)


class MasksCommand(TyperCommand):
    """`visualize-masks`, whose `--images` takes any number of files."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """Give each file after `--images` an `--images` of its own, then read them as usual."""
        repeated: list[str] = []
        is_listing = False
        for argument in args:
            is_file = not argument.startswith("-")
            if is_listing and is_file and repeated[-1] != "--images":
                repeated.append("--images")
            repeated.append(argument)
            is_listing = argument == "--images" or (is_listing and is_file)
        return super().make_context(info_name, repeated, parent, **extra)


def close_output() -> None:
    """Stay quiet when the reader of a pipe is gone, as in `automix settings | head`."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
