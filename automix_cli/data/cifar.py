"""CIFAR-10 and CIFAR-100 from the official python files, each checked against its md5.

File names, addresses and checksums are torchvision's, so that there is one place they come from.
A file is read once: the bytes that were checked are the bytes that are used.

Legend: n images, c channels, h w pixels.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from automix_cli.data.cifar_pickles import read_cifar_pickle
from automix_cli.data.download import Archive, fetch
from automix_cli.data.image_set import ImageSet, image_set_from_arrays
from automix_cli.errors import DataError

CIFAR_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR_STD = (0.2023, 0.1994, 0.2010)
"""Normalisation of the reference (OpenMixup), for CIFAR-10 and CIFAR-100 alike, units of 255."""

CifarName = Literal["cifar10", "cifar100"]


@dataclass(frozen=True)
class CifarSource:
    """What a CIFAR data set consists of.

    Attributes:
        archive: Where it is published, and the names of its files.
        checksums: md5 of each file, by name.
        train_files: Names of the files of training images, in order.
        test_files: Names of the files of test images, in order.
        names_file: Name of the file of class names.
        names_key: Its entry that holds the class names, in label order.
        labels_key: Entry of the image files that holds the labels.
    """

    archive: Archive
    checksums: dict[str, str]
    train_files: tuple[str, ...]
    test_files: tuple[str, ...]
    names_file: str
    names_key: str
    labels_key: str


def cifar_source(name: CifarName) -> CifarSource:
    """Look up in torchvision what a CIFAR data set consists of."""
    from torchvision.datasets import CIFAR10, CIFAR100

    published = CIFAR10 if name == "cifar10" else CIFAR100
    checksums: dict[str, str] = dict(published.train_list + published.test_list)
    checksums[published.meta["filename"]] = published.meta["md5"]
    return CifarSource(
        archive=Archive(
            title="CIFAR-10" if name == "cifar10" else "CIFAR-100",
            url=published.url,
            file_name=published.filename,
            md5=published.tgz_md5,
            folder=published.base_folder,
            files=tuple(checksums),
        ),
        checksums=checksums,
        train_files=tuple(file_name for file_name, _ in published.train_list),
        test_files=tuple(file_name for file_name, _ in published.test_list),
        names_file=published.meta["filename"],
        names_key=published.meta["key"],
        labels_key="labels" if name == "cifar10" else "fine_labels",
    )


def load_cifar(
    name: CifarName, directory: Path, *, download: bool, mirror: str | None = None
) -> tuple[ImageSet, ImageSet]:
    """Read CIFAR from `directory`, fetching it first if it is missing and may be fetched.

    Args:
        name: `cifar10` or `cifar100`.
        directory: Folder that holds, or will hold, `cifar-10-batches-py` or `cifar-100-python`.
        download: Fetch missing files through torchvision.
        mirror: Address that is asked before the official one.

    Returns:
        Training and test images, each `(3, 32, 32)`, in the order of the files.

    Raises:
        DataError: if files are missing, truncated, unreadable or of the wrong checksum.
    """
    source = cifar_source(name)
    fetch(source.archive, directory, download=download, mirror=mirror)
    train = _load_part(source, directory, source.train_files)
    return train, _load_part(source, directory, source.test_files)


def load_cifar_test(
    name: CifarName, directory: Path, *, download: bool, mirror: str | None = None
) -> ImageSet:
    """Read the test images alone; arguments, order and errors are those of `load_cifar`."""
    source = cifar_source(name)
    fetch(source.archive, directory, download=download, mirror=mirror)
    return _load_part(source, directory, source.test_files)


def _load_part(source: CifarSource, directory: Path, file_names: tuple[str, ...]) -> ImageSet:
    folder = directory / source.archive.folder
    names = _read_checked(folder / source.names_file, source.checksums[source.names_file])
    parts = [_read_images(source, folder / file_name) for file_name in file_names]
    try:
        return _join(parts, tuple(names.get(source.names_key, ())))
    except ValueError as error:
        raise DataError(f"the files in `{folder}` do not fit together: {error}") from error


def _read_checked(path: Path, md5: str) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read `{path}`: {error.strerror}") from error
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise DataError(
            f"`{path}` is not the published file: wanted md5 {md5}, got {found}"
            f" ({len(content)} bytes)",
            hint="it is damaged or was not fetched to its end; delete it and run again, or copy it"
            " anew",
        )
    try:
        return read_cifar_pickle(content)
    except ValueError as error:
        raise DataError(f"cannot read `{path}`: {error}") from error


def _read_images(source: CifarSource, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read one file: images `(n, 3, 32, 32)` uint8 and labels `(n,)`."""
    entries = _read_checked(path, source.checksums[path.name])
    images, labels = entries.get("data"), entries.get(source.labels_key)
    if not isinstance(images, np.ndarray) or images.shape[1:] != (3 * 32 * 32,):
        raise DataError(f"`{path}` holds no images: wanted `data` of rows of 3072 bytes")
    if not isinstance(labels, list) or len(labels) != len(images):
        raise DataError(f"`{path}` must hold a label in `{source.labels_key}` for every image")
    return images.reshape(-1, 3, 32, 32), np.asarray(labels)


def _join(parts: list[tuple[np.ndarray, np.ndarray]], class_names: tuple[str, ...]) -> ImageSet:
    images = np.concatenate([images for images, _ in parts])
    labels = np.concatenate([labels for _, labels in parts])
    return image_set_from_arrays(images, labels, class_names)
