"""Pascal VOC's annotations, one XML file an image, as COCO's format.

VOC counts pixels from 1 and includes the last one; COCO's boxes begin at 0 and have a width. A
"difficult" object, which VOC neither asks for nor counts as wrong, becomes a crowd (`iscrowd`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from automix_cli.errors import DataError
from automix_cli.randomness import Purpose, stream

MOST_BYTES = 2**20
"""Of an XML file; theirs have about a thousand."""

FOLDERS = {"annotations": ("Annotations", "annotations"), "images": ("JPEGImages", "images")}
LISTS = {"train": ("trainval.txt", "train.txt"), "test": ("test.txt", "val.txt")}
"""The official parts, in `ImageSets/Main`, the first that is there."""


def coco_of_voc(directory: Path, test_share: float) -> dict[str, dict[str, Any]]:
    """Read a folder of VOC's layout: `Annotations` and `JPEGImages`, also in small letters.

    Args:
        directory: The folder.
        test_share: Share of the images that become the test part where no `ImageSets/Main` says
            which they are; in (0, 1). The same ones each time.

    Returns:
        `train` and `test` in COCO's format; file names are relative to the folder of images.

    Raises:
        DataError: something is missing, or an XML file is none of VOC's.
    """
    annotations, images = (folder_of(directory, kind) for kind in ("annotations", "images"))
    paths = sorted(annotations.glob("*.xml"))
    if not paths:
        raise DataError(f"`{annotations}` holds no XML files", hint="wanted one for each image")
    entries = {path.stem: _entry(path, images) for path in paths}
    names = sorted({each["name"] for entry in entries.values() for each in entry["objects"]})
    ids = {name: number for number, name in enumerate(names, start=1)}
    return {
        part: _as_coco([entries[stem] for stem in stems], ids)
        for part, stems in _parts(directory, sorted(entries), test_share).items()
    }


def folder_of(directory: Path, kind: str) -> Path:
    """The folder of `annotations` or `images`.

    Raises:
        DataError: there is none.
    """
    for name in FOLDERS[kind]:
        if (directory / name).is_dir():
            return directory / name
    raise DataError(
        f"`{directory}` has no folder `{'` or `'.join(FOLDERS[kind])}`",
        hint="wanted Pascal VOC's layout: XML files in `Annotations`, images in `JPEGImages`",
    )


def _parts(directory: Path, stems: list[str], test_share: float) -> dict[str, list[str]]:
    lists = directory / "ImageSets" / "Main"
    official = {
        part: next((lists / name for name in names if (lists / name).is_file()), None)
        for part, names in LISTS.items()
    }
    if official["train"] and official["test"]:
        return {part: _listed(path, stems) for part, path in official.items() if path is not None}
    if not 0 < test_share < 1:
        raise DataError(f"the share of test images must be in (0, 1), got `{test_share}`")
    num_test = round(test_share * len(stems))
    if not 0 < num_test < len(stems):
        raise DataError(
            f"of {len(stems)} images a share of {test_share} leaves nothing to train or to test on"
        )
    chosen = set(stream(Purpose.HOLDOUT, 3).permutation(len(stems))[:num_test].tolist())
    return {
        "train": [stem for number, stem in enumerate(stems) if number not in chosen],
        "test": [stem for number, stem in enumerate(stems) if number in chosen],
    }


def _listed(path: Path, stems: list[str]) -> list[str]:
    wanted = [line.split()[0] for line in path.read_text(encoding="utf-8").splitlines() if line]
    unknown = sorted(set(wanted) - set(stems))
    if unknown or not wanted:
        found = f"`{unknown[0]}`, which has no XML file" if unknown else "no image"
        raise DataError(f"`{path}` lists {found}", hint="it has one name without ending a line")
    return wanted


def _entry(path: Path, images: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
        if len(content) > MOST_BYTES or b"<!ENTITY" in content:
            raise DataError(f"`{path}` is larger than 1 MiB or defines entities: none of VOC's")
        root = ElementTree.fromstring(content)
        size = {name: int(_text(root, f"size/{name}")) for name in ("width", "height")}
        objects = [_object(each) for each in root.iter("object")]
        file = _text(root, "filename")
    except (ElementTree.ParseError, ValueError, OSError) as problem:
        raise DataError(
            f"`{path}` is not in Pascal VOC's format: {problem}",
            hint="wanted `annotation` with `filename`, `size` and `object`s with `bndbox`",
        ) from problem
    return {"file": _file_of(path, images, file), **size, "objects": objects}


def _file_of(path: Path, images: Path, file: str) -> str:
    """The image of an XML file: the one it names, or, as tools forget to rename, of its name."""
    if (images / file).is_file():
        return file
    for each in (path.with_suffix(suffix).name for suffix in (".jpg", ".jpeg", ".png")):
        if (images / each).is_file():
            return each
    raise DataError(
        f"`{path}` is of `{file}`, which is not in `{images}`",
        hint="an image is missing, or was renamed",
    )


def _object(element: ElementTree.Element) -> dict[str, Any]:
    corners = [float(_text(element, f"bndbox/{name}")) for name in ("xmin", "ymin", "xmax", "ymax")]
    difficult = element.findtext("difficult") or "0"
    return {"name": _text(element, "name"), "corners": corners, "difficult": int(difficult)}


def _text(element: ElementTree.Element, name: str) -> str:
    text = (element.findtext(name) or "").strip()
    if not text:
        raise ValueError(f"`{name}` is missing")
    return text


def _as_coco(entries: Sequence[Mapping[str, Any]], ids: Mapping[str, int]) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, entry in enumerate(entries, start=1):
        size = {"width": entry["width"], "height": entry["height"]}
        images.append({"id": number, "file_name": entry["file"], **size})
        for each in entry["objects"]:
            left, top, right, bottom = each["corners"]
            x, y = max(left - 1, 0), max(top - 1, 0)  # tools that count from 0 write 0
            box = [x, y, right - x, bottom - y]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": ids[each["name"]],
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": each["difficult"],
                }
            )
    categories = [{"id": number, "name": name} for name, number in ids.items()]
    return {"images": images, "annotations": annotations, "categories": categories}
