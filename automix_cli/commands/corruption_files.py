"""Makes corrupted test sets: clean images, draws and corruptions in, files out."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from automix_cli import build
from automix_cli.data import frost
from automix_cli.data.cifar import CifarName, load_cifar_test
from automix_cli.data.corrupted_official import FOLDERS, LABELS, MD5, REPRODUCIBLE, SEVERITIES
from automix_cli.data.corrupted_writing import CorruptedFolder, Identity
from automix_cli.data.image_set import ImageSet
from automix_cli.errors import DataError, SettingsError
from automix_cli.evaluation.corruptions import CORRUPTIONS, corrupt, draw_all, frost_draw
from automix_cli.evaluation.corruptions.draws import Draw
from automix_cli.randomness import Purpose, stream
from automix_cli.reporting.counting import Advance, counted
from automix_cli.reporting.progress import say
from automix_cli.settings.data import DataSettings

GENERATOR_VERSION = 1
"""Raised with every change that moves a pixel of a generated set."""

BATCH_SIZE = 100
"""Images at a time: enough to pay for each step, few enough for the processor's cache. No result
depends on it."""

POOL_BYTES = 30 * 2**20
"""Freed memory to keep, rather than to give back to the system after every batch."""


@dataclass(frozen=True)
class Wanted:
    """Which corrupted images are wanted.

    Attributes:
        names: Corruptions, in the order of `CORRUPTIONS`.
        severities: Ascending.
        seed: Seed of all draws.
        is_exact: float64 instead of float32.
        frost_dir: Folder of the frost photographs, or None.
        is_frost_needed: Whether missing photographs are an error, or leave frost out.
    """

    names: tuple[str, ...] = tuple(CORRUPTIONS)
    severities: tuple[int, ...] = SEVERITIES
    seed: int = 0
    is_exact: bool = True
    frost_dir: Path | None = None
    is_frost_needed: bool = False


@dataclass(frozen=True)
class MadeFile:
    """One file of a generated set.

    Attributes:
        name: Corruption, or `labels`.
        md5: Its checksum.
        is_official: Whether it is the published file, byte for byte; None where that cannot be
            expected.
        milliseconds: Processor time for each image, or None for a file that was there already.
    """

    name: str
    md5: str
    is_official: bool | None
    milliseconds: float | None


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
) -> list[MadeFile]:
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
    """
    name = require_cifar(data.name)
    test = load_test(data)
    target = CorruptedFolder(folder, _identity(name, test, wanted), is_forced=is_forced)
    draws = {each: CORRUPTIONS[each].draw for each in wanted.names}
    if "frost" in draws and target.md5_of("frost") is None:
        draws |= {"frost": _frost_draw(data, wanted)}
    if "frost" in draws and draws["frost"] is None and target.md5_of("frost") is None:
        del draws["frost"]
    missing = [each for each in draws if target.md5_of(each) is None]
    num_images = len(missing) * len(test) * len(wanted.severities)
    images, labels = test.images.permute(0, 2, 3, 1).contiguous(), test.labels
    del test  # the same images in another order
    _keep_freed_memory()
    with counted("images", num_images) as advance:
        maker = _Maker(target, images.numpy(), labels.numpy(), wanted, advance)
        made = [maker.labels(), *(maker.file(each, draw) for each, draw in draws.items())]
    if made[0].md5 != MD5[name][LABELS] or not wanted.is_exact:  # labels tell severities, too
        return made
    return [_compared(each, MD5[name][each.name]) for each in made]


def _compared(made: MadeFile, official: str) -> MadeFile:
    """Say whether a file that must be the published one is."""
    if made.name not in REPRODUCIBLE:
        return made
    return replace(made, is_official=made.md5 == official)


def _identity(name: CifarName, test: ImageSet, wanted: Wanted) -> Identity:
    digest = hashlib.md5(test.images.numpy().data, usedforsecurity=False)
    digest.update(test.labels.numpy().data)
    precision = "float64" if wanted.is_exact else "float32"
    return Identity(
        name, digest.hexdigest(), wanted.seed, precision, wanted.severities, GENERATOR_VERSION
    )


def _frost_draw(data: DataSettings, wanted: Wanted) -> Draw | None:
    """The draw of frost, or None, and a word about it, where its photographs cannot be had."""
    folder = wanted.frost_dir
    try:
        if folder is None:
            folder = data.dir.expanduser() / "frost"
            if build.data_request(data).may_download():
                frost.fetch_photographs(folder)
        return frost_draw(frost.load_photographs(folder))
    except DataError as error:
        if wanted.is_frost_needed or wanted.frost_dir is not None:
            raise
        say(f"frost is left out: {error.message}")
        return None


def _keep_freed_memory() -> None:
    """Tell glibc, by giving a large block back, to keep freed memory up to that size.

    Without it every batch's arrays are new pages, which cost as much as the arithmetic on them.
    Other systems' allocators are none the wiser.
    """
    torch.empty(POOL_BYTES, dtype=torch.uint8)


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

    def labels(self) -> MadeFile:
        """Write the labels."""
        there = self._target.md5_of(LABELS)
        if there is not None:
            return MadeFile(LABELS, there, None, None)
        rows = [self._labels.astype(np.uint8) for _ in self._wanted.severities]
        return MadeFile(LABELS, self._target.write(LABELS, (self._num_rows,), rows), None, None)

    def file(self, name: str, draw: Draw | None) -> MadeFile:
        """Write the file of a corruption."""
        there = self._target.md5_of(name)
        if there is not None:
            return MadeFile(name, there, None, None)
        shape = (self._num_rows, *self._images.shape[1:])
        start = time.process_time()
        md5 = self._target.write(name, shape, self._batches(name, draw))
        milliseconds = 1000 * (time.process_time() - start) / self._num_rows
        return MadeFile(name, md5, None, milliseconds)

    def _batches(self, name: str, draw: Draw | None) -> Iterator[np.ndarray]:
        wanted = self._wanted
        position = list(CORRUPTIONS).index(name)
        for severity in wanted.severities:
            for start in range(0, len(self._images), BATCH_SIZE):
                images = self._images[start : start + BATCH_SIZE]
                draws = ()
                if draw is not None:
                    key = (wanted.seed, position, severity)
                    generators = [
                        stream(Purpose.CORRUPTION, *key, start + each)
                        for each in range(len(images))
                    ]
                    draws = draw_all(draw, severity, images, generators)
                yield corrupt(name, severity, images, draws, is_exact=wanted.is_exact)
                self._advance(name, len(images))
