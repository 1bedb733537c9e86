"""Clean photographs as the published scripts of ImageNet-C and Tiny-ImageNet-C see them.

Legend: h w pixels.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from automix_cli.data.boxes import Box
from automix_cli.data.catalogue import CATALOGUE
from automix_cli.data.decoding import PictureFile
from automix_cli.data.image_files import ImageFiles
from automix_cli.data.parts import Images
from automix_cli.data.request import DataRequest

SHORT_SIDE = {"imagenet-c": 256}
"""What the short side is brought to before the middle is cut out, by suite; others are squashed."""


def clean_images(request: DataRequest) -> Images:
    """Give the test part of a data set, or all images of a person's folder without parts.

    Raises:
        DataError: files are missing or broken.
        ValueError: there is no data set of that name.
    """
    if request.name not in CATALOGUE:
        raise ValueError(f"name must be one of {', '.join(CATALOGUE)}, got {request.name!r}")
    parts = CATALOGUE[request.name].load(request)
    return parts.train if parts.test is None else parts.test


class CleanPhotographs:
    """Photographs to be corrupted.

    Args:
        files: The photographs.
        suite: `imagenet-c` or `tiny-imagenet-c`.
        size: Height and width of the suite's images.
    """

    def __init__(self, files: ImageFiles, suite: str, size: int) -> None:
        self.files = files
        self.places = _places(files)
        self._short_side = SHORT_SIDE.get(suite)
        self._size = size

    @property
    def class_folders(self) -> list[str]:
        """Name of each class's folder, in label order."""
        return [folder_of(name) for name in self.files.class_names]

    def md5(self) -> str:
        """An md5 over the files' paths, sizes and labels."""
        digest = hashlib.md5(usedforsecurity=False)
        for path, label in zip(self.files.paths, self.files.labels.tolist(), strict=True):
            num_bytes = (self.files.root / path).stat().st_size
            digest.update(f"{path}\0{num_bytes}\0{label}\n".encode())
        return digest.hexdigest()

    def pixels(self, numbers: Sequence[int]) -> np.ndarray:
        """Some of the images, `(n, size, size, 3)` uint8.

        Raises:
            DataError: a file cannot be decoded; it is named.
        """
        return np.stack([self._shown(self.files.paths[number]) for number in numbers])

    def _shown(self, path: str) -> np.ndarray:
        """Resized by Pillow, bilinear, and cut: torchvision's `Resize` and `CenterCrop`."""
        picture = PictureFile(self.files.root / path)
        height, width = picture.height, picture.width
        image = Image.fromarray(picture.part(Box(0, 0, height, width)))
        size = self._size
        if self._short_side is None:
            return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
        long_side = int(self._short_side * max(height, width) / min(height, width))
        short_side = self._short_side
        wanted = (short_side, long_side) if width <= height else (long_side, short_side)
        pixels = np.asarray(image.resize(wanted, Image.Resampling.BILINEAR))
        top, left = (round((side - size) / 2.0) for side in pixels.shape[:2])
        return pixels[top : top + size, left : left + size]


def folder_of(class_name: str) -> str:
    """The folder of a class; some are named with a stroke, as `F/A-18`."""
    return class_name.replace("/", "_")


def _places(files: ImageFiles) -> list[str]:
    """`CLASS/NAME.JPEG` of each image; further ones of the same name in a class get a number."""
    places: dict[str, None] = {}
    for path, label in zip(files.paths, files.labels.tolist(), strict=True):
        stem = path.rpartition("/")[2].rpartition(".")[0]
        name = place = f"{folder_of(files.class_names[label])}/{stem}"
        number = 1
        while place in places:
            number += 1
            place = f"{name}~{number}"
        places[place] = None
    return [f"{place}.JPEG" for place in places]
