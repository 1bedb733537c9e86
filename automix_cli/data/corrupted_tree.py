"""Writes corrupted test sets in the layout of ImageNet-C that `corrupted_folders` describes.

A corruption's folder gets its name when all its severities are whole, and `meta.json` then says of
it how it was made and an md5 over its files: a run that was stopped goes on with the next
corruption.

Legend: h w pixels.
"""

import hashlib
import io
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from automix_cli.data.corrupted_record import Identity, SetRecord

QUALITY = 85
"""Of the JPEG files, as published; tables of their own codes (`optimize`), too."""


class CorruptedPhotograph(NamedTuple):
    """One image of a set: its severity, its place in the folder of the severity, its pixels."""

    severity: int
    place: str
    pixels: np.ndarray


class CorruptedTree:
    """A folder that a generated set of photographs is written into.

    Args:
        path: The folder; made if need be.
        identity: What is to be written.
        class_folders: Name of each class's folder; all are made, also those without images.
        is_forced: Delete a generated set that is there instead of keeping or refusing it.

    Raises:
        DataError: the folder holds another set, or folders that automix has not made.
    """

    def __init__(
        self, path: Path, identity: Identity, class_folders: Sequence[str], *, is_forced: bool
    ) -> None:
        self.path = path
        self._severities = identity.severities
        self._class_folders = class_folders
        self._record = SetRecord(
            path,
            identity,
            pattern="*/[1-5]",
            remove=lambda name: shutil.rmtree(path / name, ignore_errors=True),
            is_forced=is_forced,
        )

    def note(self, **facts: str) -> None:
        """Add facts about the set to `meta.json`."""
        self._record.note(**facts)

    def md5_of(self, name: str) -> str | None:
        """The md5 of a corruption that is there and whole, or None."""
        entry = self._record.part(name)
        return entry["md5"] if entry is not None and (self.path / name).is_dir() else None

    def write(self, name: str, photographs: Iterable[CorruptedPhotograph]) -> str:
        """Write the images of a corruption; those of one severity come in a fixed order.

        Returns:
            An md5 over the places and contents of all files, severity by severity.
        """
        for left_over in self.path.glob(f".{name}.*.partial"):  # of a run that was killed
            shutil.rmtree(left_over)
        partial = self.path / f".{name}.{os.getpid()}.partial"
        digests = {each: hashlib.md5(usedforsecurity=False) for each in self._severities}
        num_files = 0
        try:
            for severity in self._severities:
                for folder in self._class_folders:
                    (partial / str(severity) / folder).mkdir(parents=True)
            for severity, place, pixels in photographs:
                content = _jpeg(pixels)
                (partial / str(severity) / place).write_bytes(content)
                digests[severity].update(place.encode() + b"\0" + content)
                num_files += 1
            shutil.rmtree(self.path / name, ignore_errors=True)  # not recorded: not whole
            partial.rename(self.path / name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        whole = b"".join(each.digest() for each in digests.values())
        md5 = hashlib.md5(whole, usedforsecurity=False).hexdigest()
        self._record.add(name, md5=md5, images=num_files)
        return md5


def _jpeg(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY, optimize=True)
    return file.getvalue()
