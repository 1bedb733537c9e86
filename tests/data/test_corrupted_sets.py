"""Reading and writing sets of corrupted images in the published layout."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from automix_cli.data.corrupted_official import MD5, REPRODUCIBLE
from automix_cli.data.corrupted_reading import open_corrupted
from automix_cli.data.corrupted_record import Identity
from automix_cli.data.corrupted_writing import CorruptedFolder
from automix_cli.data.image_set import ImageSet
from automix_cli.errors import DataError

IDENTITY = Identity("cifar-c", "cifar10", "abc", 0, "float64", (1, 2, 3, 4, 5), 1)
ROWS = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def test_set() -> ImageSet:
    """Four images."""
    images = torch.zeros(4, 3, 32, 32, dtype=torch.uint8)
    return ImageSet(images, torch.tensor([2, 0, 1, 2]), ("cat", "dog", "owl"))


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A folder as a person has unpacked it."""
    folder = tmp_path / "CIFAR-10-C"
    folder.mkdir()
    np.save(folder / "fog.npy", ROWS)
    np.save(folder / "labels.npy", np.tile([2, 0, 1, 2], 5).astype(np.uint8))
    return folder


def test_a_severity_is_its_stretch_of_the_file(published: Path, test_set: ImageSet) -> None:
    found = open_corrupted(published, ("snow", "fog"), test_set)
    assert found.names == ("fog",)
    assert found.meta is None
    assert np.array_equal(found.images("fog", 1), ROWS[:4])
    assert np.array_equal(found.images("fog", 5), ROWS[16:])


def test_files_are_mapped_and_not_read(published: Path, test_set: ImageSet) -> None:
    images = open_corrupted(published, ("fog",), test_set).images("fog", 2)
    assert isinstance(images, np.memmap)
    assert not images.flags.writeable


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (ROWS[:15], r"must hold \(20, 32, 32, 3\) integers, got \(15, 32, 32, 3\)"),
        (ROWS.transpose(0, 3, 1, 2), r"got \(20, 3, 32, 32\)"),
        (ROWS.astype(np.float32), "got .* float32"),
        (ROWS.astype(np.int64), r"must hold bytes \(uint8\), got int64"),
    ],
    ids=["rows", "channels_first", "floats", "wide"],
)
def test_images_of_another_shape_or_type_are_refused(
    published: Path, test_set: ImageSet, array: np.ndarray, complaint: str
) -> None:
    np.save(published / "fog.npy", array)
    with pytest.raises(DataError, match=complaint):
        open_corrupted(published, ("fog",), test_set)


def test_pickled_arrays_are_never_loaded(published: Path, test_set: ImageSet) -> None:
    np.save(published / "fog.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(DataError, match=r"cannot read .*fog.npy` as a plain array"):
        open_corrupted(published, ("fog",), test_set)


def test_truncated_files_are_refused(published: Path, test_set: ImageSet) -> None:
    path = published / "fog.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="as a plain array"):
        open_corrupted(published, ("fog",), test_set)


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        (np.tile([2, 0, 1, 2], 4), r"must hold \(20,\) integers, got \(16,\)"),
        (np.tile([2, 0, 2, 1], 5), "other labels than the test set, 10 of 20"),
        (np.tile([2.0, 0, 1, 2], 5), "got .* float64"),
    ],
    ids=["length", "order", "floats"],
)
def test_other_labels_are_refused(
    published: Path, test_set: ImageSet, labels: np.ndarray, complaint: str
) -> None:
    np.save(published / "labels.npy", labels)
    with pytest.raises(DataError, match=complaint):
        open_corrupted(published, ("fog",), test_set)


def test_a_folder_without_corruptions_says_how_to_make_them(
    tmp_path: Path, test_set: ImageSet
) -> None:
    with pytest.raises(DataError, match="holds none of the corruptions fog") as caught:
        open_corrupted(tmp_path, ("fog",), test_set)
    assert "automix corruptions make" in str(caught.value.hint)


def test_a_written_file_has_the_bytes_of_numpys_own(tmp_path: Path) -> None:
    folder = CorruptedFolder(tmp_path / "made", IDENTITY, is_forced=False)
    md5 = folder.write("fog", ROWS.shape, iter([ROWS[:7], ROWS[7:]]))
    np.save(tmp_path / "numpy.npy", ROWS)
    content = (tmp_path / "numpy.npy").read_bytes()
    assert (tmp_path / "made" / "fog.npy").read_bytes() == content
    assert md5 == hashlib.md5(content).hexdigest() == folder.md5_of("fog")


def test_an_interrupted_file_leaves_nothing_and_the_others_stay(tmp_path: Path) -> None:
    def interrupted() -> Iterator[np.ndarray]:
        yield ROWS[:7]
        raise KeyboardInterrupt

    folder = CorruptedFolder(tmp_path, IDENTITY, is_forced=False)
    folder.write("fog", ROWS.shape, [ROWS])
    with pytest.raises(KeyboardInterrupt):
        folder.write("snow", ROWS.shape, interrupted())
    assert sorted(each.name for each in tmp_path.iterdir()) == ["fog.npy", "meta.json"]
    again = CorruptedFolder(tmp_path, IDENTITY, is_forced=False)
    assert again.md5_of("fog") is not None
    assert again.md5_of("snow") is None


def test_a_file_that_lost_its_end_counts_as_missing(tmp_path: Path) -> None:
    folder = CorruptedFolder(tmp_path, IDENTITY, is_forced=False)
    folder.write("fog", ROWS.shape, [ROWS])
    path = tmp_path / "fog.npy"
    path.write_bytes(path.read_bytes()[:-1])
    assert folder.md5_of("fog") is None


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    folder = CorruptedFolder(tmp_path, IDENTITY, is_forced=False)
    with pytest.raises(ValueError, match="batches must hold 20 rows, got 7"):
        folder.write("fog", ROWS.shape, [ROWS[:7]])


def test_another_seed_is_refused_unless_forced(tmp_path: Path) -> None:
    CorruptedFolder(tmp_path, IDENTITY, is_forced=False).write("fog", ROWS.shape, [ROWS])
    other = replace(IDENTITY, seed=1, precision="float32")
    with pytest.raises(DataError, match="seed 0, wanted 1; precision float64, wanted float32"):
        CorruptedFolder(tmp_path, other, is_forced=False)
    forced = CorruptedFolder(tmp_path, other, is_forced=True)
    assert forced.md5_of("fog") is None
    assert not (tmp_path / "fog.npy").exists()


def test_files_that_automix_did_not_make_are_never_replaced(published: Path) -> None:
    for is_forced in (False, True):
        with pytest.raises(DataError, match="was not made by automix"):
            CorruptedFolder(published, IDENTITY, is_forced=is_forced)
    assert (published / "fog.npy").is_file()


def test_meta_says_how_the_files_were_made(tmp_path: Path, test_set: ImageSet) -> None:
    folder = CorruptedFolder(tmp_path, IDENTITY, is_forced=False)
    folder.write("fog", ROWS.shape, [ROWS])
    folder.write("labels", (20,), [np.tile([2, 0, 1, 2], 5)])
    meta = json.loads((tmp_path / "meta.json").read_text())
    assert meta["generated"] is True
    assert meta["identity"]["seed"] == 0
    assert meta["files"]["fog"]["bytes"] == (tmp_path / "fog.npy").stat().st_size
    assert open_corrupted(tmp_path, ("fog",), test_set).meta == meta


@pytest.mark.parametrize("content", ["{", "[]", '{"files": {}}'], ids=["text", "list", "lacking"])
def test_a_damaged_meta_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "meta.json").write_text(content)
    with pytest.raises(DataError, match="is damaged"):
        CorruptedFolder(tmp_path, IDENTITY, is_forced=False)


def test_eight_corruptions_and_the_labels_can_be_reproduced() -> None:
    assert len(MD5["cifar10"]) == len(MD5["cifar100"]) == 20
    assert len(REPRODUCIBLE - {"labels"}) == 8
    assert len({*MD5["cifar10"].values(), *MD5["cifar100"].values()}) == 40
