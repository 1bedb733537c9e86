"""Folders of corrupted photographs."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from automix_cli.data import corrupted_folders
from automix_cli.data.corrupted_folders import open_corrupted_folders
from automix_cli.errors import DataError

CLASSES = ("owl", "cat")  # label order, which is not that of the alphabet
NAMES = ("fog", "snow")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two corruptions, one in a group's folder; three images of 11 x 14 pixels, two classes."""
    for place in ("snow", "weather/fog"):
        for severity in range(1, 6):
            for number, name in enumerate(("owl/b", "owl/a", "cat/c")):
                path = tmp_path / place / str(severity) / f"{name}.PNG"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels(10 * severity + number)).save(path)
    return tmp_path


def pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (11, 14, 3), dtype=np.uint8)


def test_images_come_class_by_class_with_the_labels_of_the_classifier(folder: Path) -> None:
    found = open_corrupted_folders(folder, ("frost", *NAMES), CLASSES, 8)
    assert found.names == NAMES
    assert found.num_images == 3
    (images,) = found.image_sets("fog", 4)
    assert images.labels.tolist() == [0, 0, 1]
    expected = [pixels(40 + number) for number in (1, 0, 2)]
    for image, whole in zip(images.images, expected, strict=True):
        # 3 rows and 6 columns are too many; half a row is rounded to even
        assert np.array_equal(image.permute(1, 2, 0).numpy(), whole[2:10, 3:11])


def test_chunks_hold_every_image_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = open_corrupted_folders(folder, NAMES, CLASSES, 11)
    (whole,) = found.image_sets("snow", 2)
    monkeypatch.setattr(corrupted_folders, "CHUNK", 2)
    parts = list(found.image_sets("snow", 2))
    assert [len(part) for part in parts] == [2, 1]
    assert np.array_equal(np.concatenate([part.images for part in parts]), whole.images.numpy())


def test_other_classes_are_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="2 classes, the classifier knows 3; `dog`"):
        open_corrupted_folders(folder, NAMES, (*CLASSES, "dog"), 8)


def test_a_missing_severity_is_refused(folder: Path) -> None:
    (folder / "snow" / "5").rename(folder / "snow" / "6")
    with pytest.raises(DataError, match=r"cannot read .*snow/5"):
        open_corrupted_folders(folder, NAMES, CLASSES, 8)


def test_a_severity_of_another_size_is_refused(folder: Path) -> None:
    found = open_corrupted_folders(folder, NAMES, CLASSES, 8)
    (folder / "snow" / "3" / "owl" / "a.PNG").unlink()
    with pytest.raises(DataError, match="holds 2 images, other severities hold 3"):
        list(found.image_sets("snow", 3))


def test_images_smaller_than_the_classifier_sees_are_refused(folder: Path) -> None:
    found = open_corrupted_folders(folder, NAMES, CLASSES, 12)
    with pytest.raises(DataError, match="has 11 x 14 pixels, the classifier sees 12 x 12"):
        list(found.image_sets("fog", 1))


def test_a_broken_image_is_named(folder: Path) -> None:
    (folder / "snow" / "1" / "cat" / "c.PNG").write_bytes(b"no image")
    found = open_corrupted_folders(folder, NAMES, CLASSES, 8)
    with pytest.raises(DataError, match=r"cannot read the image `.*c.PNG`"):
        list(found.image_sets("snow", 1))


def test_a_folder_without_corruptions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds none of the corruptions fog, snow"):
        open_corrupted_folders(tmp_path, NAMES, CLASSES, 8)
