"""The `[data]` section: which images, how they are split, held and augmented."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from automix_cli.settings.rules import (
    Count,
    FilePath,
    Index,
    NonNegative,
    Rule,
    Section,
    Share,
    ShareBelowOne,
    require,
)

ShareAboveZero = Annotated[float, Field(gt=0, le=1)]


def _usable_address(address: str) -> str:
    """Refuse what cannot be downloaded from."""
    if not address.startswith(("https://", "http://")):
        raise ValueError("an address that begins with https:// or http://")
    return address


class DataSettings(Section):
    """The images, their split and their augmentation."""

    name: Literal[
        "digits",
        "cifar10",
        "cifar100",
        "mnist",
        "fashion_mnist",
        "kmnist",
        "svhn",
        "stl10",
        "tiny_imagenet",
        "imagenet",
        "imagenette",
        "cub200",
        "aircraft",
        "cars",
        "flowers102",
        "pets",
        "food101",
        "dtd",
        "gtsrb",
        "country211",
        "inat2017",
        "inat2018",
        "inat2021",
        "places205",
        "places365",
        "folder",
        "csv",
        "coco",
    ] = "digits"
    """Data set. `digits` is part of the package and needs no download; `folder` is anyone's own
    folder (`data.dir`), `csv` a table of paths and labels (`data.csv`); `coco` are boxes in COCO's
    format, for `automix detect` (`[detection]`)."""

    dir: FilePath = Path("data")
    """Folder that holds the data set's official folder, or into which it is downloaded; for
    `data.name` `folder`, the folder of `train` and `test`, or of one folder for each class."""

    download: bool | None = None
    """Whether missing data may be downloaded; unset: sets of at most 20 GB. Checksums are verified
    either way."""

    mirror: Annotated[str, AfterValidator(_usable_address)] | None = None
    """Address that is asked before the official one, for the same archive names; unset: none."""

    csv: FilePath | None = None
    """Table of `path,label` or `path,label,split` for `data.name` `csv`, paths relative to it."""

    holdout: ShareBelowOne = 0.0
    """Share of the training images kept back, equally from each class, to choose `best.pt` on. 0
    chooses on the test set, as the published numbers do, and the run says so. Where a folder or a
    table has no test part, this share is the test part, and `best.pt` is chosen on it."""

    train_limit: Count | None = None
    """Train on so many images only, the same share of each class, the same ones for every seed;
    unset: on all. For measuring with little data; held-out images are taken before."""

    image_size: Count | None = None
    """Height and width that the network sees; unset: the data set's own, 224 for photographs."""

    resize: Count | None = None
    """Short side that training images are brought to before they are cropped; unset: as they are
    for `random_resized`, `image_size` for `pad`."""

    crop: Literal["pad", "random_resized"] | None = None
    """How training images are cropped: after a border (`crop_padding`), or a random part of random
    shape brought to `image_size`. Unset: `pad` for small images, else `random_resized`."""

    crop_padding: Index = 4
    """Pixels of reflected border before the random crop; 0 switches cropping off."""

    crop_scale_min: ShareAboveZero = 0.08
    """Smallest share of the area that a `random_resized` crop keeps."""

    flip: bool = True
    """Whether images are mirrored left to right at random. Switch it off for digits and letters."""

    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    """How images are resized, in training and for evaluation."""

    color_jitter: NonNegative = 0.0
    """Range of random brightness, contrast and saturation factors around 1; 0 switches it off."""

    rand_augment: Literal["none", "timm", "openmixup", "openmixup_increasing"] = "none"
    """List of operations of RandAugment: timm's `inc1`, the reference's for CIFAR (14, FixMatch),
    or the reference's increasing ones for ImageNet (15)."""

    rand_augment_ops: Count = 2
    """Operations applied to each image."""

    rand_augment_magnitude: Annotated[float, Field(ge=0, le=10)] = 9.0
    """Mean strength of an operation, of 10."""

    rand_augment_std: NonNegative = 0.5
    """Standard deviation of the strength."""

    rand_augment_probability: Share = 0.5
    """Probability with which each chosen operation is applied."""

    three_augment: bool = False
    """Whether each image is turned grey, solarised or blurred, one of the three (DeiT III)."""

    erase_probability: Share = 0.0
    """Probability of erasing a random rectangle of an image."""

    erase_fill: Literal["noise", "mean"] = "noise"
    """What an erased rectangle is filled with: noise for each pixel, as in timm, or the mean."""

    test_crop_ratio: ShareAboveZero = 1.0
    """Side of the central crop at test time over the side the image is resized to: 0.875 is 256
    and 224."""

    repeats: Count = 1
    """Differently augmented copies of an image in an epoch, each counted as an image (repeated
    augmentation); an epoch then shows the share 1 / repeats of all images."""

    storage: Literal["auto", "memory", "stream"] = "auto"
    """Where images are kept: all in memory on the training device, or decoded from their files as
    they are needed. `auto`: in memory where the data set is an array, such as CIFAR."""

    decode_on: Literal["cpu", "device"] = "cpu"
    """Where JPEG files are decoded: by Pillow on the processor, or on the training device by
    torchvision, which on a CUDA GPU is its JPEG decoder (files are then also cut and resized
    there). `device` needs image files, `random_resized` crops and no colour operations."""

    workers: Index | None = None
    """Threads per training process that make images, where they are not made in whole batches on
    the device; 0: none beside its own, unset: one for each core, at most 8. Changes speed, not the
    numbers."""

    @property
    def identity(self) -> str:
        """Which images: a data set by name, or a person's own by the place where they lie."""
        if self.name == "folder":
            return f"folder {self.dir.resolve()}"
        return self.name if self.csv is None else f"csv {self.csv.resolve()}"

    @model_validator(mode="after")
    def _table_and_name_agree(self) -> Self:
        require(
            Rule(
                (self.name == "csv") == (self.csv is not None),
                "`data.csv` and `data.name = csv` go together",
                ("data.name", "data.csv"),
            ),
        )
        return self

    @model_validator(mode="after")
    def _settings_of_an_augmentation_need_it(self) -> Self:
        changed = {name for name in type(self).model_fields if self._is_changed(name)}
        of_rand_augment = sorted(name for name in changed if name.startswith("rand_augment_"))
        require(
            Rule(
                self.rand_augment != "none" or not of_rand_augment,
                "the settings of RandAugment need a list, `data.rand_augment`",
                ("data.rand_augment", *(f"data.{name}" for name in of_rand_augment)),
            ),
            Rule(
                self.erase_probability > 0 or self.erase_fill == "noise",
                "`data.erase_fill` needs `data.erase_probability` above 0",
                ("data.erase_probability", "data.erase_fill"),
            ),
            Rule(
                self.crop != "pad" or "crop_scale_min" not in changed,
                "`data.crop_scale_min` is of `random_resized` crops",
                ("data.crop", "data.crop_scale_min"),
            ),
        )
        return self

    def _is_changed(self, name: str) -> bool:
        return getattr(self, name) != type(self).model_fields[name].default
