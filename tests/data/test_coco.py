"""Images with boxes: COCO's JSON read and checked, and shown to a detector."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from automix_cli.data.batch_plan import BatchPlan
from automix_cli.data.boxed_batches import BoxedBatches, Sizes, images_in_order
from automix_cli.data.coco import BoxedImages, read_boxed_images
from automix_cli.data.loading import Loading
from automix_cli.errors import DataError
from tests.data.boxed import SIDE, content_of, write_boxed

Change = Callable[[dict[str, Any]], object]
LOADING = Loading(torch.device("cpu"), 0)


def read(root: Path, *, repair: bool = False) -> BoxedImages:
    return read_boxed_images(root / "train.json", root / "images", repair=repair)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_boxed(tmp_path)
    return tmp_path


def changed(root: Path, change: Change) -> Path:
    content = json.loads((root / "train.json").read_text())
    change(content)
    (root / "train.json").write_text(json.dumps(content))
    return root


def test_ids_that_skip_numbers_become_labels_from_1_and_back(root: Path) -> None:
    images = read(root)
    assert images.category_ids == (3, 90)
    assert images.class_names == ("bright", "dark")
    assert [image.labels.tolist() for image in images.images[:2]] == [[1], [2]]
    x, y, width, height = content_of(1)["annotations"][0]["bbox"]
    assert images.images[0].boxes.tolist() == [[x, y, x + width, y + height]]


def test_an_image_without_boxes_is_tested_on_and_not_trained_on(root: Path) -> None:
    images = read(changed(root, lambda content: content["annotations"].pop(0)))
    assert len(images) == 8
    assert len(images.with_boxes()) == 7
    images = read(changed(root, lambda content: content["annotations"].clear()))
    with pytest.raises(DataError, match="8 images and no box to learn from"):
        images.with_boxes()


def test_crowds_are_not_learned_from(root: Path) -> None:
    images = read(changed(root, lambda content: content["annotations"][0].update(iscrowd=1)))
    assert len(images.images[0].boxes) == 0


def put(name: str, value: object, kind: str = "annotations") -> Change:
    return lambda content: content[kind][0].update({name: value})


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (put("bbox", [5, 5, 0, 9]), "annotation 1 of `0.png` has no area"),
        (put("bbox", [60, 5, 40, 9]), "reaches out of its image: [60, 5, 40, 9] in 64 x 64"),
        (put("bbox", [70, 70, 9, 9]), "reaches out of its image"),
        (put("bbox", [5, 5, -3, 9]), "annotation 1 of `0.png` has no area"),
        (put("bbox", [5, 5, 9]), "wanted x, y, width, height"),
        (put("bbox", "here"), "wanted x, y, width, height"),
        (
            put("category_id", 4),
            "annotation 1 in",
        ),
        (put("image_id", 1), "is of image 1, which is not listed"),
        (put("category_id", "bright"), "`category_id` must be a whole number, got `bright`"),
        (put("id", 7, "images"), "two images with one id"),
        (put("id", 90, "categories"), "two categories with one id"),
        (put("file_name", "gone.png", "images"), "such as `gone.png`"),
        (lambda content: content.pop("categories"), "has no list `categories`"),
        (lambda content: content["categories"].clear(), "no categories"),
        (lambda content: content["images"][0].pop("file_name"), "without `file_name`"),
        (lambda content: (content["images"].clear(), content["annotations"].clear()), "no images"),
    ],
)
def test_what_is_wrong_is_an_error_that_says_where(root: Path, change: Change, part: str) -> None:
    with pytest.raises(DataError) as caught:
        read(changed(root, change))
    assert part in caught.value.message
    assert "train.json" in caught.value.message


def test_boxes_that_can_be_repaired_are_cut_and_counted(root: Path) -> None:
    images = read(changed(root, put("bbox", [60, 5, 40, 9])), repair=True)
    assert images.images[0].boxes.tolist() == [[60, 5, 64, 14]]
    images = read(changed(root, put("bbox", [5, 5, 0, 9])), repair=True)
    assert (len(images.images[0].boxes), images.num_repaired) == (0, 1)


def test_a_box_that_is_a_pixel_out_by_rounding_is_cut_without_a_word(root: Path) -> None:
    images = read(changed(root, put("bbox", [-0.5, 5, 64.9, 9])))
    assert images.images[0].boxes.tolist() == [[0, 5, 64, 14]]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("<annotation></annotation>", "cannot be read as JSON"),
        ("0 0.5 0.5 0.1 0.1\n", "cannot be read as JSON"),
        ("[]", "has no list `images` and `annotations` and `categories`"),
        ('{"images": {}, "annotations": [], "categories": []}', "has no list `images`"),
        ('{"images": [3], "annotations": [], "categories": [{"id": 1}]}', "must be a whole"),
    ],
    ids=["VOC", "YOLO", "results", "objects", "numbers"],
)
def test_another_format_is_named_with_what_was_wanted(root: Path, text: str, part: str) -> None:
    (root / "train.json").write_text(text)
    with pytest.raises(DataError) as caught:
        read(root)
    assert part in caught.value.message
    assert "voc-to-coco" in (caught.value.hint or "")


def test_missing_annotations_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"wanted annotations at .*train\.json"):
        read(tmp_path)


def test_an_image_of_another_size_than_its_annotations_say_is_refused(root: Path) -> None:
    Image.new("RGB", (SIDE, 2 * SIDE)).save(root / "images" / "0.png")
    images = read(root)
    with pytest.raises(DataError, match="has 64 x 128 pixels, its annotations say 64 x 64"):
        list(images_in_order(images.root, images.images, Sizes(32, 99, 32), LOADING, 3))


def batches(root: Path, sizes: Sizes, *, workers: int = 0, flip: bool = True) -> BoxedBatches:
    images = read(root)
    plan = BatchPlan(8, 4, 1, drop_last=False, seed=0, rank=0, num_ranks=1)
    loading = Loading(torch.device("cpu"), workers)
    return BoxedBatches(images.root, images.images, sizes, plan, loading, flip=flip)


def test_boxes_follow_their_image_through_resizing_and_mirroring(root: Path) -> None:
    """The squares are uniform and nothing else is: what a box holds shows whether it fits."""
    made = batches(root, Sizes(96, 200, 32))
    shapes: set[int] = set()
    for step in range(8):
        (batch,) = made.at(step)
        for image, found in zip(batch.images, batch.labels, strict=True):
            shapes.add(image.shape[1])
            (box,), (label,) = found.boxes.round().int().tolist(), found.labels.tolist()
            x0, y0, x1, y1 = box
            inside = image[:, y0 + 3 : y1 - 3, x0 + 3 : x1 - 3]
            wanted = 250 / 255 if label == 1 else 5 / 255
            assert float((inside - wanted).abs().max()) < 0.02
            if x0 > 4:
                assert float((image[:, y0 + 3 : y1 - 3, x0 - 4] - wanted).abs().min()) > 0.2
    assert shapes == {32, 64, 96}


def test_the_same_step_is_the_same_whenever_and_by_whomever_it_is_made(root: Path) -> None:
    sizes = Sizes(64, 200, 32)
    one, other = batches(root, sizes), batches(root, sizes, workers=2)
    later = other.at(3)
    (first,), (second,) = one.at(3), later
    other.close()
    assert all(map(torch.equal, first.images, second.images))
    for a, b in zip(first.labels, second.labels, strict=True):
        assert torch.equal(a.boxes, b.boxes)


def test_the_long_side_has_a_limit() -> None:
    assert Sizes(100, 150, 100).of(50, 100, 100) == (75, 150)
    assert Sizes(100, 300, 100).of(50, 100, 100) == (100, 200)


def test_images_come_in_order_each_once(root: Path) -> None:
    images = read(root)
    seen: list[int] = []
    for some, pixels in images_in_order(images.root, images.images, Sizes(32, 99, 32), LOADING, 3):
        seen += [image.id for image in some]
        assert all(each.shape == (3, 32, 32) for each in pixels)
        assert all(float(each.min()) >= 0 and float(each.max()) <= 1 for each in pixels)
    assert seen == [7 * number for number in range(8)]
    assert np.array_equal(seen, [image.id for image in images.images])
