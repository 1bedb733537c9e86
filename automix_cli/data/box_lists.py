"""Where objects are in images: lists of boxes, for each image one or several.

A person's own list is a table of comma-separated text:

```text
path,x,y,w,h                  left, top, width and height in pixels of the image as it is stored
path,...,x0,y0,x1,y1          or two corners
```

The first line may name the columns, in any order and among others; without it they are those of the
first form. Paths are relative to the data folder. A line more for the same path is another box.

That of CUB-200-2011 is its official `bounding_boxes.txt`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from automix_cli.data.image_files import ImageFiles
from automix_cli.data.layout import read_pairs, read_words
from automix_cli.data.parts import listed
from automix_cli.data.tables import read_cells, refuse_lines
from automix_cli.errors import DataError

SIDES, CORNERS = ("x", "y", "w", "h"), ("x0", "y0", "x1", "y1")

Boxes = Mapping[str, np.ndarray]
"""By path, `(g, 4)`: x0, y0, x1, y1 in pixels."""

Lines = list[tuple[int, list[str]]]
"""The number and the cells of each."""


def read_boxes(path: Path) -> Boxes:
    """Read a person's own list.

    Raises:
        DataError: it cannot be read, has no such columns, or a line is no box; names the lines.
    """
    lines = read_cells(path, "the list of boxes")
    if not lines:
        raise DataError(f"`{path}` is empty", hint="wanted: lines of path,x,y,w,h")
    columns, lines = _columns(path, lines)
    bad: list[str] = []
    boxes: dict[str, list[tuple[float, ...]]] = {}
    for name, box in _read(lines, columns, bad):
        boxes.setdefault(name, []).append(box)
    refuse_lines(path, bad)
    return {name: np.array(each) for name, each in boxes.items()}


def _columns(path: Path, lines: Lines) -> tuple[dict[str, int], Lines]:
    """Find the columns, and give the lines below their names."""
    first = [cell.lower() for cell in lines[0][1]]
    if "path" not in first:
        return {name: place for place, name in enumerate(("path", *SIDES))}, lines
    for names in (SIDES, CORNERS):
        if set(names) <= set(first):
            return {name: first.index(name) for name in ("path", *names)}, lines[1:]
    raise DataError(
        f"`{path}` has the columns {listed(first, 10)}, which say no box",
        hint="wanted: path,x,y,w,h or path,x0,y0,x1,y1",
    )


def _read(
    lines: Lines, columns: dict[str, int], bad: list[str]
) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Read lines, and add what is wrong with them to `bad`."""
    width, names = max(columns.values()) + 1, [name for name in columns if name != "path"]
    for number, cells in lines:
        if len(cells) < width:
            bad.append(f"line {number} has {len(cells)} of {width} values")
            continue
        words = [cells[columns[name]] for name in names]
        try:
            box = corners([float(word) for word in words], are_sides="w" in columns)
        except ValueError as problem:
            bad.append(f"line {number} has `{','.join(words)}` ({problem})")
            continue
        yield str(PurePosixPath(cells[columns["path"]])), box


def corners(values: Sequence[float], *, are_sides: bool) -> tuple[float, ...]:
    """Turn four numbers into x0, y0, x1, y1.

    Raises:
        ValueError: they are no box.
    """
    if not all(math.isfinite(each) for each in values):
        raise ValueError("not finite")
    x0, y0, *rest = values
    x1, y1 = (x0 + rest[0], y0 + rest[1]) if are_sides else rest
    if not (x1 > x0 and y1 > y0):
        raise ValueError("a box must have a width and a height above 0")
    return x0, y0, x1, y1


def read_cub_boxes(root: Path) -> Boxes:
    """Read the official list of CUB-200-2011: one box an image.

    Args:
        root: Folder that holds `images.txt`.

    Raises:
        DataError: a list is missing or damaged, or the lists do not fit together.
    """
    paths = dict(read_pairs(root / "images.txt"))
    path = root / "bounding_boxes.txt"
    boxes: dict[str, np.ndarray] = {}
    for number, *words in read_words(path, columns=5):
        try:
            box = corners([float(word) for word in words[:4]], are_sides=True)
            boxes[f"images/{paths[number]}"] = np.array([box])
        except (KeyError, ValueError) as problem:
            raise DataError(
                f"`{path}` has `{' '.join(words)}` for image {number}: {problem}",
                hint="the file is damaged or of another data set; copy it anew",
            ) from problem
    return boxes


def boxed_rows(images: ImageFiles, boxes: Boxes, source: Path) -> np.ndarray:
    """The numbers of the images that have boxes; a list may be about other images too.

    Raises:
        DataError: it names files that are not there, or none of these images.
    """
    rows = np.array([row for row, path in enumerate(images.paths) if path in boxes], dtype=np.int64)
    here = set(images.paths)
    absent = [path for path in boxes if path not in here and not (images.root / path).exists()]
    if absent:
        raise DataError(
            f"`{source}` has boxes for {listed(absent, 3)}, which is not in `{images.root}`",
            hint=f"paths are relative to the data folder, such as `{images.paths[0]}`",
        )
    if len(rows) == 0:
        raise DataError(
            f"`{source}` has boxes for {len(boxes)} images, none of them a test image",
            hint=f"a test image is `{images.paths[0]}`",
        )
    return rows
