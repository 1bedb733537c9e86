"""What a check finds in images: every kind of broken file, and copies between parts."""

import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from published_sets import write_image

from automix_cli.data.check import CheckReport, Finding, check_images, listed_parts
from automix_cli.data.datasets import DataRequest
from automix_cli.data.image_files import ImageFiles
from automix_cli.data.inspection import look_at_all
from automix_cli.errors import DataError


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """Ten images of each of two classes in two parts, nothing wrong."""
    for number in range(40):
        part, name = ("train", "test")[number % 2], ("owl", "cat")[number // 2 % 2]
        size = (6 + number, 4 + number % 3)
        write_image(tmp_path / "birds" / part / name / f"{number}.png", number, size)
    return tmp_path / "birds"


def check(root: Path) -> CheckReport:
    parts, findings = listed_parts(DataRequest("folder", root))
    report = check_images(parts, workers=2, advance=lambda count: None)
    return CheckReport(report.parts, findings + report.findings)


def test_counts_sizes_and_kinds_of_pixels_are_those_of_the_files(birds: Path) -> None:
    Image.new("L", (50, 9)).save(birds / "train/owl/grey.png")
    report = check(birds)
    assert report.findings == []
    train = report.parts["train"]
    assert (train.num_images, dict(train.classes)) == (21, {"cat": 10, "owl": 11})
    assert (train.width, train.height) == ((6, 26, 50), (4, 5, 9))
    assert dict(train.modes) == {"RGB": 20, "L": 1}


def truncated_jpeg(path: Path) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    path.write_bytes(path.read_bytes()[:-2000])


def bomb(path: Path) -> None:
    """A valid header of 60,000 x 60,000 pixels and no pixels."""
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunks = b""
    for kind, content in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")):
        chunks += struct.pack(">I", len(content)) + kind + content
        chunks += struct.pack(">I", zlib.crc32(kind + content))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


def link_to_nothing(path: Path) -> None:
    path.symlink_to("no such file")


def link_outside(path: Path) -> None:
    outside = path.parents[3] / "elsewhere.jpg"
    write_image(outside, 999)
    path.symlink_to(outside)


@pytest.mark.parametrize(
    ("spoil", "kind", "words"),
    [
        (lambda path: path.write_bytes(b""), "empty file", "it has no bytes"),
        (truncated_jpeg, "unreadable", "truncated"),
        (
            lambda path: path.write_bytes(b"<html>not found</html>"),
            "unreadable",
            "no image of a known kind",
        ),
        (bomb, "too large", "3600000000 pixels"),
        (link_to_nothing, "missing", "a link to nothing"),
        (link_outside, "outside", "it lies in `"),
    ],
    ids=["zero-bytes", "truncated", "no-image", "bomb", "broken-link", "link-outside"],
)
def test_a_broken_file_is_found_and_the_rest_is_still_counted(
    spoil, kind: str, words: str, birds: Path
) -> None:
    spoil(birds / "train/owl/ein B\xefld.jpg")
    report = check(birds)
    (finding,) = report.findings
    assert (finding.kind, finding.part) == (kind, "train")
    assert finding.path == "train/owl/ein B\xefld.jpg"
    assert words in finding.detail
    assert report.parts["train"].num_images == 21
    assert sum(report.parts["train"].modes.values()) == (21 if kind == "outside" else 20)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "I;16", "1"])
def test_unusual_pixels_are_counted_and_no_mistake(mode: str, birds: Path) -> None:
    name = "x.tif" if mode == "CMYK" else "x.png"
    Image.new(mode, (5, 5)).save(birds / "train/owl" / name)
    report = check(birds)
    assert report.findings == []
    assert report.parts["train"].modes[mode] == 1


def test_a_copy_in_another_part_is_found_and_one_in_the_same_part_is_not(birds: Path) -> None:
    shutil.copy(birds / "train/owl/0.png", birds / "train/cat/copy.png")
    shutil.copy(birds / "train/owl/0.png", birds / "test/cat/leak.png")
    (finding,) = check(birds).findings
    assert finding == Finding(
        "duplicate",
        "test",
        "test/cat/leak.png",
        "the same as `train/cat/copy.png` of the train part",
    )


def test_tiny_classes_and_mistakes_of_layout_are_found_beside_all_others(birds: Path) -> None:
    write_image(birds / "train/elk/1.png", 77)
    (birds / "train/emu").mkdir()
    report = check(birds)
    assert [finding.kind for finding in report.findings] == [
        *("layout", "layout"),
        *("tiny class", "tiny class"),
    ]
    assert dict(report.parts["test"].classes) == {"cat": 10, "elk": 0, "emu": 0, "owl": 10}


def test_images_in_memory_are_checked_for_copies_between_parts() -> None:
    parts, _ = listed_parts(DataRequest("digits"))
    report = check_images(parts, workers=1, advance=lambda count: None)
    train, test = (
        {image.tobytes() for image in parts[part].images.numpy()}  # type: ignore[union-attr]
        for part in ("train", "test")
    )
    assert len({finding.path for finding in report.findings}) == len(report.findings)
    assert bool(report.findings) == bool(train & test)
    assert report.parts["train"].width == (32, 32, 32)


def test_looks_come_in_order_whatever_the_number_of_threads(birds: Path) -> None:
    parts, _ = listed_parts(DataRequest("folder", birds))
    train = parts["train"]
    assert isinstance(train, ImageFiles)
    many = train.take(np.tile(np.arange(len(train)), 10))
    counted: list[int] = []
    looks = [list(look_at_all(many, workers=n, advance=counted.append)) for n in (1, 4)]
    assert looks[0] == looks[1]
    assert sum(counted) == 2 * len(many)


def test_a_check_of_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folders in"):
        check(tmp_path)
