"""Lists of boxes: a person's own table, and the official one of CUB-200-2011."""

from pathlib import Path

import numpy as np
import pytest
import torch

from automix_cli.data.box_lists import boxed_rows, read_boxes, read_cub_boxes
from automix_cli.data.image_files import ImageFiles
from automix_cli.errors import DataError


def table(folder: Path, text: str) -> Path:
    path = folder / "boxes.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "a/1.jpg,10,20,30,40.5\n",
        "path,x,y,w,h\na/1.jpg,10,20,30,40.5\n",
        "split,h,w,y,x,path\ntest,40.5,30,20,10,a/1.jpg\n",
        "path,width,height,x0,y0,x1,y1\n./a/1.jpg,100,90,10,20,40,60.5\n",
    ],
    ids=["no names", "names", "any order", "corners"],
)
def test_every_form_says_the_same_box(tmp_path: Path, text: str) -> None:
    boxes = read_boxes(table(tmp_path, text))
    assert {path: each.tolist() for path, each in boxes.items()} == {
        "a/1.jpg": [[10, 20, 40, 60.5]]
    }


def test_a_line_more_is_a_box_more(tmp_path: Path) -> None:
    boxes = read_boxes(table(tmp_path, "a,0,0,1,1\nb,5,5,1,1\n\na,2,3,4,5\n"))
    assert boxes["a"].tolist() == [[0, 0, 1, 1], [2, 3, 6, 8]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("path,label\na,1\n", "has the columns `path`, `label`, which say no box"),
        ("a,1,2,3\n", "line 1 has 4 of 5 values"),
        ("a,1,2,3,four\n", "line 1 has `1,2,3,four`"),
        ("a,1,2,0,4\n", "width and a height above 0"),
        ("path,x0,y0,x1,y1\na,5,5,4,9\n", "line 2 has `5,5,4,9`"),
        ("a,1,2,nan,4\n", "not finite"),
        ('a,"1,2\n', "no table of comma-separated text"),
    ],
)
def test_what_is_no_list_of_boxes_is_a_clear_error(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        read_boxes(table(tmp_path, text))
    assert words in caught.value.message
    assert "boxes.csv" in caught.value.message


def test_a_list_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read the list of boxes"):
        read_boxes(tmp_path / "none.csv")


def files(root: Path, *paths: str) -> ImageFiles:
    return ImageFiles(root, paths, torch.zeros(len(paths), dtype=torch.int64), ("a",))


def test_boxes_of_other_images_that_are_there_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "train.jpg").touch()
    box = np.array([[0.0, 0.0, 1.0, 1.0]])
    images = files(tmp_path, "1.jpg", "2.jpg", "3.jpg")
    rows = boxed_rows(images, {"3.jpg": box, "train.jpg": box, "1.jpg": box}, Path("list"))
    assert rows.tolist() == [0, 2]
    with pytest.raises(DataError, match="none of them a test image"):
        boxed_rows(images, {"train.jpg": box}, Path("list"))


def test_a_path_that_is_nowhere_is_a_clear_error(tmp_path: Path) -> None:
    box = np.array([[0.0, 0.0, 1.0, 1.0]])
    with pytest.raises(DataError, match=r"boxes for `nowhere.jpg`, which is not in") as caught:
        boxed_rows(files(tmp_path, "1.jpg"), {"1.jpg": box, "nowhere.jpg": box}, Path("list"))
    assert caught.value.hint is not None
    assert "`1.jpg`" in caught.value.hint


def test_the_official_list_of_cub_is_read(tmp_path: Path) -> None:
    (tmp_path / "images.txt").write_text("1 001.A/a.jpg\n2 002.B/b.jpg\n")
    (tmp_path / "bounding_boxes.txt").write_text("1 60.0 27.0 325.0 304.0\n2 1 2 3 4\n")
    boxes = read_cub_boxes(tmp_path)
    assert boxes["images/001.A/a.jpg"].tolist() == [[60, 27, 385, 331]]  # as others have it
    assert list(boxes) == ["images/001.A/a.jpg", "images/002.B/b.jpg"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 60.0 27.0 325.0\n", "has 4 of 5 words"),
        ("1 60.0 27.0 x 304.0\n", "for image 1"),
        ("7 1 2 3 4\n", "for image 7"),
        (None, "cannot read"),
    ],
    ids=["cut off", "no number", "unknown image", "not there"],
)
def test_a_damaged_official_list_is_a_clear_error(
    tmp_path: Path, text: str | None, words: str
) -> None:
    (tmp_path / "images.txt").write_text("1 001.A/a.jpg\n")
    if text is not None:
        (tmp_path / "bounding_boxes.txt").write_text(text)
    with pytest.raises(DataError, match=words):
        read_cub_boxes(tmp_path)
