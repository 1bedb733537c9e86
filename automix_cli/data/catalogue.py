"""The data sets by name: how each is read, and how a network sees its images.

To add a data set: a function that gives its `Parts`, a line in `CATALOGUE`, its literal in
`DataSettings.name`, and its tests. Nothing else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from automix_cli.data import digits
from automix_cli.data.cifar import CIFAR_MEAN, CIFAR_STD, CifarName, load_cifar
from automix_cli.data.folders import load_folder
from automix_cli.data.parts import Parts
from automix_cli.data.request import DataRequest
from automix_cli.data.tables import load_table


@dataclass(frozen=True)
class Source:
    """A data set by name.

    Attributes:
        load: Reads it, or lists its files.
        image_size: Height and width that the network sees unless a setting says otherwise.
        mean: Mean of each channel, units of 255.
        std: Standard deviation of each channel, same units.
        crop: How training images are cropped unless a setting says otherwise.
    """

    load: Callable[[DataRequest], Parts]
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: Literal["pad", "random_resized"]


IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Normalisation of photographs, of the reference and of everybody, units of 255."""


def _digits(_: DataRequest) -> Parts:
    return Parts(*digits.load_digits())


def _cifar(name: CifarName, request: DataRequest) -> Parts:
    return Parts(*load_cifar(name, request.directory, download=request.download))


def _photographs(load: Callable[[DataRequest], Parts]) -> Source:
    return Source(load, 224, IMAGENET_MEAN, IMAGENET_STD, "random_resized")


CATALOGUE: Mapping[str, Source] = {
    "digits": Source(_digits, digits.SIZE, digits.MEAN, digits.STD, "pad"),
    "cifar10": Source(partial(_cifar, "cifar10"), 32, CIFAR_MEAN, CIFAR_STD, "pad"),
    "cifar100": Source(partial(_cifar, "cifar100"), 32, CIFAR_MEAN, CIFAR_STD, "pad"),
    "folder": _photographs(load_folder),
    "csv": _photographs(load_table),
}
"""Every data set by name."""
