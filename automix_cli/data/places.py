"""Places205 and Places365: photographs of scenes, by the published lists; no image is opened.

The validation images are judged on: the labels of the test images are not published.

Source:
    Places365: names, addresses and md5 of `torchvision.datasets`.
"""

from pathlib import Path

from automix_cli.data.download import Archive
from automix_cli.data.layout import Layout, as_number, labelled_files, located, read_pairs
from automix_cli.data.parts import Parts
from automix_cli.data.request import DataRequest

PLACES205 = Layout(
    title="Places205",
    folders=("places205",),
    wanted=(
        "data/vision/torralba/deeplearning/images256",
        "trainvalsplit_places205/train_places205.csv",
        "trainvalsplit_places205/val_places205.csv",
    ),
    tree=(
        "data/vision/torralba/deeplearning/images256/a/abbey/gsun_....jpg, ...",
        "    imagesPlaces205_resize.tar.gz",
        "trainvalsplit_places205/train_places205.csv  trainvalsplit_places205/val_places205.csv",
        "    trainvalsplit_places205.tar.gz",
        "from http://places.csail.mit.edu/downloadData.html, after registration",
    ),
)


def load_places205(request: DataRequest) -> Parts:
    """Read Places205: 2,448,873 training and 20,500 validation images of 205 scenes."""
    root = located(PLACES205, request)
    parts: list[list[tuple[str, int]]] = []
    for part in ("train", "val"):
        path = root / f"trainvalsplit_places205/{part}_places205.csv"
        parts.append([(image, as_number(label, path)) for image, label in read_pairs(path)])
    folders = {label: Path(image).parent.as_posix() for image, label in parts[0]}
    names = tuple(folders.get(label, str(label)) for label in range(max(folders, default=-1) + 1))
    images = root / "data/vision/torralba/deeplearning/images256"
    return Parts(*(labelled_files(images, rows, names) for rows in parts))


def _places365_archives() -> tuple[Archive, ...]:
    from torchvision.datasets import Places365

    url = Places365._BASE_URL
    lists, of_lists = Places365._DEVKIT_META["standard"]
    train, of_train = Places365._IMAGES_META["train-standard", True]
    val, of_val = Places365._IMAGES_META["val", True]
    title, folder = "Places365", "places365"
    files = tuple(name for name in PLACES365.wanted if name.endswith(".txt"))
    return (
        Archive(title, url + lists, lists, of_lists, folder, files, ""),
        Archive(title, url + val, val, of_val, folder, ("val_256",), ""),
        Archive(title, url + train, train, of_train, folder, ("data_256",), ""),
    )


_PLACES365_TRAIN = ("data_256", "data_256_standard", "data_large", "data_large_standard")
_PLACES365_VAL = ("val_256", "val_large")
PLACES365 = Layout(
    title="Places365-Standard",
    folders=("places365",),
    wanted=(
        *("categories_places365.txt", "places365_train_standard.txt", "places365_val.txt"),
        "|".join(_PLACES365_TRAIN),
        "|".join(_PLACES365_VAL),
    ),
    tree=(
        "data_256/a/airfield/00000001.jpg, ...  val_256/Places365_val_00000001.jpg, ...",
        "categories_places365.txt  places365_train_standard.txt  places365_val.txt",
    ),
    archives=_places365_archives,
    num_gb=26,
)


def load_places365(request: DataRequest) -> Parts:
    """Read Places365-Standard: 1,803,460 training and 36,500 validation images of 365 scenes."""
    root = located(PLACES365, request)
    names = tuple(name for name, _ in read_pairs(root / "categories_places365.txt"))
    parts: list[list[tuple[str, int]]] = []
    for file_name, folders in (
        ("places365_train_standard.txt", _PLACES365_TRAIN),
        ("places365_val.txt", _PLACES365_VAL),
    ):
        folder = next(each for each in folders if (root / each).exists())
        pairs = read_pairs(root / file_name)
        rows = [(f"{folder}/{image.lstrip('/')}", label) for image, label in pairs]
        parts.append([(image, as_number(label, root / file_name)) for image, label in rows])
    return Parts(*(labelled_files(root, rows, names) for rows in parts))
