"""A file that a person asked for: there when it is whole, and never over another one unasked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from automix_cli.errors import SettingsError


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
            partial.replace(target)
        except OSError as problem:
            raise SettingsError(f"cannot write `{target}`: {problem}") from problem
