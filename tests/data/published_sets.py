"""Every data set by name in small: the official folder, with images of a few pixels."""

import gzip
import json
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

Counts = tuple[list[int], list[int]]
"""Images of each class in the training and in the test part."""


def write_image(path: Path, shade: int = 0, size: tuple[int, int] = (6, 4)) -> None:
    """Write a small image of one colour, in the format of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {"jpeg": "JPEG", "jpg": "JPEG"}.get(path.suffix[1:].lower())
    Image.new("RGB", size, (shade % 256, shade // 256 % 256, 7)).save(path, kind)


def write_text(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_images(root: Path, paths: Iterable[str]) -> None:
    for number, path in enumerate(paths):
        write_image(root / path, number)


def cub200(data: Path) -> Counts:
    root = data / "CUB_200_2011"
    images = ["001.Ani/a.jpg", "002.Owl/b.jpg", "002.Owl/c.jpg", "001.Ani/d.jpg", "002.Owl/e.jpg"]
    write_images(root / "images", images)
    write_text(root / "classes.txt", ["1 001.Ani", "2 002.Owl"])
    write_text(root / "images.txt", [f"{n} {path}" for n, path in enumerate(images, 1)])
    labels = [f"{n} {int(path[:3])}" for n, path in enumerate(images, 1)]
    write_text(root / "image_class_labels.txt", labels)
    write_text(root / "train_test_split.txt", ["1 1", "2 1", "3 1", "4 0", "5 0"])
    return [1, 2], [1, 1]


def aircraft(data: Path) -> Counts:
    root = data / "fgvc-aircraft-2013b" / "data"
    write_images(root / "images", ["1.jpg", "2.jpg", "3.jpg", "4.jpg"])
    write_text(root / "variants.txt", ["MD 80 X", "707-320"])
    write_text(root / "images_variant_trainval.txt", ["1 707-320", "2 MD 80 X", "4 707-320"])
    write_text(root / "images_variant_test.txt", ["3 MD 80 X"])
    return [1, 2], [1, 0]


def pets(data: Path) -> Counts:
    root = data / "oxford-iiit-pet"
    write_images(root / "images", ["Great_Dane_1.jpg", "Abyssinian_2.jpg", "Abyssinian_7.jpg"])
    write_text(root / "annotations/trainval.txt", ["Great_Dane_1 2 2 1", "Abyssinian_2 1 1 1"])
    write_text(root / "annotations/test.txt", ["Abyssinian_7 1 1 1"])
    return [1, 1], [1, 0]


def food101(data: Path) -> Counts:
    root = data / "food-101"
    write_images(root / "images", ["pie/1.jpg", "tart/2.jpg", "tart/3.jpg"])
    write_text(root / "meta/train.txt", ["pie/1", "tart/2"])
    write_text(root / "meta/train.json", ['{"pie": ["pie/1"], "tart": ["tart/2"]}'])
    write_text(root / "meta/test.json", ['{"pie": [], "tart": ["tart/3"]}'])
    write_text(root / "meta/test.txt", ["tart/3"])
    return [1, 1], [0, 1]


def dtd(data: Path) -> Counts:
    root = data / "dtd"
    lists = {"train1": ["a/1.jpg", "b/2.jpg"], "val1": ["b/3.jpg"], "test1": ["a/4.jpg"]}
    for name, paths in lists.items():
        write_images(root / "images", paths)
        write_text(root / f"labels/{name}.txt", paths)
    return [1, 2], [1, 0]


def gtsrb(data: Path) -> Counts:
    root = data / "gtsrb"
    write_images(root / "GTSRB/Training", ["00000/1.ppm", "00001/1.ppm", "00001/2.ppm"])
    write_images(root / "GTSRB/Final_Test/Images", ["00000.ppm", "00001.ppm"])
    rows = ["Filename;Width;ClassId", "00000.ppm;6;1", "00001.ppm;6;0"]
    write_text(root / "GT-final_test.csv", rows)
    return [1, 2], [1, 1]


def country211(data: Path) -> Counts:
    root = data / "country211"
    write_images(root, ["train/AD/1.jpg", "train/ZW/2.jpg", "valid/AD/3.jpg", "valid/ZW/4.jpg"])
    write_images(root, ["test/AD/5.jpg", "test/ZW/6.jpg", "test/ZW/7.jpg"])
    return [1, 1], [1, 2]


def imagenette(data: Path) -> Counts:
    root = data / "imagenette2-160"
    write_images(root, [f"{part}/n0{n}/{n}.JPEG" for part in ("train", "val") for n in (1, 2)])
    return [1, 1], [1, 1]


def tiny_imagenet(data: Path) -> Counts:
    root = data / "tiny-imagenet-200"
    write_text(root / "wnids.txt", ["n02", "n01"])
    write_images(root / "train", ["n01/images/a.JPEG", "n02/images/b.JPEG", "n02/images/c.JPEG"])
    write_images(root / "val/images", ["val_0.JPEG", "val_1.JPEG"])
    lines = ["val_0.JPEG\tn02\t0\t0\t9\t9", "val_1.JPEG\tn02\t0\t0\t9\t9"]
    write_text(root / "val/val_annotations.txt", lines)
    return [1, 2], [0, 2]


def imagenet(data: Path) -> Counts:
    root = data / "ILSVRC2012"
    write_images(root, ["train/n01/a.JPEG", "train/n01/b.JPEG", "train/n02/c.JPEG"])
    write_images(root, ["val/n01/ILSVRC2012_val_00000002.JPEG", "val/n02/x.JPEG"])
    return [2, 1], [1, 1]


def _coco(names: Mapping[int, str], rows: list[tuple[str, int]]) -> str:
    return json.dumps(
        {
            "categories": [{"id": key, "name": name} for key, name in names.items()],
            "images": [{"id": 9 + key, "file_name": row[0]} for key, row in enumerate(rows)],
            "annotations": [
                {"id": key, "image_id": 9 + key, "category_id": row[1]}
                for key, row in enumerate(rows)
            ],
        }
    )


def inat2017(data: Path) -> Counts:
    return _inat(data / "inat2017", "train_val_images", "2017")


def inat2018(data: Path) -> Counts:
    return _inat(data / "inat2018", "train_val2018", "2018")


def _inat(root: Path, folder: str, year: str) -> Counts:
    names = {1: "Oenanthe", 0: "Oenanthe"}
    train = [(f"{folder}/Aves/0/a.jpg", 0), (f"{folder}/Plantae/1/b.jpg", 1)]
    val = [(f"{folder}/Plantae/1/c.jpg", 1)]
    write_images(root, [path for path, _ in train + val])
    write_text(root / f"train{year}.json", [_coco(names, train)])
    write_text(root / f"val{year}.json", [_coco(names, val)])
    return [1, 1], [0, 1]


def inat2021(data: Path) -> Counts:
    root = data / "inat2021"
    classes = ("00000_Animalia_a", "00001_Plantae_b")
    write_images(root, [f"{part}/{name}/1.jpg" for part in ("train", "val") for name in classes])
    return [1, 1], [1, 1]


def places205(data: Path) -> Counts:
    root = data / "places205"
    images = root / "data/vision/torralba/deeplearning/images256"
    write_images(images, ["a/abbey/1.jpg", "a/alley/2.jpg", "a/abbey/3.jpg"])
    lists = {"train": ["a/abbey/1.jpg 0", "a/alley/2.jpg 1"], "val": ["a/abbey/3.jpg 0"]}
    for part, lines in lists.items():
        write_text(root / f"trainvalsplit_places205/{part}_places205.csv", lines)
    return [1, 1], [1, 0]


def places365(data: Path) -> Counts:
    root = data / "places365"
    write_images(root / "data_large_standard", ["a/airfield/1.jpg", "b/bog/2.jpg"])
    write_images(root / "val_large", ["Places365_val_00000001.jpg"])
    write_text(root / "categories_places365.txt", ["/a/airfield 0", "/b/bog 1"])
    lines = ["/a/airfield/1.jpg 0", "/b/bog/2.jpg 1"]
    write_text(root / "places365_train_standard.txt", lines)
    write_text(root / "places365_val.txt", ["Places365_val_00000001.jpg 1"])
    return [1, 1], [0, 1]


OF_FILES: Mapping[str, Callable[[Path], Counts]] = {
    each.__name__: each
    for each in (
        *(cub200, aircraft, pets, food101, dtd, gtsrb, country211, imagenette, tiny_imagenet),
        *(imagenet, inat2017, inat2018, inat2021, places205, places365),
    )
}
"""By name: writes the data set into a data folder, and says what it wrote."""


def idx(array: np.ndarray) -> bytes:
    """Write an array of bytes as MNIST's publishers do."""
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return b"\0\0\x08" + bytes([array.ndim]) + sizes + array.tobytes()


def mnist_files(rng: np.random.Generator) -> dict[str, bytes]:
    """Three training images and two test images, by file name."""
    files: dict[str, bytes] = {}
    for part, count in (("train", 3), ("t10k", 2)):
        pixels = rng.integers(256, size=(count, 28, 28), dtype=np.uint8)
        files[f"{part}-images-idx3-ubyte"] = idx(pixels)
        files[f"{part}-labels-idx1-ubyte"] = idx(np.arange(count, dtype=np.uint8) + 7)
    return files


def packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)
