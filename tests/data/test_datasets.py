"""Data sets by name, and what is held out of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from published_cifar import Publication

from automix_cli.data.datasets import DataRequest, DataSplits, load_splits, stratified_indices
from automix_cli.errors import DataError

NOWHERE = Path("no-such-folder")


def digits(holdout: float = 0) -> DataSplits:
    return load_splits(DataRequest("digits", NOWHERE, holdout=holdout))


def rows(images: torch.Tensor) -> list[bytes]:
    return [image.numpy().tobytes() for image in images]


def test_digits_need_no_folder_and_no_network() -> None:
    splits = digits()
    assert (splits.name, len(splits.train), len(splits.test)) == ("digits", 1437, 360)
    assert splits.validation is None
    assert len(splits.mean) == len(splits.std) == splits.train.images.shape[1] == 1


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar_is_normalised_as_in_the_reference(
    name: Any, publish: Callable[[str], Publication], tmp_path: Path
) -> None:
    publish(name).unpack_into(tmp_path)
    splits = load_splits(DataRequest(name, tmp_path))
    assert splits.mean == (0.4914, 0.4822, 0.4465)
    assert splits.std == (0.2023, 0.1994, 0.2010)


def test_a_folder_in_the_home_folder_is_found(
    publish: Callable[[str], Publication], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish("cifar100").unpack_into(tmp_path / "data")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert len(load_splits(DataRequest("cifar100", Path("~/data"))).test) == 8


def test_an_unknown_data_set_is_refused() -> None:
    with pytest.raises(ValueError, match=r"name must be one of digits, .*, got 'no-such-data'"):
        load_splits(DataRequest("no-such-data"))


def test_held_out_images_are_taken_from_training_and_nothing_is_lost() -> None:
    whole, divided = digits(), digits(holdout=0.1)
    assert divided.validation is not None
    assert (len(divided.train), len(divided.validation)) == (1293, 144)
    both = rows(divided.train.images) + rows(divided.validation.images)
    assert sorted(both) == sorted(rows(whole.train.images))
    assert torch.equal(divided.test.images, whole.test.images)
    assert divided.mean == whole.mean


def test_every_class_gives_its_share_to_the_held_out_images() -> None:
    divided = digits(holdout=0.2)
    assert divided.validation is not None
    kept, held = divided.train.labels.bincount(), divided.validation.labels.bincount()
    assert (held - 0.2 * (kept + held)).abs().max() < 1


def test_the_same_images_are_held_out_every_time() -> None:
    first, second = digits(holdout=0.1).validation, digits(holdout=0.1).validation
    assert first is not None
    assert second is not None
    assert torch.equal(first.images, second.images)


@pytest.mark.parametrize("holdout", [0.0001, 0.9999])
def test_a_holdout_that_leaves_one_part_empty_is_refused(holdout: float) -> None:
    with pytest.raises(DataError, match=r"`data\.holdout` = 0\.\d+ of 1437 training images leaves"):
        digits(holdout)


@pytest.mark.parametrize("holdout", [-0.1, 1.0])
def test_a_holdout_out_of_range_is_refused(holdout: float) -> None:
    with pytest.raises(ValueError, match=r"holdout must be in \[0, 1\)"):
        digits(holdout)


@pytest.mark.parametrize("num_taken", [0, 1, 7, 49, 100])
def test_shares_of_classes_are_rounded_by_largest_remainder(num_taken: int) -> None:
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    chosen = stratified_indices(labels, num_taken, np.random.default_rng(0))
    assert len(np.unique(chosen)) == num_taken
    counts = np.bincount(labels[chosen], minlength=3)
    assert np.abs(counts - num_taken * np.array([0.5, 0.3, 0.2])).max() < 1


def test_any_sample_of_a_class_may_be_chosen() -> None:
    labels = np.zeros(10, dtype=np.int64)
    rng = np.random.default_rng(0)
    seen = {int(stratified_indices(labels, 1, rng)[0]) for _ in range(200)}
    assert seen == set(range(10))


def test_more_samples_than_there_are_cannot_be_chosen() -> None:
    with pytest.raises(ValueError, match=r"num_taken must be in \[0, 3\], got 4"):
        stratified_indices(np.zeros(3, dtype=np.int64), 4, np.random.default_rng(0))


def limited(num_images: int | None, holdout: float = 0) -> DataSplits:
    return load_splits(DataRequest("digits", NOWHERE, holdout=holdout, train_limit=num_images))


def test_a_limit_keeps_the_share_of_each_class_and_the_test_set() -> None:
    whole, few = digits(), limited(200)
    share = whole.train.labels.bincount() * 200 / len(whole.train)
    assert len(few.train) == 200
    assert (few.train.labels.bincount() - share).abs().max() < 1
    assert torch.equal(few.test.images, whole.test.images)
    assert few.mean == whole.mean


def test_a_limit_is_taken_from_what_is_not_held_out() -> None:
    divided = limited(200, holdout=0.5)
    assert divided.validation is not None
    kept, held = set(rows(divided.train.images)), set(rows(divided.validation.images))
    everything = rows(digits().train.images)
    assert kept <= set(everything)
    assert len(held) + len(set(everything) - held) == len(set(everything))
    assert torch.equal(divided.validation.images, digits(holdout=0.5).validation.images)  # type: ignore[union-attr]


def test_more_images_than_there_are_is_refused() -> None:
    with pytest.raises(DataError, match=r"`data\.train_limit` = 2000, there are 1437 training"):
        limited(2000)
