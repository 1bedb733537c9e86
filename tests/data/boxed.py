"""A small detection data set: noise with bright squares and dark ones, made here."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIDE = 64
CATEGORIES = [{"id": 3, "name": "bright"}, {"id": 90, "name": "dark"}]  # ids skip numbers


def content_of(num_images: int, first: int = 0) -> dict[str, Any]:
    """Annotations of images with one square each; their pixels are those of `write_boxed`."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(first, first + num_images):
        rng = np.random.default_rng(number)
        side = int(rng.integers(20, 36))
        x, y = (int(each) for each in rng.integers(0, SIDE - side, size=2))
        images.append(
            {"id": 7 * number, "file_name": f"{number}.png", "width": SIDE, "height": SIDE}
        )
        category = CATEGORIES[number % 2]["id"]
        box = {"bbox": [x, y, side, side], "area": side**2, "iscrowd": 0}
        ids = {"id": number + 1, "image_id": 7 * number, "category_id": category}
        annotations.append({**ids, **box})
    return {"images": images, "annotations": annotations, "categories": CATEGORIES}


def write_boxed(root: Path, *, num_train: int = 8, num_test: int = 4) -> None:
    """Write `train.json`, `test.json` and `images/`."""
    (root / "images").mkdir(parents=True)
    first = 0
    for part, number in (("train", num_train), ("test", num_test)):
        content = content_of(number, first)
        first += number
        (root / f"{part}.json").write_text(json.dumps(content))
        for image, each in zip(content["images"], content["annotations"], strict=True):
            rng = np.random.default_rng(image["id"])
            pixels = rng.integers(90, 160, size=(SIDE, SIDE, 3), dtype=np.uint8)
            x, y, width, height = each["bbox"]
            pixels[y : y + height, x : x + width] = 250 if each["category_id"] == 3 else 5
            Image.fromarray(pixels).save(root / "images" / image["file_name"])
