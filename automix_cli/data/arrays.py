"""Small data sets that are published as arrays, and kept in memory: MNIST's kin, SVHN, STL-10.

Names of files and archives, addresses and md5 are torchvision's. MNIST's publishers give a md5 of
the packed files only, so those are checked as they are unpacked, and the arrays by their size.

Legend: n images, c channels, h w pixels.
"""

import hashlib
import math
import struct
from pathlib import Path
from typing import Literal

import numpy as np

from automix_cli.data.download import Archive
from automix_cli.data.image_set import ImageSet, image_set_from_arrays
from automix_cli.data.layout import Layout, located, read_words
from automix_cli.data.matlab import read_matlab
from automix_cli.data.parts import Parts
from automix_cli.data.request import DataRequest
from automix_cli.errors import DataError

MnistName = Literal["MNIST", "FashionMNIST", "KMNIST"]

MNIST_FILES = (
    *("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    *("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
)


def load_mnist(name: MnistName, request: DataRequest) -> Parts:
    """Read MNIST, Fashion-MNIST or Kuzushiji-MNIST: 60,000 and 10,000 images `(1, 28, 28)`."""
    import torchvision.datasets

    published = getattr(torchvision.datasets, name)
    folder = f"{name}/raw"

    def archives() -> tuple[Archive, ...]:
        return tuple(
            Archive(name, published.mirrors[0] + packed, packed, md5, folder, (packed[:-3],), "")
            for packed, md5 in published.resources
        )

    layout = Layout(name, (folder, name), MNIST_FILES, ("  ".join(MNIST_FILES),), archives)
    root = located(layout, request)
    arrays = [_read_idx(root / file_name) for file_name in MNIST_FILES]
    names = tuple(published.classes)
    return Parts(
        _image_set(root, arrays[0][:, None], arrays[1], names),
        _image_set(root, arrays[2][:, None], arrays[3], names),
    )


def _read_idx(path: Path) -> np.ndarray:
    """Read an array of bytes: two zeros, 8, the number of axes, their sizes, the bytes."""
    content = _read(path)
    num_axes = content[3] if content[:3] == b"\0\0\x08" and len(content) > 3 else 0
    start = 4 + 4 * num_axes
    if num_axes in (1, 3) and len(content) >= start:
        shape = struct.unpack(f">{num_axes}I", content[4:start])
        if len(content) - start == math.prod(shape):
            return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)
    raise DataError(
        f"`{path}` is not the published file ({len(content):,} bytes)",
        hint="it is damaged or was not fetched to its end; delete it and run again",
    )


SVHN_FILES = ("train_32x32.mat", "test_32x32.mat")


def _svhn_archives() -> tuple[Archive, ...]:
    from torchvision.datasets import SVHN

    return tuple(
        Archive("SVHN", url, name, md5, "svhn", (name,), is_packed=False)
        for url, name, md5 in (SVHN.split_list["train"], SVHN.split_list["test"])
    )


SVHN_LAYOUT = Layout("SVHN", ("svhn",), SVHN_FILES, ("  ".join(SVHN_FILES),), _svhn_archives)


def load_svhn(request: DataRequest) -> Parts:
    """Read SVHN: 73,257 training and 26,032 test images `(3, 32, 32)` of house numbers."""
    root = located(SVHN_LAYOUT, request)
    return Parts(*(_read_svhn(root, archive) for archive in _svhn_archives()))


def _read_svhn(root: Path, archive: Archive) -> ImageSet:
    path = root / archive.file_name
    try:
        variables = read_matlab(_read_checked(path, archive.md5))
        images, labels = variables["X"], variables["y"].reshape(-1).astype(np.int64)
    except (ValueError, KeyError) as error:
        raise DataError(f"cannot read `{path}`: {error}") from error
    labels[labels == 10] = 0  # published as 10
    return _image_set(root, images.transpose(3, 2, 0, 1), labels, tuple("0123456789"))


def _stl10_archives() -> tuple[Archive, ...]:
    from torchvision.datasets import STL10

    files = (*_stl10_checksums(), STL10.class_names_file)
    return (Archive("STL-10", STL10.url, STL10.filename, STL10.tgz_md5, STL10.base_folder, files),)


def _stl10_checksums() -> dict[str, str]:
    """Md5 of the four files of labelled images, by name."""
    from torchvision.datasets import STL10

    every = dict(STL10.train_list + STL10.test_list)
    return {
        name: every[name] for name in ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin")
    }


STL10_LAYOUT = Layout(
    "STL-10",
    ("stl10_binary",),
    ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin", "class_names.txt"),
    ("train_X.bin  train_y.bin  test_X.bin  test_y.bin  class_names.txt",),
    _stl10_archives,
)


def load_stl10(request: DataRequest) -> Parts:
    """Read STL-10: 5,000 training and 8,000 test images `(3, 96, 96)`; without the unlabelled."""
    root = located(STL10_LAYOUT, request)
    arrays = [
        np.frombuffer(_read_checked(root / name, md5), dtype=np.uint8)
        for name, md5 in _stl10_checksums().items()
    ]
    names = tuple(words[0] for words in read_words(root / "class_names.txt", columns=1))
    train, test = (
        # published by columns, and with classes counted from 1
        _image_set(root, images.reshape(-1, 3, 96, 96).transpose(0, 1, 3, 2), labels - 1, names)
        for images, labels in zip(arrays[::2], arrays[1::2], strict=True)
    )
    return Parts(train, test)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read `{path}`: {error.strerror}") from error


def _read_checked(path: Path, md5: str) -> bytes:
    content = _read(path)
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise DataError(
            f"`{path}` is not the published file: wanted md5 {md5}, got {found}"
            f" ({len(content)} bytes)",
            hint="it is damaged or was not fetched to its end; delete it and run again",
        )
    return content


def _image_set(
    root: Path, images: np.ndarray, labels: np.ndarray, names: tuple[str, ...]
) -> ImageSet:
    try:
        return image_set_from_arrays(images, labels.astype(np.int64), names)
    except ValueError as error:
        raise DataError(f"the files in `{root}` do not fit together: {error}") from error
