"""Benchmarks that `torchvision.datasets` has with an official test part, kept as files.

Names of files and archives, addresses and md5 are torchvision's.
"""

import csv

from automix_cli.data.download import Archive
from automix_cli.data.folders import image_files, scan_folder
from automix_cli.data.layout import (
    Layout,
    as_number,
    labelled_files,
    located,
    named_files,
    read_words,
)
from automix_cli.data.parts import Parts, parts_of
from automix_cli.data.request import DataRequest
from automix_cli.errors import DataError


def _dtd_archives() -> tuple[Archive, ...]:
    from torchvision.datasets import DTD

    return (Archive("DTD", DTD._URL, "dtd-r1.0.1.tar.gz", DTD._MD5, "dtd", ("images", "labels")),)


DESCRIBABLE_TEXTURES = Layout(
    title="DTD",
    folders=("dtd", "dtd/dtd"),
    wanted=("images", "labels/train1.txt", "labels/val1.txt", "labels/test1.txt"),
    tree=("images/banded/banded_0002.jpg, ...", "labels/train1.txt  labels/val1.txt  ..."),
    archives=_dtd_archives,
)


def load_dtd(request: DataRequest) -> Parts:
    """Read DTD, its first division: 3,760 training and validation and 1,880 test images."""
    root = located(DESCRIBABLE_TEXTURES, request)
    train, validation, test = (
        [words[0] for words in read_words(root / f"labels/{part}1.txt", columns=1)]
        for part in ("train", "val", "test")
    )
    names = tuple(sorted({path.partition("/")[0] for path in train}))
    parts = [
        [(f"images/{path}", path.partition("/")[0]) for path in paths]
        for paths in (train + validation, test)
    ]
    return Parts(*(named_files(root, rows, names) for rows in parts))


def _gtsrb_archives() -> tuple[Archive, ...]:
    url = "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/"
    train, images, labels = (
        ("GTSRB-Training_fixed.zip", "513f3c79a4c5141765e10e952eaa2478"),
        ("GTSRB_Final_Test_Images.zip", "c7e4e6327067d32654124b0fe9e82185"),
        ("GTSRB_Final_Test_GT.zip", "fe31e9c9270bbcd7b84b7f21a9d9d9e5"),
    )
    inside = ("gtsrb/GTSRB", ("Training",), "GTSRB"), ("gtsrb/GTSRB", ("Final_Test",), "GTSRB")
    return (
        Archive("GTSRB", url + train[0], *train, *inside[0]),
        Archive("GTSRB", url + images[0], *images, *inside[1]),
        Archive("GTSRB", url + labels[0], *labels, "gtsrb", ("GT-final_test.csv",), ""),
    )


GTSRB = Layout(
    title="GTSRB",
    folders=("gtsrb",),
    wanted=("GTSRB/Training", "GTSRB/Final_Test/Images", "GT-final_test.csv"),
    tree=(
        "GTSRB/Training/00000/00000_00000.ppm, ...",
        "GTSRB/Final_Test/Images/00000.ppm, ...",
        "GT-final_test.csv",
    ),
    archives=_gtsrb_archives,
)


def load_gtsrb(request: DataRequest) -> Parts:
    """Read GTSRB: 26,640 training and 12,630 test images of 43 traffic signs."""
    root = located(GTSRB, request)
    train = image_files(root / "GTSRB/Training", scan_folder(root / "GTSRB/Training"))["train"]
    rows: list[tuple[str, int]] = []
    path = root / "GT-final_test.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter=";", skipinitialspace=True):
                image = f"GTSRB/Final_Test/Images/{row['Filename']}"
                rows.append((image, as_number(row["ClassId"], path)))
    except (OSError, KeyError, csv.Error) as error:
        raise DataError(f"cannot read `{path}`: {error}") from error
    return Parts(train, labelled_files(root, rows, train.class_names))


def _country211_archives() -> tuple[Archive, ...]:
    from torchvision.datasets import Country211

    parts = ("train", "valid", "test")
    name = "country211.tgz"
    return (Archive("Country211", Country211._URL, name, Country211._MD5, "country211", parts),)


COUNTRY211 = Layout(
    title="Country211",
    folders=("country211",),
    wanted=("train", "valid", "test"),
    tree=("train/AD/299609.jpg, ...  valid/AD/...  test/AD/...",),
    archives=_country211_archives,
)


def _imagenette_archives() -> tuple[Archive, ...]:
    from torchvision.datasets import Imagenette

    url, md5 = Imagenette._ARCHIVES["full"]
    return (Archive("Imagenette", url, "imagenette2.tgz", md5, "imagenette2", ("train", "val")),)


IMAGENETTE = Layout(
    title="Imagenette",
    folders=("imagenette2", "imagenette2-320", "imagenette2-160"),
    wanted=("train", "val"),
    tree=("train/n01440764/n01440764_10026.JPEG, ...  val/n01440764/...",),
    archives=_imagenette_archives,
)


def load_class_folders(layout: Layout, request: DataRequest) -> Parts:
    """Read a data set that is published as folders of classes, in parts."""
    root = located(layout, request)
    return parts_of(image_files(root, scan_folder(root)))
