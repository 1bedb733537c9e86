"""Where the program meets the shell: exit codes, errors, `--resume` alone, pipes that close."""
# pyright: strict

import errno
import os
import re
import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from automix_cli.errors import AutoMixError, harmless

EXIT_CODES = """\
Exit codes:
  0    success
  1    the run failed, for example because a loss diverged or another process was lost
  2    bad usage or settings
  3    missing or damaged data
  4    broken, unsafe or foreign checkpoint
  5    a result failed its verification
  130  Ctrl-C, after saving a checkpoint when training
  143  SIGTERM, after saving a checkpoint"""


CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
"""Wherever a file is written: no room, or no right."""


LOST_CONNECTIONS = ("DistBackendError", "DistNetworkError", "DistStoreError")
"""What torch raises of its own about other processes."""


def leave(error: AutoMixError) -> NoReturn:
    """End the program with what a person can mend, on stderr."""
    typer.echo(f"error: {error.message}", err=True)
    if error.hint:
        typer.echo(f"\nhint: {error.hint}", err=True)
    sys.exit(error.exit_code)


def lost_process(error: RuntimeError) -> AutoMixError | None:
    """What is to be said when another process of this run is gone or hangs, if that is the case.

    torch has no type for it: whoever waits for such a process gets what its transport says.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return None
    text = str(error)
    is_known = any(word in text for word in ("gloo", "Gloo", "NCCL", "caused pair closure"))
    if not is_known and type(error).__name__ not in LOST_CONNECTIONS:
        return None
    rank, count = os.environ.get("RANK", "?"), os.environ["WORLD_SIZE"]
    said = re.sub(r"^\[[^]]*\.cc:\d+] ", "", text.strip() or type(error).__name__)
    reason = re.split(r"\. |\n", said)[
        0
    ]  # what follows is advice for those who have torch's source
    return AutoMixError(
        f"process {rank} of {count} waits for another one in vain: {reason}",
        hint="the process that ended first says why, one that hangs says nothing; "
        "`--resume auto` with the same command goes on from the last checkpoint",
    )


class ErrorBoundary(TyperGroup):
    """Where errors that a person can mend become two lines and an exit code.

    Any other exception is a bug and keeps its traceback.
    """

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run the command line, then leave with the exit code of the error, if there is one."""
        try:
            return super().main(*arguments, **options)
        except AutoMixError as error:
            leave(error)
        except RuntimeError as error:
            lost = lost_process(error)
            if lost is None:
                raise
            leave(lost)
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
