"""What a source of images gives: its training part, its test part, perhaps a validation part."""

from collections.abc import Mapping
from typing import NamedTuple

from automix_cli.data.image_files import ImageFiles
from automix_cli.data.image_set import ImageSet

Images = ImageSet | ImageFiles
"""Labelled images: an array in memory, or files that are decoded as they are needed."""

Part = str
"""`train`, `validation` or `test`."""

PART_ORDER: tuple[Part, ...] = ("train", "validation", "test")

SPELLINGS: Mapping[str, Part] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
"""What people call the parts of a data set."""


class Parts(NamedTuple):
    """The parts of a data set as it is published, or as a person has divided it.

    Attributes:
        train: Images to learn from.
        test: Images to report on; None where the source is not divided.
        validation: Images to choose between checkpoints, where the source has its own.
    """

    train: Images
    test: Images | None
    validation: Images | None = None


def parts_of(images: Mapping[Part, Images]) -> Parts:
    """Give each part its use: a validation part without a test part is what is reported on.

    Args:
        images: By part; `train` is among them.
    """
    test, validation = images.get("test"), images.get("validation")
    if test is None:
        test, validation = validation, None
    return Parts(images["train"], test, validation)


def class_differences(classes: Mapping[Part, set[str]]) -> list[str]:
    """Say which classes of the training part another part has not, and the other way round.

    Args:
        classes: Names of the classes of each part; `train` is among them.
    """
    differences: list[str] = []
    for part in (each for each in classes if each != "train"):
        extra = sorted(classes[part] - classes["train"])
        lacking = sorted(classes["train"] - classes[part])
        if extra:
            differences.append(f"{listed(extra)} in the {part} part, not in the training part")
        if lacking:
            differences.append(f"{listed(lacking)} in the training part, not in the {part} part")
    return differences


def listed(names: list[str], most: int = 5) -> str:
    """Write names in backticks, the first few of many."""
    shown = ", ".join(f"`{name}`" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
