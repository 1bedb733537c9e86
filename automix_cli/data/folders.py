"""A person's own folder: `train/CLASS/...` beside `test/CLASS/...`, or one folder of classes.

Rules:
    A class is a folder; its images may lie in folders of its own, however deep. Class names are
    sorted by their characters, so labels are the same on every machine.
    `train` (or `training`) beside `test` or `val` (or `testing`, `valid`, `validation`) are parts.
    Where there is no `test`, the `val` part is what is reported on; where there are both, `val`
    chooses between checkpoints.
    A folder without parts is all training images, and `data.holdout` says how many of each class
    are kept back as the test part. A class may be called `train`: it has no folders in it.
    Names that begin with a full stop are passed over, and so are files that are no images by their
    suffix. Links are followed, except into a folder that one is in already.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from automix_cli.data.image_files import ImageFiles
from automix_cli.data.parts import (
    PART_ORDER,
    SPELLINGS,
    Part,
    Parts,
    class_differences,
    listed,
    parts_of,
)
from automix_cli.data.request import DataRequest
from automix_cli.errors import DataError

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm"),
)
"""Files that count as images, in capitals as well."""

LAYOUT = (
    "wanted are `train/CLASS/...` beside `test/CLASS/...` or `val/CLASS/...`, or one folder"
    " `CLASS/...` for each class together with `--set data.holdout=0.2`"
)


@dataclass(frozen=True)
class ClassFolders:
    """The classes of one part.

    Attributes:
        files: Paths of the images of each class, relative to the data folder, sorted.
        strays: Images that lie in no class folder, relative to the data folder.
    """

    files: Mapping[str, list[str]]
    strays: list[str]


def load_folder(request: DataRequest) -> Parts:
    """List the images of a person's own folder.

    Raises:
        DataError: if there are no classes, or too few; if a class is empty or missing from a part;
            if an image lies in no class.
    """
    root = request.directory
    folders = scan_folder(root)
    problems = folder_problems(folders)
    if problems:
        raise DataError(
            f"the folder `{root}` cannot be used: {'; '.join(problems[:3])}"
            + (f"; and {len(problems) - 3} more problems" if len(problems) > 3 else ""),
            hint=f"`automix data check {root}` lists all of them; {LAYOUT}",
        )
    return parts_of(image_files(root, folders))


def image_files(root: Path, folders: Mapping[Part, ClassFolders]) -> dict[Part, ImageFiles]:
    """Label the images of every part, by the classes of all parts together."""
    names = tuple(sorted({name for part in folders.values() for name in part.files}))
    labels = {name: label for label, name in enumerate(names)}
    listings: dict[Part, ImageFiles] = {}
    for part, classes in folders.items():
        paths = tuple(path for files in classes.files.values() for path in files)
        of_paths = [labels[name] for name, files in classes.files.items() for _ in files]
        listings[part] = ImageFiles(root, paths, torch.tensor(of_paths, dtype=torch.int64), names)
    return listings


def folder_problems(folders: Mapping[Part, ClassFolders]) -> list[str]:
    """Say what keeps a folder from being trained on."""
    problems: list[str] = []
    for part, classes in folders.items():
        empty = [name for name, files in classes.files.items() if not files]
        if empty:
            problems.append(f"no images in the class folder {listed(empty)} of the {part} part")
        if classes.strays:
            problems.append(f"{listed(classes.strays)} in no class folder")
        unwritable = [name for name in classes.files if not name.isprintable()]
        if unwritable:
            shown = listed([ascii(name) for name in unwritable])
            problems.append(f"class folders of names that cannot be written: {shown}")
    problems += class_differences({part: set(each.files) for part, each in folders.items()})
    if len(folders["train"].files) < 2:
        problems.append(f"{len(folders['train'].files)} class folders, at least 2 are needed")
    return problems


def loose_images(root: Path, class_name: str) -> ImageFiles:
    """List every image in a folder and below it, whatever folders mean there, as one class.

    Raises:
        DataError: the folder cannot be read, or has no image.
    """
    try:
        paths = sorted(_images_below(str(root), ".", ()))
    except OSError as error:
        raise DataError(f"cannot read the folder `{error.filename}`: {error.strerror}") from error
    if not paths:
        raise DataError(
            f"there is no image in `{root}` nor below it",
            hint=f"images are files named {' '.join(f'*{each}' for each in IMAGE_SUFFIXES)}",
        )
    names = tuple(path.removeprefix("./") for path in paths)
    return ImageFiles(root, names, torch.zeros(len(names), dtype=torch.int64), (class_name,))


def scan_folder(root: Path) -> dict[Part, ClassFolders]:
    """List the classes of every part of a folder, the training part first.

    Raises:
        DataError: if the folder cannot be read, holds no folders, has parts but none to train on,
            or two folders for the same part.
    """
    try:
        names = _subfolders(root)
        if not _has_parts(root, names):
            if not names:
                raise DataError(f"no folders in `{root}`", hint=LAYOUT)
            return {"train": _class_folders(root, root)}
        parts = {name: SPELLINGS[name.lower()] for name in names if name.lower() in SPELLINGS}
        _refuse_ambiguous(root, parts)
        ordered = sorted(parts, key=lambda name: PART_ORDER.index(parts[name]))
        return {parts[name]: _class_folders(root, root / name) for name in ordered}
    except OSError as error:
        raise DataError(
            f"cannot read the folder `{error.filename}`: {error.strerror}",
            hint="give the folder of your images: --data-dir FOLDER",
        ) from error


def _has_parts(root: Path, names: list[str]) -> bool:
    """Whether the folders are parts; a class called `train` has no folders in it."""
    spelled = [name for name in names if name.lower() in SPELLINGS]
    return bool(spelled) and (
        len(spelled) == len(names) or any(_subfolders(root / name) for name in spelled)
    )


def _refuse_ambiguous(root: Path, parts: Mapping[str, Part]) -> None:
    if "train" not in parts.values():
        raise DataError(f"`{root}` has {listed(sorted(parts))} and no `train`", hint=LAYOUT)
    for part in set(parts.values()):
        same = sorted(name for name, each in parts.items() if each == part)
        if len(same) > 1:
            raise DataError(
                f"`{root}` has {listed(same)}, which are both the {part} part",
                hint="keep one of them, or put their images together",
            )


def _subfolders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        found = [each.name for each in entries if each.name[0] != "." and each.is_dir()]
    return sorted(found)


def _class_folders(root: Path, part: Path) -> ClassFolders:
    prefix = part.relative_to(root)
    names = _subfolders(part)
    files = {
        name: sorted(_images_below(str(part / name), str(prefix / name), ())) for name in names
    }
    with os.scandir(part) as entries:
        strays = sorted(str(prefix / each.name) for each in entries if _is_image(each))
    return ClassFolders(files, strays)


def _images_below(folder: str, shown: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    """Find the images in a folder and in those below it.

    Args:
        folder: Where to look.
        shown: Its path relative to the data folder, with which the paths found begin.
        above: Device and inode of the folders it lies in, so that links in a circle come to an end.
    """
    status = Path(folder).stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    below: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name[0] != "." and entry.is_dir():
                below.append(entry.name)
            elif _is_image(entry):
                yield f"{shown}/{entry.name}"
    for name in below:
        yield from _images_below(f"{folder}/{name}", f"{shown}/{name}", (*above, here))


def _is_image(entry: os.DirEntry[str]) -> bool:
    """Whether a name is that of an image; a link that leads nowhere counts, and fails later."""
    return (
        entry.name[0] != "." and entry.name.lower().endswith(IMAGE_SUFFIXES) and not entry.is_dir()
    )
