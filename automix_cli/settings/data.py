"""The `[data]` section: which images, how they are split, held and augmented."""

from pathlib import Path
from typing import Literal

from automix_cli.settings.rules import (
    Count,
    FilePath,
    Index,
    Section,
    ShareBelowOne,
)


class DataSettings(Section):
    """The images, their split and their augmentation."""

    name: Literal["digits", "cifar10", "cifar100"] = "digits"
    """Data set. `digits` is part of the package and needs no download."""

    dir: FilePath = Path("data")
    """Folder that holds the data set's official folder, or into which it is downloaded."""

    download: bool = True
    """Whether missing data may be downloaded; their checksum is verified either way."""

    holdout: ShareBelowOne = 0.0
    """Share of the training images kept back, equally from each class, to choose `best.pt` on. 0
    chooses on the test set, as the published numbers do, and the run says so."""

    train_limit: Count | None = None
    """Train on so many images only, the same share of each class, the same ones for every seed;
    unset: on all. For measuring with little data; held-out images are taken before."""

    crop_padding: Index = 4
    """Pixels of reflected border before the random crop; 0 switches cropping off."""

    flip: bool = True
    """Whether images are mirrored left to right at random. Switch it off for digits and letters."""
