"""Writes corrupted test sets in the layout that `corrupted_reading` describes.

A file gets its name when it is whole, and `meta.json` says of every file how it was made and its
md5: a run that was stopped goes on with the next file.

Legend: n test images, s severities, h w pixels.
"""

import hashlib
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np

from automix_cli.atomic import written_atomically
from automix_cli.data.corrupted_record import Identity, SetRecord


class CorruptedFolder:
    """A folder that a generated set is written into.

    Args:
        path: The folder; made if need be.
        identity: What is to be written.
        is_forced: Delete a generated set that is there instead of keeping or refusing it.

    Raises:
        DataError: the folder holds another set, or files that automix has not made.
    """

    def __init__(self, path: Path, identity: Identity, *, is_forced: bool) -> None:
        self.path = path
        self._record = SetRecord(
            path,
            identity,
            pattern="*.npy",
            remove=lambda name: (path / f"{name}.npy").unlink(missing_ok=True),
            is_forced=is_forced,
        )

    def md5_of(self, name: str) -> str | None:
        """The md5 of a file that is there and whole, or None."""
        entry = self._record.part(name)
        path = self.path / f"{name}.npy"
        if entry is None or not path.is_file() or path.stat().st_size != entry.get("bytes"):
            return None
        return entry["md5"]

    def write(self, name: str, shape: tuple[int, ...], batches: Iterable[np.ndarray]) -> str:
        """Write an array of bytes batch by batch, as `np.save` would.

        Args:
            name: Name without suffix.
            shape: Shape of the whole array.
            batches: Its rows, in order.

        Returns:
            The file's md5.
        """
        path = self.path / f"{name}.npy"
        with written_atomically(path) as partial, partial.open("wb") as file:
            md5 = _save(file, shape, batches)
        self._record.add(name, md5=md5, bytes=path.stat().st_size)
        return md5


def _save(file: BinaryIO, shape: tuple[int, ...], batches: Iterable[np.ndarray]) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    header = BytesIO()
    about = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, about)
    digest.update(header.getvalue())
    file.write(header.getvalue())
    num_rows = 0
    for batch in batches:
        content = np.ascontiguousarray(batch, np.uint8).data
        digest.update(content)
        file.write(content)
        num_rows += len(batch)
    if num_rows != shape[0]:
        raise ValueError(f"batches must hold {shape[0]} rows, got {num_rows}")
    return digest.hexdigest()
