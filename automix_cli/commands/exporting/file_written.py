"""A file that a person asked for: there when it is whole, and never over another one unasked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from automix_cli.errors import SettingsError


def put_in_place(partial: Path, target: Path, *, force: bool) -> None:
    """Give a finished file its name; unless forced, never that of a file that came meanwhile.

    Raises:
        SettingsError: another program has written `target` since we began.
        OSError: it cannot be written.
    """
    if not force:
        try:
            os.link(partial, target)  # unlike renaming, refuses a name that is taken
        except FileExistsError as problem:
            raise SettingsError(
                f"`{target}` was written by another program meanwhile, and was left as it is",
                hint="give `--force` to replace it, or another `-o FILE`",
            ) from problem
        except OSError:  # a disk without links
            partial.replace(target)
    else:
        partial.replace(target)


@contextmanager
def written_at_last(target: Path, *, force: bool) -> Iterator[Path]:
    """Give a file of the same name to write; on success it becomes `target`, else it is gone.

    Raises:
        SettingsError: `target` exists and `force` is not set, or its folder cannot be written to.
    """
    if target.exists() and not force:
        raise SettingsError(
            f"`{target}` exists", hint="give `--force` to replace it, or another `-o FILE`"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        holder = TemporaryDirectory(prefix=".automix-", dir=target.parent)
    except OSError as problem:
        raise SettingsError(
            f"cannot write to the folder `{target.parent}`: {problem}",
            hint="name a file elsewhere with `-o FILE`",
        ) from problem
    with holder as folder:
        partial = Path(folder) / target.name
        try:
            yield partial
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            put_in_place(partial, target, force=force)
        except OSError as problem:
            raise SettingsError(f"cannot write `{target}`: {problem}") from problem
