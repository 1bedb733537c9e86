"""From a data set's name to images for training and for judging.

Which data sets there are is in `catalogue`, how training images are held out or left out in
`division`.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from automix_cli.data.catalogue import CATALOGUE
from automix_cli.data.division import divide, stratified_indices
from automix_cli.data.image_files import ImageFiles
from automix_cli.data.image_set import ImageSet
from automix_cli.data.parts import Images
from automix_cli.data.request import DataRequest
from automix_cli.errors import DataError

__all__ = [
    "DataRequest",
    "DataSplits",
    "ImageFiles",
    "ImageSet",
    "Images",
    "load_splits",
    "stratified_indices",
]


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
        image_size: Height and width that the network sees. Images in memory may have another size,
            and files have any: who makes batches brings them to it.
        crop: How training images are cropped unless a setting says otherwise: `pad` for small
            images, `random_resized` for photographs.
    """

    train: Images
    test: Images
    validation: Images | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    name: str
    image_size: int
    crop: Literal["pad", "random_resized"]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class, in label order."""
        return self.train.class_names

    @property
    def in_channels(self) -> int:
        """Channels of an image as the network sees it: files are decoded to red, green, blue."""
        return self.train.images.shape[1] if isinstance(self.train, ImageSet) else 3

    def to(self, device: torch.device | str) -> "DataSplits":
        """Put images in memory on a device, with their labels; files stay where they are."""
        validation = None if self.validation is None else _to(self.validation, device)
        train, test = _to(self.train, device), _to(self.test, device)
        return replace(self, train=train, test=test, validation=validation)

    def description(self) -> dict[str, Any]:
        """What a program must know of the data to use a classifier trained on them."""
        return {
            "name": self.name,
            "class_names": list(self.class_names),
            "mean": list(self.mean),
            "std": list(self.std),
            "in_channels": self.in_channels,
            "image_size": self.image_size,
        }


def _to(images: Images, device: torch.device | str) -> Images:
    return images.to(device) if isinstance(images, ImageSet) else images


def load_splits(request: DataRequest) -> DataSplits:
    """Read a data set into memory, or list its files.

    Which images are held out or left out depends on `holdout` and `train_limit` alone, never on the
    seed of a run, so runs of different seeds learn from and are judged on the same images. Mean and
    standard deviation are those of the whole training part, or of ImageNet for photographs.

    Raises:
        DataError: if files are missing, broken or of the wrong checksum, if `holdout` is too small
            to hold out one image, or if there are fewer images than `train_limit`.
        ValueError: if there is no data set of that name.
    """
    if request.name == "coco":
        raise DataError(
            "`data.name` is `coco`: boxes to be found, and no images of classes",
            hint="detectors are trained and judged by `automix detect`",
        )
    if request.name not in CATALOGUE:
        raise ValueError(f"name must be one of {', '.join(CATALOGUE)}, got {request.name!r}")
    source = CATALOGUE[request.name]
    train, test, validation = divide(
        source.load(request), holdout=request.holdout, train_limit=request.train_limit
    )
    return DataSplits(
        train=train,
        test=test,
        validation=validation,
        mean=source.mean,
        std=source.std,
        name=request.name,
        image_size=request.image_size or source.image_size,
        crop=source.crop,
    )
