"""How a published data set lies on the disk: what must be there, and where it comes from.

The folders are the official ones, as the archives unpack, so that nothing is converted by hand.
`--data-dir` may name the folder that holds the data set's folder, or that folder itself.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from automix_cli.data.download import Archive, fetch, is_there
from automix_cli.data.image_files import ImageFiles
from automix_cli.data.matlab import read_matlab
from automix_cli.data.parts import listed
from automix_cli.data.request import DataRequest
from automix_cli.errors import DataError


@dataclass(frozen=True)
class Layout:
    """A published data set on the disk.

    Attributes:
        title: Its name as people write it.
        folders: Names its folder may have under the data folder, such as that of torchvision; the
            first is where downloads go.
        wanted: What must be in it: files and folders; each with other names for the same, if any,
            after `|`.
        tree: What it looks like, and where it comes from, for a person who has to fetch it: a few
            lines, to follow "FOLDER/".
        archives: Looks up what can be downloaded; None where the publisher allows no programs.
        num_gb: What the archives hold together, where it is more than anybody expects.
    """

    title: str
    folders: tuple[str, ...]
    wanted: tuple[str, ...]
    tree: tuple[str, ...]
    archives: Callable[[], tuple[Archive, ...]] | None = None
    num_gb: int = 0


def located(layout: Layout, request: DataRequest) -> Path:
    """Give the folder of a data set, after fetching what is missing, if that is allowed.

    Raises:
        DataError: it is not there: says what is missing, where it comes from and where it belongs.
    """
    directory = request.directory
    places = [*(directory / name for name in layout.folders), directory]
    for place in places:
        if not _missing(layout, place):
            return place
    archives = layout.archives() if layout.archives is not None else ()
    may_download = request.may_download(layout.num_gb)
    for archive in archives:
        may_come = may_download or archive.copies_in(directory)
        if not may_come and archive.missing_from(directory):
            raise _not_there(layout, archives, request)
        fetch(archive, directory, download=may_download, mirror=request.mirror)
    if not archives or _missing(layout, places[0]):
        raise _not_there(layout, archives, request)
    return places[0]


def _missing(layout: Layout, place: Path) -> list[str]:
    return [
        wanted.replace("|", "` or `")
        for wanted in layout.wanted
        if not any(is_there(place / name) for name in wanted.split("|"))
    ]


def _not_there(layout: Layout, archives: tuple[Archive, ...], request: DataRequest) -> DataError:
    """Say everything that a person needs to fetch the data."""
    directory = request.directory
    closest = min(
        (directory / name for name in (*layout.folders, ".")),
        key=lambda place: len(_missing(layout, place)),
    )
    missing = _missing(layout, closest)
    lines = [f"    {directory / layout.folders[0]}/"]
    lines += [f"        {line}" for line in layout.tree]
    lines += [f"    from {each.url} (md5 {each.md5})" for each in archives]
    is_large = request.download is None and not request.may_download(layout.num_gb)
    size = f" ({layout.num_gb} GB, which are not downloaded unasked)" if is_large else ""
    advice = (
        "put the archives into that folder, or let them be downloaded where there is network:"
        f" --set data.download=true{size}"
        if archives
        else "its publisher lets no program download it"
    )
    return DataError(
        f"{layout.title} needs {listed(missing, 8)} in `{closest}`, and there is no such thing",
        hint="\n".join([f"wanted, as published; {advice}", *lines]),
    )


def labelled_files(
    root: Path, rows: list[tuple[str, int]], class_names: tuple[str, ...]
) -> ImageFiles:
    """Make a part of paths, relative to `root`, with their labels.

    Raises:
        DataError: a label has no class.
    """
    labels = torch.tensor([label for _, label in rows], dtype=torch.int64)
    try:
        return ImageFiles(root, tuple(path for path, _ in rows), labels, class_names)
    except ValueError as error:
        raise DataError(f"the lists of `{root}` do not fit together: {error}") from error


def named_files(
    root: Path, rows: list[tuple[str, str]], class_names: tuple[str, ...]
) -> ImageFiles:
    """Make a part of paths, relative to `root`, with the names of their classes.

    Raises:
        DataError: a name is not among `class_names`.
    """
    labels = {name: label for label, name in enumerate(class_names)}
    unknown = sorted({name for _, name in rows} - labels.keys())
    if unknown:
        raise DataError(
            f"the lists of `{root}` name classes that are not listed: {listed(unknown)}"
        )
    return labelled_files(root, [(path, labels[name]) for path, name in rows], class_names)


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """Read a list of two words a line; the second may hold spaces."""
    return [(words[0], words[1]) for words in read_words(path, columns=2, at_most=2)]


def matlab_variables(path: Path, *names: str) -> dict[str, Any]:
    """Read variables of a MATLAB file.

    Raises:
        DataError: the file cannot be read, or has no such variable.
    """
    try:
        variables = read_matlab(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read `{path}`: {error}") from error
    absent = [name for name in names if name not in variables]
    if absent:
        raise DataError(f"`{path}` has no {listed(absent)}, but {listed(sorted(variables))}")
    return variables


def read_words(path: Path, *, columns: int, at_most: int | None = None) -> Iterator[list[str]]:
    """Read a list, one image a line, as words.

    Args:
        path: A text file; empty lines are passed over.
        columns: Words that each line has at least.
        at_most: Words into which a line is divided; None: as many as there are.

    Raises:
        DataError: the file cannot be read, or names the line that is too short.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                words = line.split(None, -1 if at_most is None else at_most - 1)
                if words and len(words) < columns:
                    raise DataError(
                        f"line {number} of `{path}` has {len(words)} of {columns} words:"
                        f" `{line.strip()}`",
                        hint="the file is damaged or cut off; copy it anew",
                    )
                if words:
                    yield [word.strip() for word in words]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError(f"cannot read `{path}`: {reason}") from error


def as_number(word: str, path: Path) -> int:
    """Read a whole number from a list.

    Raises:
        DataError: it is none.
    """
    try:
        return int(word)
    except ValueError as error:
        raise DataError(f"`{path}` has `{word}` where a number should be") from error
