"""The data sets by name: `digits` inside the package, CIFAR-10 and CIFAR-100 from a folder.

To add a data set: a loader that gives a training and a test `ImageSet`, a line in `_load`, the
literal in `DataSettings.name`, and its tests. Nothing else.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from automix_cli.data import digits
from automix_cli.data.cifar import CIFAR_MEAN, CIFAR_STD, load_cifar
from automix_cli.data.image_set import ImageSet
from automix_cli.errors import DataError
from automix_cli.randomness import Purpose, stream

__all__ = ["DataName", "DataSplits", "ImageSet", "load_splits", "stratified_indices"]

DataName = Literal["digits", "cifar10", "cifar100"]


@dataclass(frozen=True, eq=False)
class DataSplits:
    """A data set, divided for training and for judging.

    Attributes:
        train: Images to learn from, without those of `validation`.
        test: Images to report on.
        validation: Images held out of the training part for choosing between checkpoints, or None.
        mean: Mean of each channel, in [0, 1] (units of 255).
        std: Standard deviation of each channel, in the same units, > 0.
        name: Name of the data set.
    """

    train: ImageSet
    test: ImageSet
    validation: ImageSet | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    name: str

    def to(self, device: torch.device | str) -> "DataSplits":
        """Put all images and labels on a device."""
        validation = None if self.validation is None else self.validation.to(device)
        return replace(
            self, train=self.train.to(device), test=self.test.to(device), validation=validation
        )

    def description(self) -> dict[str, Any]:
        """What a program must know of the data to use a classifier trained on them."""
        _, channels, size, _ = self.train.images.shape
        return {
            "name": self.name,
            "class_names": list(self.train.class_names),
            "mean": list(self.mean),
            "std": list(self.std),
            "in_channels": channels,
            "image_size": size,
        }


def load_splits(
    name: DataName,
    directory: Path,
    *,
    download: bool,
    holdout: float = 0.0,
    train_limit: int | None = None,
) -> DataSplits:
    """Read a data set into memory.

    Which images are held out or left out depends on `holdout` and `train_limit` alone, never on the
    seed of a run, so runs of different seeds learn from and are judged on the same images. Mean and
    standard deviation are those of the whole training part.

    Args:
        name: `digits`, `cifar10` or `cifar100`.
        directory: Where the folder of CIFAR lies or is put; `digits` needs none. `~` is the home.
        download: Fetch what is missing.
        holdout: Part of the training images to hold out, class by class, in [0, 1).
        train_limit: How many of the remaining ones to train on, class by class; None: on all.

    Raises:
        DataError: if files are missing, broken or of the wrong checksum, if `holdout` is too small
            to hold out one image, or if there are fewer images than `train_limit`.
        ValueError: if `name` is unknown or `holdout` is outside [0, 1).
    """
    if not 0 <= holdout < 1:
        raise ValueError(f"holdout must be in [0, 1), got {holdout}")
    train, test, mean, std = _load(name, directory.expanduser(), download=download)
    splits = DataSplits(train, test, None, mean, std, name)
    if holdout:
        splits = _hold_out(splits, holdout)
    return splits if train_limit is None else _limit(splits, train_limit)


def _hold_out(splits: DataSplits, holdout: float) -> DataSplits:
    """Move a share of the training images to a validation part."""
    train = splits.train
    num_held_out = round(holdout * len(train))
    if not 0 < num_held_out < len(train):
        raise DataError(
            f"`data.holdout` = {holdout} of {len(train)} training images leaves"
            f" {len(train) - num_held_out} for training and {num_held_out} for validation",
            hint="use 0 for no validation images, or a part that gives both at least one",
        )
    held_out = stratified_indices(train.labels.numpy(), num_held_out, stream(Purpose.HOLDOUT, 0))
    kept = np.setdiff1d(np.arange(len(train)), held_out, assume_unique=True)
    return replace(splits, train=train.take(kept), validation=train.take(held_out))


def _limit(splits: DataSplits, num_images: int) -> DataSplits:
    """Keep so many of the training images; a smaller part of a class lies within a larger one."""
    train = splits.train
    if num_images > len(train):
        raise DataError(
            f"`data.train_limit` = {num_images}, there are {len(train)} training images",
            hint="unset it with `--set data.train_limit=none`",
        )
    rng = stream(Purpose.HOLDOUT, 1)
    return replace(
        splits, train=train.take(stratified_indices(train.labels.numpy(), num_images, rng))
    )


def stratified_indices(labels: np.ndarray, num_taken: int, rng: np.random.Generator) -> np.ndarray:
    """Choose samples at random so that every class keeps its share.

    Each class gives `num_taken * (its size) / n`, rounded down; what is then missing comes from the
    classes with the largest remainders, one each (the lower label first when they are equal).

    Args:
        labels: `(n,)` class of each sample, integers >= 0.
        num_taken: How many samples to choose, in [0, n].
        rng: Source of randomness.

    Returns:
        `(num_taken,)` positions in ascending order.

    Raises:
        ValueError: if `num_taken` is outside [0, n].
    """
    if not 0 <= num_taken <= len(labels):
        raise ValueError(f"num_taken must be in [0, {len(labels)}], got {num_taken}")
    classes, counts = np.unique(labels, return_counts=True)
    shares, remainders = np.divmod(num_taken * counts, max(len(labels), 1))
    largest = np.argsort(-remainders, kind="stable")[: num_taken - shares.sum()]
    shares[largest] += 1
    chosen = [
        rng.permutation(np.flatnonzero(labels == label))[:share]
        for label, share in zip(classes, shares, strict=True)
    ]
    return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *chosen]))


def _load(
    name: DataName, directory: Path, *, download: bool
) -> tuple[ImageSet, ImageSet, tuple[float, ...], tuple[float, ...]]:
    if name == "digits":
        return (*digits.load_digits(), digits.MEAN, digits.STD)
    if name in ("cifar10", "cifar100"):
        return (*load_cifar(name, directory, download=download), CIFAR_MEAN, CIFAR_STD)
    raise ValueError(f"name must be one of digits, cifar10, cifar100, got {name!r}")
