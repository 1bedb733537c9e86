"""Writes corrupted test sets in the layout that `corrupted_reading` describes.

A file gets its name when it is whole, and `meta.json` says of every file how it was made and its
md5: a run that was stopped goes on with the next file.

Legend: n test images, s severities, h w pixels.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from automix_cli.data.corrupted_reading import META, read_meta
from automix_cli.errors import DataError

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Identity:
    """What decides every byte of a generated set.

    Attributes:
        data_set: Name of the data set.
        source_md5: md5 of the clean test images and labels.
        seed: Seed of all draws.
        precision: `float64` or `float32`.
        severities: Severities in each file, ascending.
        generator_version: Counts changes of the generator that move a pixel.
    """

    data_set: str
    source_md5: str
    seed: int
    precision: str
    severities: tuple[int, ...]
    generator_version: int

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "severities": list(self.severities)}


class CorruptedFolder:
    """A folder that a generated set is written into.

    Args:
        path: The folder; made if need be.
        identity: What is to be written.
        is_forced: Delete a generated set of another identity instead of refusing.

    Raises:
        DataError: the folder holds another set, or files that automix has not made.
    """

    def __init__(self, path: Path, identity: Identity, *, is_forced: bool) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            strangers = sorted(each.name for each in path.glob("*.npy"))
        except OSError as error:
            raise DataError(f"cannot write into `{path}`: {error.strerror}") from error
        meta = read_meta(path)
        if meta is None and strangers:
            raise DataError(
                f"`{path}` holds `{strangers[0]}` without a `{META}`: it was not made by automix",
                hint="choose another folder; these may be the official files",
            )
        if meta is not None and (is_forced or meta["identity"] != identity.as_json()):
            self._clear(meta, identity, is_forced=is_forced)
            meta = None
        self._meta = meta or {
            "schema_version": SCHEMA_VERSION,
            "generated": True,
            "generator": "automix",
            "identity": identity.as_json(),
            "severities": list(identity.severities),
            "files": {},
        }

    def _clear(self, meta: dict[str, Any], identity: Identity, *, is_forced: bool) -> None:
        if not is_forced:
            old, new = meta["identity"], identity.as_json()
            differing = [
                f"{key} {old.get(key)}, wanted {new[key]}"
                for key in new
                if old.get(key) != new[key]
            ]
            raise DataError(
                f"`{self.path}` holds a set with {'; '.join(differing)}",
                hint="choose another folder, or replace it with `--force`",
            )
        for name in meta["files"]:
            (self.path / f"{Path(name).name}.npy").unlink(missing_ok=True)
        (self.path / META).unlink()

    def md5_of(self, name: str) -> str | None:
        """The md5 of a file that is there and whole, or None."""
        entry = self._meta["files"].get(name)
        path = self.path / f"{name}.npy"
        if entry is None or not path.is_file() or path.stat().st_size != entry["bytes"]:
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
        partial = self.path / f".{name}.{os.getpid()}.partial"
        try:
            with partial.open("wb") as file:
                md5 = _save(file, shape, batches)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        self._meta["files"][name] = {"md5": md5, "bytes": path.stat().st_size}
        self._write_meta()
        return md5

    def note(self, **facts: Any) -> None:
        """Add facts about the set to `meta.json`."""
        self._meta.update(facts)
        self._write_meta()

    def _write_meta(self) -> None:
        partial = self.path / f".{META}.{os.getpid()}.partial"
        partial.write_text(json.dumps(self._meta, indent=2) + "\n", encoding="utf-8")
        partial.replace(self.path / META)


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
