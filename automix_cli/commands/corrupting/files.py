"""Makes CIFAR-10-C and CIFAR-100-C: clean images in, files out."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from automix_cli import build
from automix_cli.commands.corrupting.batches import (
    GENERATOR_VERSION,
    MadePart,
    Wanted,
    corrupted_batches,
    draws_of,
)
from automix_cli.commands.sole_writer import sole_writer
from automix_cli.data.cifar import CifarName, load_cifar_test
from automix_cli.data.corrupted_official import FOLDERS, LABELS, MD5, REPRODUCIBLE
from automix_cli.data.corrupted_record import Identity
from automix_cli.data.corrupted_writing import CorruptedFolder
from automix_cli.data.image_set import ImageSet
from automix_cli.engine.allocator import keep_freed_memory
from automix_cli.errors import SettingsError
from automix_cli.evaluation.corruptions.draws import Draw
from automix_cli.reporting.counting import Advance, counted
from automix_cli.settings.data import DataSettings


def generated_folder(data: DataSettings, name: CifarName) -> Path:
    """Where generated sets are kept unless a person says otherwise."""
    return data.dir.expanduser() / f"{FOLDERS[name]}-generated"


def require_cifar(name: str) -> CifarName:
    """Narrow a data set's name.

    Raises:
        SettingsError: there is no CIFAR-C of it.
    """
    if name == "cifar10" or name == "cifar100":  # noqa: PLR1714 - the type checker narrows this
        return name
    raise SettingsError(
        f"`cifar-c` is made of `cifar10` or `cifar100`, `data.name` is `{name}`",
        hint="evaluate a run of one of them",
    )


def load_test(data: DataSettings) -> ImageSet:
    """Read the clean test images of a CIFAR.

    Raises:
        DataError: they are missing, or not the published ones.
        SettingsError: the data set is no CIFAR.
    """
    name = require_cifar(data.name)
    request = build.data_request(data)
    may_download = request.may_download()
    return load_cifar_test(name, request.directory, download=may_download, mirror=data.mirror)


def make_files(
    folder: Path, data: DataSettings, wanted: Wanted, *, is_forced: bool = False
) -> list[MadePart]:
    """Write what is wanted and not there yet.

    Args:
        folder: Where to.
        data: The clean data set, and where it is.
        wanted: What to write.
        is_forced: Replace what is there.

    Returns:
        Every file wanted, `labels` first; frost is missing where its photographs are.

    Raises:
        DataError: the clean images are missing, the photographs are not the published ones, or the
            folder holds something else.
        SettingsError: another process writes into the folder.
    """
    name = require_cifar(data.name)
    with sole_writer(folder, "`automix corruptions make`"):
        return _make_files(folder, data, name, wanted, is_forced=is_forced)


def _make_files(
    folder: Path, data: DataSettings, name: CifarName, wanted: Wanted, *, is_forced: bool
) -> list[MadePart]:
    """See `make_files`."""
    test = load_test(data)
    target = CorruptedFolder(folder, _identity(name, test, wanted), is_forced=is_forced)
    draws = draws_of(wanted, data, is_frost_there=target.md5_of("frost") is not None)
    missing = [each for each in draws if target.md5_of(each) is None]
    num_images = len(missing) * len(test) * len(wanted.severities)
    images, labels = test.images.permute(0, 2, 3, 1).contiguous(), test.labels
    del test  # the same images in another order
    keep_freed_memory()
    with counted("images", num_images) as advance:
        maker = _Maker(target, images.numpy(), labels.numpy(), wanted, advance)
        made = [maker.labels(), *(maker.file(each, draw) for each, draw in draws.items())]
    if made[0].md5 != MD5[name][LABELS] or not wanted.is_exact:  # labels tell severities, too
        return made
    return [_compared(each, MD5[name][each.name]) for each in made]


def _compared(made: MadePart, official: str) -> MadePart:
    """Say whether a file that must be the published one is."""
    if made.name not in REPRODUCIBLE:
        return made
    return replace(made, is_official=made.md5 == official)


def _identity(name: CifarName, test: ImageSet, wanted: Wanted) -> Identity:
    digest = hashlib.md5(test.images.numpy().data, usedforsecurity=False)
    digest.update(test.labels.numpy().data)
    return Identity(
        suite=wanted.suite,
        data_set=name,
        source_md5=digest.hexdigest(),
        seed=wanted.seed,
        precision=wanted.precision,
        severities=wanted.severities,
        generator_version=GENERATOR_VERSION,
    )


class _Maker:
    """Writes the files of one set.

    Args:
        target: Where they go.
        images: The clean images, `(n, h, w, 3)` uint8.
        labels: Their labels, `(n,)`.
        wanted: How they are made.
        advance: Told of every batch.
    """

    def __init__(
        self,
        target: CorruptedFolder,
        images: np.ndarray,
        labels: np.ndarray,
        wanted: Wanted,
        advance: Advance,
    ) -> None:
        self._target = target
        self._images = images
        self._labels = labels
        self._wanted = wanted
        self._advance = advance
        self._num_rows = len(images) * len(wanted.severities)

    def labels(self) -> MadePart:
        """Write the labels."""
        there = self._target.md5_of(LABELS)
        if there is not None:
            return MadePart(LABELS, there, None, None)
        rows = [self._labels.astype(np.uint8) for _ in self._wanted.severities]
        return MadePart(LABELS, self._target.write(LABELS, (self._num_rows,), rows), None, None)

    def file(self, name: str, draw: Draw | None) -> MadePart:
        """Write the file of a corruption."""
        there = self._target.md5_of(name)
        if there is not None:
            return MadePart(name, there, None, None)
        shape = (self._num_rows, *self._images.shape[1:])
        start = time.process_time()
        md5 = self._target.write(name, shape, self._batches(name, draw))
        milliseconds = 1000 * (time.process_time() - start) / self._num_rows
        return MadePart(name, md5, None, milliseconds)

    def _batches(self, name: str, draw: Draw | None) -> Iterator[np.ndarray]:
        for severity in self._wanted.severities:
            for batch in corrupted_batches(self._wanted, (name, draw), severity, self._images, 0):
                yield batch
                self._advance(name, len(batch))
