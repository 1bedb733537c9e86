"""Where corrupted images come from: files in the layout of CIFAR-C, or folders of photographs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from automix_cli.commands.corrupting.batches import Wanted
from automix_cli.commands.corrupting.files import (
    generated_folder,
    load_test,
    make_files,
    require_cifar,
)
from automix_cli.commands.corrupting.photographs import make_photographs, photograph_folder
from automix_cli.commands.requests.corruptions import CorruptedEvaluation
from automix_cli.data import corrupted_folders
from automix_cli.data.cifar import CifarName
from automix_cli.data.corrupted_official import FOLDERS
from automix_cli.data.corrupted_reading import open_corrupted
from automix_cli.data.image_files import ImageFiles
from automix_cli.data.image_set import ImageSet
from automix_cli.data.parts import Images
from automix_cli.errors import SettingsError
from automix_cli.evaluation.corruptions import CORRUPTIONS
from automix_cli.reporting.progress import say
from automix_cli.settings import Settings

CIFAR_C = "cifar-c"
NAMES = (CIFAR_C, *corrupted_folders.FOLDERS)
"""Every suite of corrupted images, as named on the command line."""


@dataclass(frozen=True)
class Suite:
    """Corrupted images of all kinds there are.

    Attributes:
        name: As on the command line.
        title: As published.
        folder: Where the images are.
        corruptions: What there is, in the order of `CORRUPTIONS`.
        severities: Ascending.
        num_images: Images that are measured on, of each corruption and severity.
        is_partial: Whether there are more.
        meta: How automix made them, or None where it did not.
        images: Corruption and severity to their images, in one set or several.
        clean: The clean images that belong to a part, or None for the whole test set.
    """

    name: str
    title: str
    folder: Path
    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    num_images: int
    is_partial: bool
    meta: dict[str, Any] | None
    images: Callable[[str, int], Iterable[ImageSet]]
    clean: ImageSet | None


def cifar_suite(settings: Settings, request: CorruptedEvaluation) -> Suite:
    """Find or make CIFAR-10-C or CIFAR-100-C.

    They are in the folder asked for, or the published ones in the data folder, or generated ones
    there, which are made when there are none.

    Raises:
        DataError: images are missing or not what they should be.
        SettingsError: the data set is no CIFAR.
    """
    name = require_cifar(settings.data.name)
    test = load_test(settings.data)
    found = open_corrupted(_cifar_folder(name, settings, request), tuple(CORRUPTIONS), test)
    num_images = min(request.limit or len(test), len(test))

    def images(corruption: str, severity: int) -> list[ImageSet]:
        block = np.array(found.images(corruption, severity)[:num_images])
        pixels = torch.from_numpy(block).permute(0, 3, 1, 2).contiguous()
        return [ImageSet(pixels, test.labels[:num_images], test.class_names)]

    is_partial = num_images < len(test)
    return Suite(
        name=request.suite,
        title=FOLDERS[name],
        folder=found.folder,
        corruptions=found.names,
        severities=found.severities,
        num_images=num_images,
        is_partial=is_partial,
        meta=found.meta,
        images=images,
        clean=test.take(np.arange(num_images)) if is_partial else None,
    )


def _cifar_folder(name: CifarName, settings: Settings, request: CorruptedEvaluation) -> Path:
    if request.folder is not None:
        return request.folder.expanduser()
    published = settings.data.dir.expanduser() / FOLDERS[name]
    if any(published.glob("*.npy")):
        return published
    folder = generated_folder(settings.data, name)
    say(f"`{published}` holds no images: they are generated in `{folder}`, unless they are there")
    make_files(folder, settings.data, Wanted(frost_dir=request.frost_dir))
    return folder


def photograph_suite(
    settings: Settings, request: CorruptedEvaluation, test: Images, size: int
) -> Suite:
    """Find or make ImageNet-C or Tiny-ImageNet-C.

    They are in the folder asked for, or the published ones in the data folder, or generated ones,
    which are made of the test images when there are none.

    Args:
        settings: Where the data are.
        request: Which suite, and in which folder.
        test: The clean test images, of the classes that the classifier knows.
        size: Height and width that the classifier sees.

    Raises:
        DataError: images are missing or not what they should be.
        SettingsError: only a part is asked for; the first images would be of few classes.
    """
    if request.limit is not None:
        raise SettingsError(
            f"`--corruptions-limit` is for `{CIFAR_C}`: in `{request.suite}` the first images are"
            " of the first classes"
        )
    title = corrupted_folders.FOLDERS[request.suite]
    folder = _photograph_folder(settings, request, test)
    found = corrupted_folders.open_corrupted_folders(
        folder, tuple(CORRUPTIONS), test.class_names, size
    )
    return Suite(
        name=request.suite,
        title=title,
        folder=folder,
        corruptions=found.names,
        severities=found.severities,
        num_images=found.num_images,
        is_partial=False,
        meta=found.meta,
        images=found.image_sets,
        clean=None,
    )


def _photograph_folder(settings: Settings, request: CorruptedEvaluation, test: Images) -> Path:
    if request.folder is not None:
        return request.folder.expanduser()
    published = settings.data.dir.expanduser() / corrupted_folders.FOLDERS[request.suite]
    if published.is_dir() or not isinstance(test, ImageFiles):
        return published
    folder = photograph_folder(settings.data, request.suite)
    say(f"there is no `{published}`: images are generated in `{folder}`, unless they are there")
    wanted = Wanted(suite=request.suite, frost_dir=request.frost_dir)
    make_photographs(folder, settings.data, test, wanted)
    return folder
