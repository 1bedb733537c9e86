"""Corrupted test sets in the layout of CIFAR-10-C: one `.npy` for each corruption, and the labels.

```text
CIFAR-10-C/
  <corruption>.npy   (50,000, 32, 32, 3) uint8: the test images at severity 1, then at 2, ... 5
  labels.npy         (50,000,) the test labels, five times over
  meta.json          only where automix has made the files: how
```

Files are mapped, not read: a severity's images come into memory when they are wanted. Nothing that
could hold a pickle is opened.

Legend: n test images, s severities, h w pixels.
"""

import json
import tokenize
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from automix_cli.data.corrupted_official import LABELS, SEVERITIES
from automix_cli.data.image_set import ImageSet
from automix_cli.errors import DataError

META = "meta.json"

_BROKEN = (
    *(OSError, ValueError, EOFError, SyntaxError, TypeError, LookupError, AttributeError),
    *(OverflowError, MemoryError, RecursionError, tokenize.TokenError, zipfile.BadZipFile),
)
"""What numpy raises for altered headers, which it reads as Python."""


@dataclass(frozen=True)
class CorruptedSet:
    """A folder of corrupted test images.

    Attributes:
        folder: Where they are.
        names: The corruptions there are, in the order asked for.
        severities: The severities that each file holds, ascending.
        num_images: Images of a severity.
        meta: How automix made them, or None for files that it did not make.
    """

    folder: Path
    names: tuple[str, ...]
    severities: tuple[int, ...]
    num_images: int
    meta: dict[str, Any] | None

    def images(self, name: str, severity: int) -> np.ndarray:
        """The images of a corruption and severity, `(n, h, w, 3)` uint8, mapped from the file.

        Raises:
            DataError: the file is not a plain array of the right shape and type.
        """
        shape = (self.num_images * len(self.severities), 32, 32, 3)
        array = _open(self.folder / f"{name}.npy", shape)
        start = self.severities.index(severity) * self.num_images
        return array[start : start + self.num_images]


def read_meta(folder: Path) -> dict[str, Any] | None:
    """Read how automix made the files of a folder, or None where it did not.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / META
    if not path.is_file():
        return None
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
        missing = {"files", "severities", "identity"} - set(meta)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if missing:
        raise _damaged(path, f"it lacks {', '.join(sorted(missing))}")
    if not _is_sound(meta):
        raise _damaged(path, "it says something that automix does not write")
    return meta


def _is_sound(meta: dict[str, Any]) -> bool:
    """Whether everything is of its kind, and no name leads to another folder."""
    files, severities = meta["files"], meta["severities"]
    if not (isinstance(files, dict) and isinstance(severities, list)):
        return False
    entries = all(
        Path(name).name == name
        and isinstance(entry, dict)
        and isinstance(entry.get("md5"), str)
        and type(entry.get("bytes", 0)) is int
        for name, entry in files.items()
    )
    of_scale = all(type(each) is int and each in SEVERITIES for each in severities)
    return entries and of_scale and bool(severities) and isinstance(meta["identity"], dict)


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(
        f"`{path}` is damaged: {reason}", hint="delete the folder and make the files again"
    )


def open_corrupted(folder: Path, wanted: Sequence[str], test: ImageSet) -> CorruptedSet:
    """Look at a folder of corrupted images, and check its layout and labels.

    Args:
        folder: The folder.
        wanted: Names of the corruptions to look for; those that are missing are left out.
        test: The clean test images, in whose order the corrupted ones are.

    Raises:
        DataError: a file is not what it should be, the labels are not those of the test set, or
            there is none of the corruptions.
    """
    meta = read_meta(folder)
    severities = SEVERITIES if meta is None else tuple(meta["severities"])
    names = tuple(name for name in wanted if (folder / f"{name}.npy").is_file())
    if not names:
        raise DataError(
            f"`{folder}` holds none of the corruptions {', '.join(wanted)}",
            hint="name the folder that holds the .npy files, or make them: "
            f"`automix corruptions make {folder}`",
        )
    found = CorruptedSet(folder, names, severities, len(test), meta)
    _check_labels(folder / f"{LABELS}.npy", np.tile(test.labels.numpy(), len(severities)))
    for name in names:
        found.images(name, severities[0])
    return found


def _check_labels(path: Path, wanted: np.ndarray) -> None:
    labels = _open(path, wanted.shape)
    wrong = int((labels != wanted).sum())
    if wrong:
        raise DataError(
            f"`{path}` holds other labels than the test set, {wrong} of {len(wanted)}",
            hint="it belongs to another data set, or its images are in another order",
        )


def _open(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except _BROKEN as error:
        raise DataError(
            f"cannot read `{path}` as a plain array: {error}",
            hint="fetch or make the file again; arrays of Python objects are never loaded",
        ) from error
    if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype.kind not in "ui":
        found = f"{array.shape} {array.dtype}" if isinstance(array, np.ndarray) else "an archive"
        raise DataError(f"`{path}` must hold {shape} integers, got {found}")
    if len(shape) > 1 and array.dtype != np.uint8:
        raise DataError(f"`{path}` must hold bytes (uint8), got {array.dtype}")
    return array
