"""Images with boxes, in COCO's format: read from its JSON and checked.

Legend: n boxes of an image. A box is x0 y0 x1 y1, in pixels of the stored image; COCO's files have
x y width height.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from automix_cli.errors import DataError

SPARE_PIXELS = 1.0
"""How far a box may reach out of its image without being bad: annotations are rounded."""

HINT = (
    "wanted COCO's format: an object with `images`, `annotations` and `categories`; `automix data "
    "voc-to-coco` makes it of Pascal VOC's XML files"
)


@dataclass(frozen=True)
class BoxedImage:
    """An image and what is to be found in it.

    Attributes:
        id: Of the image, in the annotations.
        file: Its path below the folder of images.
        height: In pixels.
        width: In pixels.
        boxes: `(n, 4)`, float32, within the image, without crowds.
        labels: `(n,)`, int64, from 1: 0 stands for the background.
    """

    id: int
    file: str
    height: int
    width: int
    boxes: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class BoxedImages:
    """One part of a detection data set.

    Attributes:
        root: Folder of the images.
        annotations: The file they were read from.
        images: In the order of the file.
        category_ids: The categories' ids, ascending: label k is the one at position k - 1.
        class_names: Their names, in the same order.
        num_repaired: Boxes that were cut or left out.
    """

    root: Path
    annotations: Path
    images: tuple[BoxedImage, ...]
    category_ids: tuple[int, ...]
    class_names: tuple[str, ...]
    num_repaired: int

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.images)

    def with_boxes(self) -> tuple[BoxedImage, ...]:
        """The images that something can be learned from, as the literature trains on COCO.

        Raises:
            DataError: there are none.
        """
        kept = tuple(image for image in self.images if len(image.boxes))
        if not kept:
            raise DataError(
                f"`{self.annotations}` has {len(self.images)} images and no box to learn from",
                hint="boxes of crowds (`iscrowd`) do not count",
            )
        return kept


def read_boxed_images(annotations: Path, root: Path, *, repair: bool) -> BoxedImages:
    """Read and check annotations, and see that every image is there.

    Args:
        annotations: The JSON file.
        root: Folder of the images.
        repair: Whether bad boxes are cut at the border, and left out where nothing remains, instead
            of being an error.

    Raises:
        DataError: the file is missing or has another format, its parts do not go together, a box is
            bad, or an image is missing.
    """
    content = read_annotations(annotations)
    names = _categories(content, annotations)
    ids = tuple(sorted(names))
    labels = {each: number for number, each in enumerate(ids, start=1)}
    by_image = _sorted_by_image(content, annotations, names)
    images: list[BoxedImage] = []
    bad: list[str] = []
    for entry in content["images"]:
        image, problems = _boxed(entry, by_image[entry["id"]], labels)
        images.append(image)
        bad += problems
    if bad and not repair:
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise DataError(
            f"`{annotations}` has bad boxes: {'; '.join(bad[:3])}{more}",
            hint="mend them, or `--set detection.bad_boxes=repair` cuts them at the border and "
            "leaves out those without an area",
        )
    _refuse_missing_files(images, root, annotations)
    return BoxedImages(
        root, annotations, tuple(images), ids, tuple(names[each] for each in ids), len(bad)
    )


def read_annotations(path: Path) -> dict[str, Any]:
    """Read the JSON, and refuse another format.

    Raises:
        DataError: it is missing, or is something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as problem:
        raise DataError(
            f"wanted annotations at `{path}`, found nothing",
            hint="`data.dir`, `detection.train` and `detection.test` say where they are",
        ) from problem
    except (OSError, ValueError) as problem:  # also what is no text
        reason = str(problem).partition("\n")[0]
        raise DataError(f"`{path}` cannot be read as JSON: {reason}", hint=HINT) from problem
    lists = ("images", "annotations", "categories")
    is_object = isinstance(content, dict)
    wrong = [name for name in lists if not (is_object and isinstance(content.get(name), list))]
    if wrong:
        named = " and ".join(f"`{name}`" for name in wrong)
        raise DataError(f"`{path}` has another format: it has no list {named}", hint=HINT)
    return content


def _categories(content: Mapping[str, Any], path: Path) -> dict[int, str]:
    names = {_whole(each, "id", path): str(each.get("name", "")) for each in content["categories"]}
    if not names or len(names) < len(content["categories"]):
        what = "two categories with one id" if names else "no categories"
        raise DataError(f"`{path}` has {what}", hint=HINT)
    return names


def _sorted_by_image(
    content: Mapping[str, Any], path: Path, names: Mapping[int, str]
) -> dict[int, list[dict[str, Any]]]:
    by_image: dict[int, list[dict[str, Any]]] = {}
    for entry in content["images"]:
        for name in ("height", "width"):
            _whole(entry, name, path)
        by_image[_whole(entry, "id", path)] = []
        if "file_name" not in entry:
            raise DataError(f"`{path}` has an image without `file_name`", hint=HINT)
    if len(by_image) < len(content["images"]):
        raise DataError(f"`{path}` has two images with one id", hint="ids must differ")
    for each in content["annotations"]:
        image, category = _whole(each, "image_id", path), _whole(each, "category_id", path)
        if image not in by_image or category not in names:
            what = f"image {image}" if image not in by_image else f"category {category}"
            raise DataError(
                f"annotation {each.get('id')} in `{path}` is of {what}, which is not listed",
                hint="every annotation names an image and a category of the same file",
            )
        by_image[image].append(each)
    return by_image


def _whole(entry: Any, name: str, path: Path) -> int:
    value = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(value, int) or isinstance(value, bool):
        raise DataError(
            f"`{path}` has another format: `{name}` must be a whole number, got `{value}`",
            hint=HINT,
        )
    return value


def _boxed(
    entry: Mapping[str, Any], annotations: list[dict[str, Any]], labels: Mapping[int, int]
) -> tuple[BoxedImage, list[str]]:
    """An image with its good boxes and those that could be cut, and what was bad."""
    height, width, file = entry["height"], entry["width"], str(entry["file_name"])
    boxes: list[np.ndarray] = []
    kept: list[int] = []
    bad: list[str] = []
    for each in annotations:
        if each.get("iscrowd"):
            continue
        found = f"annotation {each.get('id')} of `{file}`"
        corners = _corners(each.get("bbox"))
        if corners is None:
            bad.append(f"{found} has `bbox` `{each.get('bbox')}`, wanted x, y, width, height")
            continue
        cut = np.clip(corners, 0, np.array([width, height, width, height]))
        if np.abs(cut - corners).max() > SPARE_PIXELS:
            bad.append(f"{found} reaches out of its image: {each['bbox']} in {width} x {height}")
        elif (cut[2:] <= cut[:2]).any():
            bad.append(f"{found} has no area: {each['bbox']}")
        if (cut[2:] > cut[:2]).all():
            boxes.append(cut)
            kept.append(labels[each["category_id"]])
    as_array = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    image = BoxedImage(entry["id"], file, height, width, as_array, np.array(kept, dtype=np.int64))
    return image, bad


def _corners(box: Any) -> np.ndarray | None:
    """x0 y0 x1 y1 of COCO's x, y, width, height; None if it is something else."""
    is_list = isinstance(box, list) and len(box) == 4
    if not is_list or not all(isinstance(each, int | float) for each in box):
        return None
    x, y, width, height = map(float, box)
    corners = np.array([x, y, x + width, y + height])
    return corners if np.isfinite(corners).all() else None


def _refuse_missing_files(images: list[BoxedImage], root: Path, annotations: Path) -> None:
    missing = [image.file for image in images if not (root / image.file).is_file()]
    if images and not missing:
        return
    message = f"`{annotations}` lists no images"
    if missing:
        message = (
            f"of the {len(images)} images in `{annotations}` {len(missing)} are missing in "
            f"`{root}`, such as `{missing[0]}`"
        )
    raise DataError(
        message, hint="`detection.train_images` and `detection.test_images` name their folders"
    )
