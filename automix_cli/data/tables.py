"""A person's own table: one line `path,label` or `path,label,split` for each image.

Rules:
    The first line may name the columns, in any order and among others; without it they are `path`,
    `label` and, if there is a third, `split`. Paths are relative to the table's folder.
    Labels are names, or numbers if all of them are: then they count from 0, and no number is left
    out. Splits are `train`, `val` and `test`, with the meaning they have as folders.
    A table without splits is all training images; `data.holdout` keeps back the test part.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

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

MOST_SHOWN = 5
"""Bad lines that an error quotes."""


class Row(NamedTuple):
    """One image: where it is, of what class, in which part, and the line that says so."""

    path: str
    label: str
    part: Part
    line: int


def load_table(request: DataRequest) -> Parts:
    """List the images of a person's own table.

    Raises:
        DataError: if the table cannot be read, names the lines that are wrong, the files that are
            missing, or the classes that a part has not.
    """
    if request.csv is None:
        raise DataError("no table of images was named", hint="--set data.csv=FILE")
    return parts_of(read_table(request.csv.expanduser()))


def read_table(path: Path) -> dict[Part, ImageFiles]:
    """Read a table of images, the training part first.

    Raises:
        DataError: see `load_table`.
    """
    rows = _rows(path)
    _refuse_bad_files(path, rows)
    if all(re.fullmatch(r"-?\d+", row.label) for row in rows):
        rows = [row._replace(label=str(int(row.label))) for row in rows]  # 07 is 7
        names = _numbers(path, rows)
    else:
        names = _names(path, rows)
    if len(names) < 2:
        raise DataError(f"`{path}` has {len(names)} class, at least 2 are needed")
    labels = {name: label for label, name in enumerate(names)}
    listings: dict[Part, ImageFiles] = {}
    for part in sorted({row.part for row in rows}, key=PART_ORDER.index):
        of_part = [row for row in rows if row.part == part]
        of_rows = torch.tensor([labels[row.label] for row in of_part], dtype=torch.int64)
        paths = tuple(row.path for row in of_part)
        listings[part] = ImageFiles(path.parent, paths, of_rows, names)
    return listings


def read_cells(path: Path, what: str) -> list[tuple[int, list[str]]]:
    """Read a table of comma-separated text: number and cells of each line that is not empty.

    Args:
        path: Of the file.
        what: How an error calls it.

    Raises:
        DataError: it cannot be read, or is no such text.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except OSError as error:
        raise DataError(f"cannot read {what} `{path}`: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(
            f"`{path}` is no table of comma-separated text in UTF-8: {error}",
            hint="put a path that holds a comma or a quote in double quotes",
        ) from error
    return [line for line in lines if any(line[1])]


def _rows(path: Path) -> list[Row]:
    lines = read_cells(path, "the table")
    columns, lines = _columns(path, lines)
    bad: list[str] = []
    rows = list(_read_lines(lines, columns, bad))
    refuse_lines(path, bad)
    if not any(row.part == "train" for row in rows):
        raise DataError(f"`{path}` names no training images", hint="wanted: path,label,split")
    return rows


def _columns(
    path: Path, lines: list[tuple[int, list[str]]]
) -> tuple[dict[str, int], list[tuple[int, list[str]]]]:
    """Find the columns, and give the lines below their names."""
    first = [cell.lower() for cell in lines[0][1]] if lines else []
    if "path" not in first:
        return {"path": 0, "label": 1, **({"split": 2} if len(first) > 2 else {})}, lines
    columns = {name: first.index(name) for name in ("path", "label", "split") if name in first}
    if "label" not in columns:
        raise DataError(
            f"`{path}` has the columns {listed(first, 10)} and no `label`",
            hint="wanted: path,label or path,label,split",
        )
    return columns, lines[1:]


def _read_lines(
    lines: list[tuple[int, list[str]]], columns: dict[str, int], bad: list[str]
) -> Iterator[Row]:
    """Read lines, and add what is wrong with them to `bad`."""
    width = max(columns.values()) + 1
    seen: dict[str, int] = {}
    for number, cells in lines:
        if len(cells) < width:
            bad.append(f"line {number} has {len(cells)} of {width} values")
            continue
        path, label = cells[columns["path"]], cells[columns["label"]]
        split = cells[columns["split"]] if "split" in columns else "train"
        if not path or not label:
            bad.append(f"line {number} has no {'label' if path else 'path'}")
        elif split.lower() not in SPELLINGS:
            bad.append(f"line {number} has the split `{split}`, wanted `train`, `val` or `test`")
        elif path in seen:
            bad.append(f"line {number} repeats the path of line {seen[path]}, `{path}`")
        else:
            seen[path] = number
            yield Row(path, label, SPELLINGS[split.lower()], number)


def refuse_lines(path: Path, bad: list[str], hint: str | None = None) -> None:
    """Name the first lines that are wrong.

    Raises:
        DataError: there are some.
    """
    if bad:
        more = f"; and {len(bad) - MOST_SHOWN} more lines" if len(bad) > MOST_SHOWN else ""
        raise DataError(f"in `{path}`, {'; '.join(bad[:MOST_SHOWN])}{more}", hint=hint)


def _refuse_bad_files(path: Path, rows: list[Row]) -> None:
    folder = path.parent
    missing = [
        f"line {row.line} names `{row.path}`, which is not there"
        for row in rows
        if not (folder / row.path).exists()
    ]
    refuse_lines(path, missing, hint=f"paths are relative to `{folder}`")


def _names(path: Path, rows: list[Row]) -> tuple[str, ...]:
    """The names of the classes, sorted by their characters; every part must have all of them."""
    classes: dict[Part, set[str]] = {"train": set()}
    for row in rows:
        classes.setdefault(row.part, set()).add(row.label)
    differences = class_differences(classes)
    if differences:
        raise DataError(
            f"the parts of `{path}` have other classes: {'; '.join(differences)}",
            hint="every class needs images in every part",
        )
    return tuple(sorted(classes["train"]))


def _numbers(path: Path, rows: list[Row]) -> tuple[str, ...]:
    """The classes where labels are numbers: from 0 to the largest of the training part."""
    num_classes = len({row.label for row in rows if row.part == "train"})
    out_of_range = [
        f"line {row.line} has the label {row.label}"
        for row in rows
        if not 0 <= int(row.label) < num_classes
    ]
    refuse_lines(
        path,
        out_of_range,
        hint=f"the training images have {num_classes} different labels, so numbers must be 0 to"
        f" {num_classes - 1}, with none left out",
    )
    return tuple(str(number) for number in range(num_classes))
