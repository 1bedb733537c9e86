"""Pascal VOC's annotations as COCO's format."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import Result

from automix_cli.data.coco import read_boxed_images
from automix_cli.data.voc import coco_of_voc
from automix_cli.errors import DataError

XML = """<annotation><filename>{file}</filename><size><width>40</width><height>30</height></size>
<object><name>{name}</name><difficult>{difficult}</difficult>
<bndbox><xmin>1</xmin><ymin>3</ymin><xmax>40</xmax><ymax>12</ymax></bndbox></object></annotation>"""


def write_voc(root: Path, num_images: int = 5) -> Path:
    for name in ("Annotations", "JPEGImages"):
        (root / name).mkdir(parents=True)
    for number in range(num_images):
        text = XML.format(file=f"{number}.jpg", name="dog" if number else "cat", difficult=0)
        (root / "Annotations" / f"{number}.xml").write_text(text)
        Image.new("RGB", (40, 30)).save(root / "JPEGImages" / f"{number}.jpg")
    return root


def test_pixels_counted_from_1_with_the_last_one_become_x_y_width_height(tmp_path: Path) -> None:
    parts = coco_of_voc(write_voc(tmp_path), 0.4)
    assert [len(parts[part]["images"]) for part in ("train", "test")] == [3, 2]
    assert parts["train"]["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    assert all(each["bbox"] == [0, 2, 40, 10] for each in parts["train"]["annotations"])


def test_the_official_lists_say_which_images_are_tested_on(tmp_path: Path) -> None:
    lists = write_voc(tmp_path) / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "trainval.txt").write_text("0\n3\n")
    (lists / "test.txt").write_text("4\n")
    parts = coco_of_voc(tmp_path, 0.5)
    assert [each["file_name"] for each in parts["train"]["images"]] == ["0.jpg", "3.jpg"]
    (lists / "test.txt").write_text("9\n")
    with pytest.raises(DataError, match="`9`, which has no XML file"):
        coco_of_voc(tmp_path, 0.5)


def test_a_difficult_object_is_a_crowd(tmp_path: Path) -> None:
    path = write_voc(tmp_path) / "Annotations" / "0.xml"
    path.write_text(XML.format(file="0.jpg", name="cat", difficult=1))
    every = [each for part in coco_of_voc(tmp_path, 0.4).values() for each in part["annotations"]]
    assert sorted(each["iscrowd"] for each in every) == [0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{}", "not in Pascal VOC's format"),
        ("<annotation><filename>0.jpg</filename></annotation>", "`size/width` is missing"),
        (XML.format(file="0.jpg", name="", difficult=0), "`name` is missing"),
        (XML.format(file="9.gif", name="cat", difficult=0).replace("0.jpg", ""), None),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "defines entities"),
    ],
    ids=["JSON", "no size", "no name", "another name", "entities"],
)
def test_a_file_that_is_none_of_vocs_is_named(tmp_path: Path, text: str, part: str | None) -> None:
    (write_voc(tmp_path) / "Annotations" / "0.xml").write_text(text)
    if part is None:  # the image has the name of the XML file instead
        assert coco_of_voc(tmp_path, 0.4)
        return
    with pytest.raises(DataError, match=part):
        coco_of_voc(tmp_path, 0.4)


def test_a_missing_image_or_folder_is_named(tmp_path: Path) -> None:
    (write_voc(tmp_path) / "JPEGImages" / "2.jpg").unlink()
    with pytest.raises(DataError, match=r"is of `2\.jpg`, which is not in"):
        coco_of_voc(tmp_path, 0.4)
    with pytest.raises(DataError, match="has no folder `Annotations` or `annotations`"):
        coco_of_voc(tmp_path / "JPEGImages", 0.4)


def test_the_command_writes_what_detect_reads(
    automix: Callable[..., Result], tmp_path: Path
) -> None:
    write_voc(tmp_path / "voc")
    result = automix("data", "voc-to-coco", str(tmp_path / "voc"), "--test-share", "0.4")
    assert result.exit_code == 0, result.output
    assert "3 images, 3 annotations, 2 categories" in result.stdout
    images = read_boxed_images(
        tmp_path / "voc" / "test.json", tmp_path / "voc" / "JPEGImages", repair=False
    )
    assert len(images.with_boxes()) == 2
