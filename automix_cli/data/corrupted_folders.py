"""Corrupted test sets as folders of photographs: ImageNet-C and Tiny-ImageNet-C.

```text
ImageNet-C/
  <corruption>/<severity 1 to 5>/<class>/<image>.JPEG
  meta.json   only where automix has made them: how
```

The archives' own levels (`noise/gaussian_noise/...`) may be there or not. Images are decoded as
they are needed; all that is done to them is that their middle is cut out where they are larger than
what the classifier sees, as the benchmark's authors do.

Legend: n images, h w pixels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from automix_cli.data.clean_photographs import folder_of
from automix_cli.data.corrupted_reading import read_meta
from automix_cli.data.image_set import ImageSet, image_set_from_arrays
from automix_cli.errors import DataError

FOLDERS = {"imagenet-c": "ImageNet-C", "tiny-imagenet-c": "Tiny-ImageNet-C"}
"""Folder in the data folder, by name of the suite."""

SEVERITIES = (1, 2, 3, 4, 5)
SUFFIXES = {".jpeg", ".jpg", ".png"}
CHUNK = 256
"""Images decoded at a time."""


@dataclass(frozen=True)
class CorruptedFolders:
    """Folders of corrupted photographs.

    Attributes:
        folder: Where they are.
        names: The corruptions there are, in the order asked for.
        class_names: Name of each class's folder, in label order.
        size: Height and width that the classifier sees.
        num_images: Images of a severity, the same for all.
        severities: Those there are, ascending.
        meta: How automix made them, or None for images that it did not make.
    """

    folder: Path
    names: tuple[str, ...]
    class_names: tuple[str, ...]
    size: int
    num_images: int
    severities: tuple[int, ...]
    meta: dict[str, Any] | None

    def image_sets(self, name: str, severity: int) -> Iterator[ImageSet]:
        """Go through the images of a corruption and severity, class by class.

        Raises:
            DataError: an image cannot be read, or is smaller than what the classifier sees.
        """
        place = _place(self.folder, name) / str(severity)
        files = _files(place, self.class_names)
        if len(files) != self.num_images:
            raise DataError(
                f"`{place}` holds {len(files)} images, other severities hold {self.num_images}",
                hint="unpack the archive again",
            )
        for start in range(0, len(files), CHUNK):
            part = files[start : start + CHUNK]
            pixels = np.stack([_pixels(path, self.size) for path, _ in part])
            labels = np.array([label for _, label in part])
            yield image_set_from_arrays(pixels.transpose(0, 3, 1, 2), labels, self.class_names)


def open_corrupted_folders(
    folder: Path, wanted: Sequence[str], class_names: tuple[str, ...], size: int
) -> CorruptedFolders:
    """Look for folders of corrupted photographs of the classifier's classes.

    Args:
        folder: The folder.
        wanted: Names of the corruptions to look for; those that are missing are left out.
        class_names: Names of the classes' folders, in label order.
        size: Height and width that the classifier sees.

    Raises:
        DataError: there is none of the corruptions, or the classes are others.
    """
    meta = read_meta(folder)
    severities = SEVERITIES if meta is None else tuple(meta["severities"])
    names = tuple(name for name in wanted if _place(folder, name).is_dir())
    if not names:
        raise DataError(
            f"`{folder}` holds none of the corruptions {', '.join(wanted)}",
            hint="it must hold <corruption>/<severity>/<class>/<image>.JPEG",
        )
    for name in names:
        for severity in severities:
            _check_classes(_place(folder, name) / str(severity), class_names)
    num_images = len(_files(_place(folder, names[0]) / str(severities[0]), class_names))
    return CorruptedFolders(folder, names, class_names, size, num_images, severities, meta)


def _place(folder: Path, name: str) -> Path:
    """The folder of a corruption: directly in `folder`, or in one of a group."""
    if (folder / name).is_dir():
        return folder / name
    return next(folder.glob(f"*/{name}"), folder / name)


def _check_classes(place: Path, class_names: tuple[str, ...]) -> None:
    try:
        found = {each.name for each in place.iterdir() if each.is_dir()}
    except OSError as error:
        raise DataError(f"cannot read `{place}`: {error.strerror}") from error
    others = sorted(found ^ set(map(folder_of, class_names)))
    if others:
        raise DataError(
            f"`{place}` holds the folders of {len(found)} classes, the classifier knows"
            f" {len(class_names)}; `{others[0]}` is only in one of the two",
            hint="the classes' folders must have the names that the classifier was trained with",
        )


def _files(place: Path, class_names: tuple[str, ...]) -> list[tuple[Path, int]]:
    """Paths and labels, class by class, in the order of their names."""
    return [
        (path, label)
        for label, name in enumerate(class_names)
        for path in sorted((place / folder_of(name)).iterdir())
        if path.suffix.lower() in SUFFIXES
    ]


def _pixels(path: Path, size: int) -> np.ndarray:
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
    except OSError as error:
        raise DataError(f"cannot read the image `{path}`: {error}") from error
    height, width = pixels.shape[:2]
    if min(height, width) < size:
        raise DataError(
            f"`{path}` has {height} x {width} pixels, the classifier sees {size} x {size}",
            hint="evaluate a run of that image size",
        )
    # torchvision's CenterCrop rounds half a pixel to even
    top, left = round((height - size) / 2.0), round((width - size) / 2.0)
    return pixels[top : top + size, left : left + size]
