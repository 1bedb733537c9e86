"""Clean photographs as the published scripts see them, and the folders of corrupted ones."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from automix_cli.data.clean_photographs import CleanPhotographs
from automix_cli.data.corrupted_folders import open_corrupted_folders
from automix_cli.data.corrupted_record import Identity
from automix_cli.data.corrupted_tree import CorruptedPhotograph, CorruptedTree
from automix_cli.data.image_files import ImageFiles
from automix_cli.errors import DataError

IDENTITY = Identity("imagenet-c", "folder", "abc", 0, "float64", (1, 2), 2)
CLASSES = ("cat", "F_A-18")


def picture(path: Path, height: int, width: int) -> np.ndarray:
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def files(root: Path, *paths: str, names: tuple[str, ...] = ("cat", "F/A-18")) -> ImageFiles:
    labels = torch.tensor([0 if path.startswith("cat") else 1 for path in paths])
    return ImageFiles(root, paths, labels, names)


@pytest.mark.parametrize(("height", "width"), [(300, 401), (333, 240), (64, 64)])
def test_photographs_are_resized_and_cut_as_torchvision_does(
    tmp_path: Path, height: int, width: int
) -> None:
    pixels = picture(tmp_path / "cat" / "a.png", height, width)
    image = Image.fromarray(pixels)
    clean = files(tmp_path, "cat/a.png")
    (large,) = CleanPhotographs(clean, "imagenet-c", 224).pixels([0])
    expected = v2.CenterCrop(224)(v2.Resize(256)(image))
    assert np.array_equal(large, np.asarray(expected))
    (small,) = CleanPhotographs(clean, "tiny-imagenet-c", 64).pixels([0])
    assert np.array_equal(small, np.asarray(v2.Resize((64, 64))(image)))


def test_every_photograph_has_a_place_of_its_own(tmp_path: Path) -> None:
    clean = files(tmp_path, "cat/x/1.png", "cat/y/1.jpg", "cat/1~2.png", "plane/1.png")
    assert CleanPhotographs(clean, "imagenet-c", 224).places == [
        *("cat/1.JPEG", "cat/1~2.JPEG", "cat/1~2~2.JPEG", "F_A-18/1.JPEG")
    ]


def photographs() -> Iterator[CorruptedPhotograph]:
    for severity in (1, 2):
        pixels = np.full((8, 8, 3), 40 * severity, np.uint8)
        yield CorruptedPhotograph(severity, "cat/a.JPEG", pixels)


def test_a_tree_is_read_again_as_it_was_written(tmp_path: Path) -> None:
    tree = CorruptedTree(tmp_path, IDENTITY, CLASSES, is_forced=False)
    md5 = tree.write("fog", photographs())
    found = open_corrupted_folders(tmp_path, ("fog", "snow"), ("cat", "F/A-18"), 8)
    assert (found.names, found.severities, found.num_images) == (("fog",), (1, 2), 1)
    assert found.meta is not None
    assert found.meta["files"] == {"fog": {"md5": md5, "images": 2}}
    (images,) = found.image_sets("fog", 2)
    assert images.images.unique().tolist() == [80]
    assert images.labels.tolist() == [0]
    again = CorruptedTree(tmp_path, IDENTITY, CLASSES, is_forced=False)
    assert again.md5_of("fog") == md5
    assert again.md5_of("snow") is None


def test_what_was_interrupted_leaves_nothing_behind_and_is_made_anew(tmp_path: Path) -> None:
    def interrupted() -> Iterator[CorruptedPhotograph]:
        yield next(photographs())
        raise KeyboardInterrupt

    tree = CorruptedTree(tmp_path, IDENTITY, CLASSES, is_forced=False)
    with pytest.raises(KeyboardInterrupt):
        tree.write("fog", interrupted())
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".fog.1.partial" / "1").mkdir(parents=True)  # of a run that was killed
    tree.write("fog", photographs())
    assert {each.name for each in tmp_path.iterdir()} == {"fog", "meta.json"}


def test_a_published_set_is_never_written_into(tmp_path: Path) -> None:
    (tmp_path / "fog" / "1").mkdir(parents=True)
    with pytest.raises(DataError, match=r"`fog/1` without a `meta\.json`"):
        CorruptedTree(tmp_path, IDENTITY, CLASSES, is_forced=True)
