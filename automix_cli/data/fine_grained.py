"""Data sets of similar things: birds, aircraft, cars, flowers, pets, dishes.

Each function reads the lists that are published with the images; no image is opened. Splits are the
official ones; where training and validation images are both published, the test images are judged
on after learning from both, as in the published numbers.

Source:
    Names of files and archives, addresses and md5 as in `torchvision.datasets`; those of CUB-200
    and of the archive of FGVC-Aircraft as published by their authors.
"""

from pathlib import Path

import numpy as np

from automix_cli.data.download import Archive
from automix_cli.data.layout import (
    Layout,
    labelled_files,
    located,
    matlab_variables,
    named_files,
    read_pairs,
    read_words,
)
from automix_cli.data.parts import Parts
from automix_cli.data.request import DataRequest
from automix_cli.errors import DataError

CUB200 = Layout(
    title="CUB-200-2011",
    folders=("CUB_200_2011",),
    wanted=(
        *("images", "images.txt", "classes.txt"),
        *("image_class_labels.txt", "train_test_split.txt"),
    ),
    tree=(
        "images/001.Black_footed_Albatross/Black_Footed_Albatross_0001_796111.jpg, ...",
        "images.txt  classes.txt  image_class_labels.txt  train_test_split.txt",
    ),
    archives=lambda: (
        Archive(
            "CUB-200-2011",
            "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
            "CUB_200_2011.tgz",
            "97eceeb196236b17998738112f37df78",
            "CUB_200_2011",
            CUB200.wanted,
        ),
    ),
)


def load_cub200(request: DataRequest) -> Parts:
    """Read CUB-200-2011: 5,994 training and 5,794 test images of 200 birds."""
    root = located(CUB200, request)
    names = dict(read_pairs(root / "classes.txt"))
    of_images = dict(read_pairs(root / "image_class_labels.txt"))
    is_train = dict(read_pairs(root / "train_test_split.txt"))
    rows: dict[str, list[tuple[str, str]]] = {"1": [], "0": []}
    try:
        for number, path in read_pairs(root / "images.txt"):
            rows[is_train[number]].append((f"images/{path}", names[of_images[number]]))
    except KeyError as error:
        raise DataError(f"the lists in `{root}` do not fit together: no entry {error}") from error
    class_names = tuple(names.values())
    return Parts(*(named_files(root, rows[flag], class_names) for flag in ("1", "0")))


AIRCRAFT = Layout(
    title="FGVC-Aircraft",
    folders=("fgvc-aircraft-2013b",),
    wanted=(
        *("data/images", "data/variants.txt"),
        *("data/images_variant_trainval.txt", "data/images_variant_test.txt"),
    ),
    tree=(
        "data/images/0034309.jpg, ...",
        "data/variants.txt  data/images_variant_trainval.txt  data/images_variant_test.txt",
    ),
    archives=lambda: (
        Archive(
            "FGVC-Aircraft",
            "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz",
            "fgvc-aircraft-2013b.tar.gz",
            "d4acdd33327262359767eeaa97a4f732",
            "fgvc-aircraft-2013b",
            ("data",),
        ),
    ),
)


def load_aircraft(request: DataRequest) -> Parts:
    """Read FGVC-Aircraft: 6,667 training and validation and 3,333 test images of 100 variants."""
    root = located(AIRCRAFT, request)
    listing = read_words(root / "data/variants.txt", columns=1, at_most=1)
    names = tuple(words[0] for words in listing)
    lists = [root / f"data/images_variant_{part}.txt" for part in ("trainval", "test")]
    rows = [
        [(f"data/images/{image}.jpg", name) for image, name in read_pairs(each)] for each in lists
    ]
    return Parts(*(named_files(root, each, names) for each in rows))


CARS = Layout(
    title="Stanford Cars",
    folders=("stanford_cars", "cars"),
    wanted=(
        "car_ims|cars_train",
        "car_ims|cars_test",
        "cars_annos.mat|devkit/cars_meta.mat",
        "cars_annos.mat|devkit/cars_train_annos.mat",
        "cars_annos.mat|cars_test_annos_withlabels.mat|devkit/cars_test_annos_withlabels.mat",
    ),
    tree=(
        "car_ims/000001.jpg, ...  cars_annos.mat",
        "or, divided:",
        "cars_train/00001.jpg, ...  cars_test/00001.jpg, ...  cars_test_annos_withlabels.mat",
        "devkit/cars_meta.mat  devkit/cars_train_annos.mat",
        "from ai.stanford.edu/~jkrause/cars/car_dataset.html, no longer served there: from whoever"
        " has a copy",
    ),
)


def load_cars(request: DataRequest) -> Parts:
    """Read Stanford Cars: 8,144 training and 8,041 test images of 196 cars."""
    root = located(CARS, request)
    rows: list[list[tuple[str, int]]] = [[], []]
    if (root / "cars_annos.mat").exists():
        variables = matlab_variables(root / "cars_annos.mat", "annotations", "class_names")
        for each in variables["annotations"]:
            row = (str(each["relative_im_path"]), _only(each["class"]) - 1)
            rows[_only(each["test"])].append(row)
        return _cars(root, rows, variables["class_names"])
    of_test = "cars_test_annos_withlabels.mat"
    lists = [root / "devkit/cars_train_annos.mat", root / of_test]
    if not lists[1].exists():
        lists[1] = root / "devkit" / of_test
    for path, folder, part in zip(lists, ("cars_train", "cars_test"), rows, strict=True):
        for each in matlab_variables(path, "annotations")["annotations"]:
            part.append((f"{folder}/{each['fname']}", _only(each["class"]) - 1))
    names = matlab_variables(root / "devkit/cars_meta.mat", "class_names")["class_names"]
    return _cars(root, rows, names)


def _only(number: np.ndarray) -> int:
    return int(number.reshape(-1)[0])


def _cars(root: Path, rows: list[list[tuple[str, int]]], names: list[str]) -> Parts:
    return Parts(*(labelled_files(root, part, tuple(names)) for part in rows))


def _flowers102_archives() -> tuple[Archive, ...]:
    from torchvision.datasets import Flowers102

    prefix, folder = Flowers102._download_url_prefix, "flowers-102"
    (images, of_images), *lists = Flowers102._file_dict.values()
    return (
        Archive("Flowers-102", prefix + images, images, of_images, folder, ("jpg",), ""),
        *(
            Archive("Flowers-102", prefix + name, name, md5, folder, (name,), is_packed=False)
            for name, md5 in lists
        ),
    )


FLOWERS102 = Layout(
    title="Flowers-102",
    folders=("flowers-102",),
    wanted=("jpg", "imagelabels.mat", "setid.mat"),
    tree=("jpg/image_00001.jpg, ...", "imagelabels.mat  setid.mat"),
    archives=_flowers102_archives,
)


def load_flowers102(request: DataRequest) -> Parts:
    """Read Flowers-102: 2,040 training and validation and 6,149 test images of 102 flowers."""
    from torchvision.datasets import Flowers102

    root = located(FLOWERS102, request)
    labels = matlab_variables(root / "imagelabels.mat", "labels")["labels"].reshape(-1)
    sets = matlab_variables(root / "setid.mat", "trnid", "valid", "tstid")
    train = np.concatenate([sets["trnid"].reshape(-1), sets["valid"].reshape(-1)])
    parts = [
        [(f"jpg/image_{int(number):05d}.jpg", int(labels[int(number) - 1]) - 1) for number in part]
        for part in (train, sets["tstid"].reshape(-1))
    ]
    return Parts(*(labelled_files(root, rows, tuple(Flowers102.classes)) for rows in parts))


def _pets_archives() -> tuple[Archive, ...]:
    from torchvision.datasets import OxfordIIITPet

    return tuple(
        Archive("Oxford-IIIT Pet", url, f"{name}.tar.gz", md5, "oxford-iiit-pet", (name,), "")
        for name, (url, md5) in zip(
            ("images", "annotations"), OxfordIIITPet._RESOURCES, strict=True
        )
    )


PETS = Layout(
    title="Oxford-IIIT Pet",
    folders=("oxford-iiit-pet",),
    wanted=("images", "annotations/trainval.txt", "annotations/test.txt"),
    tree=("images/Abyssinian_1.jpg, ...", "annotations/trainval.txt  annotations/test.txt"),
    archives=_pets_archives,
)


def load_pets(request: DataRequest) -> Parts:
    """Read Oxford-IIIT Pet: 3,680 training and validation and 3,669 test images of 37 breeds."""
    root = located(PETS, request)
    parts = [
        [
            (f"images/{image}.jpg", image.rpartition("_")[0])
            for image, _ in read_pairs(root / f"annotations/{part}.txt")
        ]
        for part in ("trainval", "test")
    ]
    names = tuple(sorted({name for _, name in parts[0]}))
    return Parts(*(named_files(root, rows, names) for rows in parts))


def _food101_archives() -> tuple[Archive, ...]:
    from torchvision.datasets import Food101

    name = "food-101.tar.gz"
    return (Archive("Food-101", Food101._URL, name, Food101._MD5, "food-101", ("images", "meta")),)


FOOD101 = Layout(
    title="Food-101",
    folders=("food-101",),
    wanted=("images", "meta/train.txt", "meta/test.txt"),
    tree=("images/apple_pie/1005649.jpg, ...", "meta/train.txt  meta/test.txt"),
    archives=_food101_archives,
)


def load_food101(request: DataRequest) -> Parts:
    """Read Food-101: 75,750 training and 25,250 test images of 101 dishes."""
    root = located(FOOD101, request)
    parts = [
        [
            (f"images/{words[0]}.jpg", words[0].partition("/")[0])
            for words in read_words(root / f"meta/{part}.txt", columns=1)
        ]
        for part in ("train", "test")
    ]
    names = tuple(sorted({name for _, name in parts[0]}))
    return Parts(*(named_files(root, rows, names) for rows in parts))
