"""The data sets by name: how each is read, and how a network sees its images.

To add a data set: a function that gives its `Parts`, a line in `CATALOGUE`, its literal in
`DataSettings.name`, and its tests. Nothing else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from automix_cli.data import digits
from automix_cli.data.arrays import load_mnist, load_stl10, load_svhn
from automix_cli.data.benchmarks import (
    COUNTRY211,
    IMAGENETTE,
    load_class_folders,
    load_dtd,
    load_gtsrb,
)
from automix_cli.data.cifar import CIFAR_MEAN, CIFAR_STD, CifarName, load_cifar
from automix_cli.data.fine_grained import (
    load_aircraft,
    load_cars,
    load_cub200,
    load_flowers102,
    load_food101,
    load_pets,
)
from automix_cli.data.folders import load_folder
from automix_cli.data.large_scale import (
    INAT2017,
    INAT2018,
    INAT2021,
    load_imagenet,
    load_inat,
    load_tiny_imagenet,
)
from automix_cli.data.parts import Parts
from automix_cli.data.places import load_places205, load_places365
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
    directory, may_download = request.directory, request.may_download()
    return Parts(*load_cifar(name, directory, download=may_download, mirror=request.mirror))


def _photographs(load: Callable[[DataRequest], Parts]) -> Source:
    return Source(load, 224, IMAGENET_MEAN, IMAGENET_STD, "random_resized")


CATALOGUE: Mapping[str, Source] = {
    "digits": Source(_digits, digits.SIZE, digits.MEAN, digits.STD, "pad"),
    "cifar10": Source(partial(_cifar, "cifar10"), 32, CIFAR_MEAN, CIFAR_STD, "pad"),
    "cifar100": Source(partial(_cifar, "cifar100"), 32, CIFAR_MEAN, CIFAR_STD, "pad"),
    "mnist": Source(partial(load_mnist, "MNIST"), 28, (0.1307,), (0.3081,), "pad"),
    "fashion_mnist": Source(partial(load_mnist, "FashionMNIST"), 28, (0.286,), (0.353,), "pad"),
    "kmnist": Source(partial(load_mnist, "KMNIST"), 28, (0.1918,), (0.3483,), "pad"),
    "svhn": Source(load_svhn, 32, (0.4377, 0.4438, 0.4728), (0.198, 0.201, 0.197), "pad"),
    "stl10": Source(load_stl10, 96, (0.4467, 0.4398, 0.4066), (0.2603, 0.2566, 0.2713), "pad"),
    "tiny_imagenet": Source(load_tiny_imagenet, 64, IMAGENET_MEAN, IMAGENET_STD, "pad"),
    "imagenet": _photographs(load_imagenet),
    "imagenette": _photographs(partial(load_class_folders, IMAGENETTE)),
    "cub200": _photographs(load_cub200),
    "aircraft": _photographs(load_aircraft),
    "cars": _photographs(load_cars),
    "flowers102": _photographs(load_flowers102),
    "pets": _photographs(load_pets),
    "food101": _photographs(load_food101),
    "dtd": _photographs(load_dtd),
    "gtsrb": Source(load_gtsrb, 32, IMAGENET_MEAN, IMAGENET_STD, "pad"),
    "country211": _photographs(partial(load_class_folders, COUNTRY211)),
    "inat2017": _photographs(partial(load_inat, INAT2017, "2017")),
    "inat2018": _photographs(partial(load_inat, INAT2018, "2018")),
    "inat2021": _photographs(partial(load_class_folders, INAT2021)),
    "places205": _photographs(load_places205),
    "places365": _photographs(load_places365),
    "folder": _photographs(load_folder),
    "csv": _photographs(load_table),
}
"""Every data set by name."""
