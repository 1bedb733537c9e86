"""Makes ImageNet-C and Tiny-ImageNet-C of anyone's photographs: files in, folders out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from automix_cli.commands.corrupting.batches import (
    GENERATOR_VERSION,
    MadePart,
    Wanted,
    corrupted_batches,
    draws_of,
)
from automix_cli.data.clean_photographs import CleanPhotographs
from automix_cli.data.corrupted_folders import FOLDERS
from automix_cli.data.corrupted_record import Identity
from automix_cli.data.corrupted_tree import CorruptedPhotograph, CorruptedTree
from automix_cli.data.image_files import ImageFiles
from automix_cli.data.parts import Images
from automix_cli.engine.allocator import keep_freed_memory
from automix_cli.errors import SettingsError
from automix_cli.evaluation.corruptions.draws import Draw
from automix_cli.reporting.counting import Advance, counted
from automix_cli.settings.data import DataSettings

CHUNK = 256
"""Photographs that are decoded once for all severities of a corruption."""

DIFFERENCES = (
    "not the published images: corrupted as their script does, but decoded and saved as JPEG by"
    " today's library, with other random draws"
)
TINY_DIFFERENCE = "; the published ones were cut out of larger photographs"
"""Said in `meta.json` and above every table."""


def photograph_folder(data: DataSettings, suite: str) -> Path:
    """Where generated photographs are kept unless a person says otherwise.

    Beside a folder of a person's own, in which every folder is a class; else in the data folder.
    """
    root = data.csv.expanduser().parent if data.csv is not None else data.dir.expanduser()
    if data.name in {"folder", "csv"}:
        root = root.resolve()
        return root.parent / f"{root.name}-{FOLDERS[suite]}-generated"
    return root / f"{data.name}-{FOLDERS[suite]}-generated"


def make_photographs(
    folder: Path, data: DataSettings, images: Images, wanted: Wanted, *, is_forced: bool = False
) -> list[MadePart]:
    """Write the corruptions that are wanted and not there yet.

    Args:
        folder: Where to.
        data: Where frost photographs may be.
        images: The clean photographs.
        wanted: What to write.
        is_forced: Replace what is there.

    Returns:
        Every corruption wanted; frost is missing where its photographs are.

    Raises:
        DataError: an image cannot be decoded, the frost photographs are not the published ones, or
            the folder holds something else.
        SettingsError: the images are no files.
    """
    if not isinstance(images, ImageFiles):
        raise SettingsError(
            f"`{wanted.suite}` is made of photographs in files, `{data.name}` is kept in arrays",
            hint="name a data set of photographs, or a folder of them: `--data-set folder"
            " --data-dir FOLDER`",
        )
    clean = CleanPhotographs(images, wanted.suite, wanted.size)
    identity = Identity(
        suite=wanted.suite,
        data_set=data.name,
        source_md5=clean.md5(),
        seed=wanted.seed,
        precision=wanted.precision,
        severities=wanted.severities,
        generator_version=GENERATOR_VERSION,
    )
    target = CorruptedTree(folder, identity, clean.class_folders, is_forced=is_forced)
    is_tiny = wanted.suite == "tiny-imagenet-c"
    target.note(differences=DIFFERENCES + (TINY_DIFFERENCE if is_tiny else ""))
    draws = draws_of(wanted, data, is_frost_there=target.md5_of("frost") is not None)
    num_missing = sum(target.md5_of(each) is None for each in draws)
    num_images = len(images) * len(wanted.severities)
    keep_freed_memory()
    made: list[MadePart] = []
    with counted("images", num_missing * num_images) as advance:
        for name, draw in draws.items():
            md5, milliseconds = target.md5_of(name), None
            if md5 is None:
                start = time.process_time()
                md5 = target.write(name, _photographs(clean, wanted, name, draw, advance))
                milliseconds = 1000 * (time.process_time() - start) / num_images
            made.append(MadePart(name, md5, None, milliseconds))
    return made


def _photographs(
    clean: CleanPhotographs, wanted: Wanted, name: str, draw: Draw | None, advance: Advance
) -> Iterator[CorruptedPhotograph]:
    for first in range(0, len(clean.files), CHUNK):
        numbers = range(first, min(first + CHUNK, len(clean.files)))
        pixels = clean.pixels(numbers)
        for severity in wanted.severities:
            places = iter(clean.places[first:])
            for batch in corrupted_batches(wanted, (name, draw), severity, pixels, first):
                for image in batch:
                    yield CorruptedPhotograph(severity, next(places), image)
                advance(name, len(batch))
