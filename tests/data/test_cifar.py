"""CIFAR is read like torchvision reads it, and only when it is what was published."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from published_cifar import Publication, md5_of, python2_pickle

from automix_cli.data.cifar import cifar_source, load_cifar
from automix_cli.errors import DataError

Publish = Callable[[str], Publication]


class RunsCode:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("exit 1",)


def test_official_checksums_and_addresses_are_used() -> None:
    ten, hundred = cifar_source("cifar10"), cifar_source("cifar100")
    assert ten.archive.md5 == "c58f30108f718f92721af3b95e74349a"
    assert hundred.archive.md5 == "eb9058c3a382ffc7106e4002c42a8d85"
    assert hundred.checksums == {
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        "meta": "7973b15100ade9c7d40fb424638fde48",
    }
    assert ten.train_files == tuple(f"data_batch_{part}" for part in range(1, 6))
    assert (*ten.test_files, ten.names_file) == ("test_batch", "batches.meta")
    assert (ten.archive.folder, hundred.archive.folder) == (
        "cifar-10-batches-py",
        "cifar-100-python",
    )


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_images_labels_and_names_are_those_torchvision_reads(
    name: str, publish: Publish, tmp_path: Path
) -> None:
    publication = publish(name)
    publication.unpack_into(tmp_path / "data")
    parts = load_cifar(name, tmp_path / "data", download=False)
    for part, is_train in zip(parts, (True, False), strict=True):
        reference = publication.source(tmp_path / "data", train=is_train)
        shown = part.images.permute(0, 2, 3, 1).numpy()
        np.testing.assert_array_equal(shown, reference.data)
        assert part.labels.tolist() == reference.targets
        assert list(part.class_names) == reference.classes
    assert len(parts[0]) == (40 if name == "cifar10" else 8)


def test_a_file_of_the_wrong_checksum_is_refused_by_name(publish: Publish, tmp_path: Path) -> None:
    publication = publish("cifar100")
    folder = publication.unpack_into(tmp_path)
    altered = publication.files["test"][:-2] + b"\x00."
    (folder / "test").write_bytes(altered)
    with pytest.raises(DataError) as caught:
        load_cifar("cifar100", tmp_path, download=True)
    for part in (str(folder / "test"), md5_of(publication.files["test"]), md5_of(altered)):
        assert part in caught.value.message
    assert "delete it" in (caught.value.hint or "")
    assert (folder / "test").read_bytes() == altered  # nothing is written over


def test_a_truncated_file_is_refused_with_its_length(publish: Publish, tmp_path: Path) -> None:
    publication = publish("cifar10")
    folder = publication.unpack_into(tmp_path)
    (folder / "data_batch_3").write_bytes(publication.files["data_batch_3"][:1000])
    with pytest.raises(DataError, match=r"data_batch_3.*\(1000 bytes\)"):
        load_cifar("cifar10", tmp_path, download=False)


def test_code_in_a_file_is_not_run_even_if_its_checksum_is_right(
    publish: Publish, tmp_path: Path
) -> None:
    publication = publish("cifar100")
    folder = publication.unpack_into(tmp_path)
    content = pickle.dumps({"data": RunsCode()}, protocol=2)
    publication.vouch_for("train", content)
    (folder / "train").write_bytes(content)
    with pytest.raises(DataError, match=r"cannot read `.*train`.*it asks for"):
        load_cifar("cifar100", tmp_path, download=False)


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ({b"fine_labels": [0, 1]}, "holds no images"),
        ({b"data": np.zeros((2, 3000), np.uint8), b"fine_labels": [0, 1]}, "rows of 3072 bytes"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 1]}, "label in `fine_labels`"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"fine_labels": [0]}, "for every image"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"fine_labels": [0, 3]}, r"lie in \[0, 3\)"),
    ],
    ids=["no-images", "short-rows", "no-labels", "too-few-labels", "label-without-name"],
)
def test_files_of_another_kind_are_refused(
    entries: dict[bytes, object], problem: str, publish: Publish, tmp_path: Path
) -> None:
    publication = publish("cifar100")
    folder = publication.unpack_into(tmp_path)
    publication.vouch_for("train", python2_pickle(entries))
    (folder / "train").write_bytes(python2_pickle(entries))
    with pytest.raises(DataError, match=problem):
        load_cifar("cifar100", tmp_path, download=False)


def test_the_two_data_sets_lie_side_by_side(publish: Publish, tmp_path: Path) -> None:
    for name in ("cifar10", "cifar100"):
        publish(name).unpack_into(tmp_path / "data")
    sizes = [
        len(load_cifar(name, tmp_path / "data", download=False)[0])
        for name in ("cifar10", "cifar100")
    ]
    assert sizes == [40, 8]
