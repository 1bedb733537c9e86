"""The large photograph data sets: ImageNet and its small sister, and iNaturalist.

Each function reads the lists or the folders that are published with the images; no image is opened.
The validation images are judged on: the labels of the test images are not published.

Source:
    iNaturalist: addresses and md5 of github.com/visipedia/inat_comp, and that of the annotations of
    2017 as others have computed it. ImageNet's md5: `torchvision.datasets`.
"""

import json
from pathlib import Path
from typing import Any

from automix_cli.data.download import Archive
from automix_cli.data.folders import image_files, scan_folder
from automix_cli.data.layout import (
    Layout,
    as_number,
    labelled_files,
    located,
    matlab_variables,
    named_files,
    read_words,
)
from automix_cli.data.parts import Parts
from automix_cli.data.request import DataRequest
from automix_cli.errors import DataError

TINY_IMAGENET = Layout(
    title="Tiny-ImageNet",
    folders=("tiny-imagenet-200",),
    wanted=("train", "wnids.txt", "val/images", "val/val_annotations.txt"),
    tree=(
        "wnids.txt",
        "train/n01443537/images/n01443537_0.JPEG, ...",
        "val/images/val_0.JPEG, ...  val/val_annotations.txt",
    ),
    archives=lambda: (
        Archive(
            "Tiny-ImageNet",
            "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
            "tiny-imagenet-200.zip",
            "90528d7ca1a48142e341f4ef8d21d0de",
            "tiny-imagenet-200",
            ("train", "val", "wnids.txt"),
        ),
    ),
)


def load_tiny_imagenet(request: DataRequest) -> Parts:
    """Read Tiny-ImageNet: 100,000 training and 10,000 validation images of 200 classes."""
    root = located(TINY_IMAGENET, request)
    names = tuple(sorted(words[0] for words in read_words(root / "wnids.txt", columns=1)))
    classes = scan_folder(root / "train")["train"].files
    train = [(f"train/{path}", name) for name, paths in classes.items() for path in paths]
    annotations = read_words(root / "val/val_annotations.txt", columns=2)
    test = [(f"val/images/{words[0]}", words[1]) for words in annotations]
    return Parts(*(named_files(root, rows, names) for rows in (train, test)))


DEVKIT = "ILSVRC2012_devkit_t12/data"
IMAGENET = Layout(
    title="ImageNet-1k (ILSVRC 2012)",
    folders=("imagenet", "ILSVRC2012", "ILSVRC/Data/CLS-LOC"),
    wanted=("train", "val"),
    tree=(
        "train/n01440764/n01440764_10026.JPEG, ...  1,000 folders: the tars inside",
        "    ILSVRC2012_img_train.tar (md5 1d675b47d978889d74fa0da5fadfb00e), each in its folder",
        "val/n01440764/ILSVRC2012_val_00000293.JPEG, ...  1,000 folders, or all in one:",
        "val/ILSVRC2012_val_00000001.JPEG, ...",
        "    ILSVRC2012_img_val.tar (md5 29b22e2961454d5413ddabcf34fc5622), and beside it",
        f"{DEVKIT}/ILSVRC2012_validation_ground_truth.txt  {DEVKIT}/meta.mat",
        "    ILSVRC2012_devkit_t12.tar.gz (md5 fa75699e90414af021442c21a62c3abf)",
        "from https://image-net.org/challenges/LSVRC/2012/2012-downloads.php, after registration",
    ),
)


def load_imagenet(request: DataRequest) -> Parts:
    """Read ImageNet-1k: 1,281,167 training and 50,000 validation images of 1,000 classes."""
    root = located(IMAGENET, request)
    train = image_files(root / "train", scan_folder(root / "train"))["train"]
    if any(each.is_dir() for each in (root / "val").iterdir()):
        classes = scan_folder(root / "val")["train"].files
        rows = [(path, name) for name, paths in classes.items() for path in paths]
    else:
        rows = _flat_validation(root)
    return Parts(train, named_files(root / "val", rows, train.class_names))


def _flat_validation(root: Path) -> list[tuple[str, str]]:
    """Label the validation images that lie in one folder, by the official development kit."""
    truth, meta = (
        root / DEVKIT / "ILSVRC2012_validation_ground_truth.txt",
        root / DEVKIT / "meta.mat",
    )
    if not (truth.exists() and meta.exists()):
        raise DataError(
            f"`{root / 'val'}` has no class folders, and its labels are not in `{root / DEVKIT}`",
            hint="unpack ILSVRC2012_devkit_t12.tar.gz into"
            f" `{root}`, or sort the images into folders such as val/n01440764",
        )
    names = {
        int(each["ILSVRC2012_ID"].reshape(-1)[0]): str(each["WNID"])
        for each in matlab_variables(meta, "synsets")["synsets"]
    }
    labels = [as_number(words[0], truth) for words in read_words(truth, columns=1)]
    return [
        (f"ILSVRC2012_val_{number:08d}.JPEG", names.get(label, str(label)))
        for number, label in enumerate(labels, start=1)
    ]


_INAT = "https://ml-inat-competition-datasets.s3.amazonaws.com"


def _inat_archive(year: str, name: str, md5: str, *files: str) -> Archive:
    title, folder = f"iNaturalist {year}", f"inat{year}"
    return Archive(title, f"{_INAT}/{year}/{name}", name, md5, folder, files, "")


INAT2017 = Layout(
    title="iNaturalist 2017",
    folders=("inat2017",),
    wanted=("train_val_images", "train2017.json", "val2017.json"),
    tree=("train_val_images/Insecta/...", "train2017.json  val2017.json"),
    archives=lambda: (
        _inat_archive(
            *("2017", "train_val2017.zip", "444c835f6459867ad69fcb36478786e7"),
            *("train2017.json", "val2017.json"),
        ),
        _inat_archive(
            *("2017", "train_val_images.tar.gz", "7c784ea5e424efaec655bd392f87301f"),
            "train_val_images",
        ),
    ),
    num_gb=186,
)
INAT2018 = Layout(
    title="iNaturalist 2018",
    folders=("inat2018",),
    wanted=("train_val2018", "train2018.json", "val2018.json"),
    tree=("train_val2018/Insecta/...", "train2018.json  val2018.json"),
    archives=lambda: (
        _inat_archive(
            *("2018", "train2018.json.tar.gz", "bfa29d89d629cbf04d826a720c0a68b0"),
            "train2018.json",
        ),
        _inat_archive(
            *("2018", "val2018.json.tar.gz", "f2ed8bfe3e9901cdefceb4e53cd3775d"), "val2018.json"
        ),
        _inat_archive(
            *("2018", "train_val2018.tar.gz", "b1c6952ce38f31868cc50ea72d066cc3"),
            "train_val2018",
        ),
    ),
    num_gb=120,
)
INAT2021 = Layout(
    title="iNaturalist 2021",
    folders=("inat2021",),
    wanted=("train", "val"),
    tree=("train/00000_Animalia_Annelida_.../0c9ce26a-....jpg, ...  val/00000_Animalia_.../",),
    archives=lambda: (
        _inat_archive("2021", "val.tar.gz", "f6f6e0e242e3d4c9569ba56400938afc", "val"),
        _inat_archive("2021", "train.tar.gz", "e0526d53c7f7b2e3167b2b43bb2690ed", "train"),
    ),
    num_gb=232,
)


def load_inat(layout: Layout, year: str, request: DataRequest) -> Parts:
    """Read iNaturalist 2017 (5,089 classes) or 2018 (8,142 classes), by the published lists."""
    root = located(layout, request)
    train, test = (_annotations(root / f"{part}{year}.json") for part in ("train", "val"))
    names = train[0]
    return Parts(*(labelled_files(root, rows, names) for _, rows in (train, test)))


def _annotations(path: Path) -> tuple[tuple[str, ...], list[tuple[str, int]]]:
    """Read a list in COCO's format: the names of the classes, and the images with their labels."""
    try:
        content = json.loads(path.read_bytes())
        names: dict[int, str] = {each["id"]: str(each["name"]) for each in content["categories"]}
        files: dict[Any, str] = {each["id"]: each["file_name"] for each in content["images"]}
        rows = [(files[each["image_id"]], each["category_id"]) for each in content["annotations"]]
        in_order = tuple(names[number] for number in range(len(names)))
        if len(set(in_order)) < len(in_order):  # a plant and an animal may share a name
            in_order = tuple(f"{number} {name}" for number, name in enumerate(in_order))
    except OSError as error:
        raise DataError(f"cannot read `{path}`: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"`{path}` is not the published list of images and classes: {error!r}",
            hint="it is damaged or was not fetched to its end; copy it anew",
        ) from error
    return in_order, rows
