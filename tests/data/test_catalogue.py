"""Data sets by name, each from its official folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
import torchvision.datasets
from PIL import Image
from published_cifar import md5_of
from published_sets import OF_FILES, mnist_files, packed, write_image, write_text

from automix_cli.build.data import data_request
from automix_cli.data.catalogue import CATALOGUE
from automix_cli.data.datasets import DataRequest, DataSplits, load_splits
from automix_cli.data.image_files import ImageFiles
from automix_cli.data.image_set import ImageSet
from automix_cli.errors import DataError
from automix_cli.settings import DataSettings

GOLDEN = Path(__file__).parents[1] / "golden" / "matlab.npz"
IN_MEMORY = ("mnist", "fashion_mnist", "kmnist", "svhn", "stl10")
TORCHVISION: Mapping[str, Any] = {
    "aircraft": lambda root: [
        torchvision.datasets.FGVCAircraft(root, split=part) for part in ("trainval", "test")
    ],
    "pets": lambda root: [
        torchvision.datasets.OxfordIIITPet(root, split=part) for part in ("trainval", "test")
    ],
    "food101": lambda root: [
        torchvision.datasets.Food101(root, split=part) for part in ("train", "test")
    ],
    "gtsrb": lambda root: [
        torchvision.datasets.GTSRB(root, split=part) for part in ("train", "test")
    ],
}
"""The same data set as torchvision reads it."""


def load(name: str, directory: Path) -> DataSplits:
    return load_splits(DataRequest(name, directory))


def failure(name: str, directory: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        load(name, directory)
    return caught.value


def counts(images: Any) -> list[int]:
    return images.labels.bincount(minlength=images.num_classes).tolist()


def golden(path: Path, name: str) -> None:
    """Put a file of `tests/golden/matlab.npz` into a data set."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with np.load(GOLDEN, allow_pickle=False) as files:
        path.write_bytes(files[name].tobytes())


def test_the_settings_name_every_data_set_and_no_other() -> None:
    names = get_args(DataSettings.model_fields["name"].annotation)
    assert list(names) == [*CATALOGUE, "coco"]  # boxes are no images of classes


def test_every_wish_of_the_settings_reaches_the_data() -> None:
    settings = DataSettings(
        name="csv",
        dir=Path("here"),
        download=False,
        mirror="https://host",
        csv=Path("a.csv"),
        holdout=0.25,
        train_limit=7,
        image_size=48,
    )
    wanted = DataRequest(
        "csv",
        Path("here"),
        mirror="https://host",
        csv=Path("a.csv"),
        holdout=0.25,
        train_limit=7,
        image_size=48,
    )
    assert data_request(settings) == wanted


@pytest.mark.parametrize("name", OF_FILES)
def test_the_official_folder_gives_the_official_parts(name: str, tmp_path: Path) -> None:
    wanted = OF_FILES[name](tmp_path)
    splits = load(name, tmp_path)
    assert (counts(splits.train), counts(splits.test)) == wanted
    assert (splits.in_channels, splits.description()["class_names"]) == (3, [*splits.class_names])
    for part in (splits.train, splits.test):
        assert isinstance(part, ImageFiles)
        assert all((part.root / path).is_file() for path in part.paths)


@pytest.mark.parametrize("name", OF_FILES)
def test_the_data_sets_own_folder_may_be_named_too(name: str, tmp_path: Path) -> None:
    wanted = OF_FILES[name](tmp_path)
    (inner,) = tmp_path.iterdir()
    assert counts(load(name, inner).train) == wanted[0]


@pytest.mark.parametrize("name", TORCHVISION)
def test_paths_and_labels_are_those_of_torchvision(name: str, tmp_path: Path) -> None:
    OF_FILES[name](tmp_path)
    splits = load(name, tmp_path)
    for part, published in zip(
        (splits.train, splits.test), TORCHVISION[name](tmp_path), strict=True
    ):
        assert isinstance(part, ImageFiles)
        ours = [np.asarray(Image.open(part.root / path).convert("RGB")) for path in part.paths]
        theirs = [(np.asarray(image.convert("RGB")), label) for image, label in published]
        assert part.labels.tolist() == [label for _, label in theirs]
        assert all(np.array_equal(a, b) for a, (b, _) in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(
    "name", sorted(CATALOGUE.keys() - {"digits", "folder", "csv", "cifar10", "cifar100"})
)
def test_what_is_missing_is_listed_with_its_source_and_its_place(name: str, tmp_path: Path) -> None:
    error = failure(name, tmp_path / "data")
    first_folder = (error.hint or "").splitlines()[1].strip()
    assert first_folder.startswith(str(tmp_path / "data"))
    assert "needs `" in error.message
    assert any(word in (error.hint or "") for word in ("(md5 ", "after registration", "a copy"))
    assert error.exit_code == 3


def test_the_closest_folder_is_the_one_whose_gaps_are_named(tmp_path: Path) -> None:
    OF_FILES["cub200"](tmp_path)
    (tmp_path / "CUB_200_2011" / "classes.txt").unlink()
    message = failure("cub200", tmp_path).message
    assert message.startswith(f"CUB-200-2011 needs `classes.txt` in `{tmp_path / 'CUB_200_2011'}`")


@pytest.mark.parametrize(
    ("name", "file", "line", "words"),
    [
        ("cub200", "CUB_200_2011/image_class_labels.txt", "7", "line 6 .* has 1 of 2 words: `7`"),
        ("cub200", "CUB_200_2011/images.txt", "9 a.jpg", "do not fit together: no entry '9'"),
        ("aircraft", "fgvc-aircraft-2013b/data/images_variant_test.txt", "1 Z", "not listed: `Z`"),
        ("places365", "places365/places365_val.txt", "a.jpg 2", r"labels must lie in \[0, 2\)"),
        ("places205", "places205/trainvalsplit_places205/val_places205.csv", "a x", "has `x` wh"),
        ("inat2018", "inat2018/train2018.json", "}", "not the published list"),
    ],
)
def test_a_damaged_list_is_named(
    name: str, file: str, line: str, words: str, tmp_path: Path
) -> None:
    OF_FILES[name](tmp_path)
    with (tmp_path / file).open("a") as listing:
        listing.write(f"{line}\n")
    with pytest.raises(DataError, match=words):
        load(name, tmp_path)


@pytest.mark.parametrize("is_divided", [False, True], ids=["in-one-folder", "divided"])
def test_cars_are_read_from_both_official_folders(is_divided: bool, tmp_path: Path) -> None:
    root = tmp_path / "stanford_cars"
    if is_divided:
        golden(root / "devkit/cars_meta.mat", "cars_meta")
        golden(root / "devkit/cars_train_annos.mat", "cars_train")
        golden(root / "cars_test_annos_withlabels.mat", "cars_test")
        for path in ("cars_train/00001.jpg", "cars_train/00002.jpg", "cars_test/00001.jpg"):
            write_image(root / path)
    else:
        golden(root / "cars_annos.mat", "cars_annos")
        for number in range(1, 5):
            write_image(root / f"car_ims/{number:06d}.jpg")
    splits = load("cars", tmp_path)
    assert splits.class_names == ("Acura RL Sedan 2012", "Citro\xebn 2CV 1950")
    wanted = ([1, 1], [0, 1]) if is_divided else ([1, 2], [1, 0])
    assert (counts(splits.train), counts(splits.test)) == wanted
    assert isinstance(splits.train, ImageFiles)
    assert all((splits.train.root / path).is_file() for path in splits.train.paths)


def test_flowers_are_learned_from_both_training_and_validation_images(tmp_path: Path) -> None:
    root = tmp_path / "flowers-102"
    golden(root / "imagelabels.mat", "imagelabels")
    golden(root / "setid.mat", "setid")
    write_image(root / "jpg/image_00001.jpg")
    splits = load("flowers102", tmp_path)
    assert isinstance(splits.train, ImageFiles)
    assert splits.train.paths == ("jpg/image_00001.jpg", "jpg/image_00003.jpg")
    assert (splits.train.labels.tolist(), splits.test.labels.tolist()) == ([101, 0], [0, 101])
    assert splits.class_names[101] == "blackberry lily"


def test_validation_images_of_imagenet_in_one_folder_are_labelled_by_the_devkit(
    tmp_path: Path,
) -> None:
    root = tmp_path / "imagenet"
    for path in ("train/n01/a.JPEG", "train/n02/b.JPEG", "val/ILSVRC2012_val_00000001.JPEG"):
        write_image(root / path)
    hint = failure("imagenet", tmp_path).hint or ""
    assert "unpack ILSVRC2012_devkit_t12.tar.gz into" in hint
    devkit = root / "ILSVRC2012_devkit_t12/data"
    golden(devkit / "meta.mat", "meta")
    write_text(devkit / "ILSVRC2012_validation_ground_truth.txt", ["1", "2"])
    test = load("imagenet", tmp_path).test
    assert isinstance(test, ImageFiles)
    assert test.paths[0] == "ILSVRC2012_val_00000001.JPEG"
    assert [test.class_names[label] for label in test.labels] == ["n02", "n01"]


def test_fashion_mnist_is_what_torchvision_reads(tmp_path: Path) -> None:
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for name, content in mnist_files(np.random.default_rng(0)).items():
        (folder / name).write_bytes(content)
    splits = load("fashion_mnist", tmp_path)
    for part, is_train in ((splits.train, True), (splits.test, False)):
        published = torchvision.datasets.FashionMNIST(str(tmp_path), train=is_train)
        assert isinstance(part, ImageSet)
        assert torch.equal(part.images[:, 0], published.data)
        assert torch.equal(part.labels, published.targets)
    assert (splits.class_names[7], splits.in_channels, splits.image_size) == ("Sneaker", 1, 28)


def test_packed_files_beside_the_folder_are_unpacked_without_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = mnist_files(np.random.default_rng(0))
    resources = [(f"{name}.gz", md5_of(packed(content))) for name, content in files.items()]
    monkeypatch.setattr(torchvision.datasets.KMNIST, "resources", resources)
    for name, content in files.items():
        (tmp_path / f"{name}.gz").write_bytes(packed(content))
    assert len(load("kmnist", tmp_path).train) == 3


@pytest.mark.parametrize("damage", [b"", b"\0\0\x08\x03" + bytes(12) + b"x"], ids=["empty", "long"])
def test_a_damaged_array_is_named(damage: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, content in mnist_files(np.random.default_rng(0)).items():
        (folder / name).write_bytes(content)
    (folder / "train-images-idx3-ubyte").write_bytes(damage)
    assert (
        "train-images-idx3-ubyte` is not the published file" in failure("mnist", tmp_path).message
    )


def test_svhn_is_read_with_ten_as_nought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with np.load(GOLDEN, allow_pickle=False) as files:
        content, pixels = files["svhn"].tobytes(), files["svhn_X"]
    (tmp_path / "svhn").mkdir()
    for part in ("train", "test"):
        name = f"{part}_32x32.mat"
        (tmp_path / "svhn" / name).write_bytes(content)
        entry = ["http://nowhere", name, md5_of(content)]
        monkeypatch.setitem(torchvision.datasets.SVHN.split_list, part, entry)
    train = load("svhn", tmp_path).train
    assert isinstance(train, ImageSet)
    assert train.labels.tolist() == [1, 0, 9, 2]
    assert np.array_equal(train.images.numpy(), pixels.transpose(3, 2, 0, 1))
    (tmp_path / "svhn/test_32x32.mat").write_bytes(b"other")
    assert "wanted md5" in failure("svhn", tmp_path).message


def test_stl10_is_what_torchvision_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, source = np.random.default_rng(0), torchvision.datasets.STL10
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    files = {"class_names.txt": b"bird\ncar\n", "unlabeled_X.bin": b""}
    for part, count in (("train", 3), ("test", 2)):
        files[f"{part}_X.bin"] = rng.integers(
            256, size=(count, 3 * 96 * 96), dtype=np.uint8
        ).tobytes()
        files[f"{part}_y.bin"] = (np.arange(count, dtype=np.uint8) % 2 + 1).tobytes()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    for listing in ("train_list", "test_list"):
        entries = [[name, md5_of(files[name])] for name, _ in getattr(source, listing)]
        monkeypatch.setattr(source, listing, entries)
    monkeypatch.setattr(source, "_check_integrity", lambda self: True)
    (folder / "fold_indices.txt").write_text("")
    splits = load("stl10", tmp_path)
    for part, name in ((splits.train, "train"), (splits.test, "test")):
        published = source(str(tmp_path), split=name)
        assert isinstance(part, ImageSet)
        assert np.array_equal(part.images.numpy(), published.data)
        assert part.labels.tolist() == published.labels.tolist()
