"""One program at a time writes into a folder; a second one is told so at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from automix_cli.errors import SettingsError


@contextmanager
def sole_writer(folder: Path, what: str) -> Iterator[None]:
    """Keep other programs of this kind out of a folder, which is made if need be.

    The folder itself is locked: no file is left in it, and the system lets go of the lock when a
    process ends, however it ends. Where there is no such lock (Windows, some network disks), none
    is taken.

    Args:
        folder: Where is written.
        what: What works there, for the error.

    Raises:
        SettingsError: another program works there, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise SettingsError(f"cannot make the folder `{folder}`: {problem}") from problem
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as problem:
        os.close(handle)
        raise SettingsError(
            f"another {what} works in `{folder}`",
            hint="wait for it or end it; or name another folder",
        ) from problem
    except OSError:  # this disk has no locks
        pass
    try:
        yield
    finally:
        os.close(handle)
