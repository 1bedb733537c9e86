"""Small image files of many kinds, for tests."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from automix_cli.data.image_files import ImageFiles


def smooth_pixels(height: int, width: int, seed: int = 0, channels: int = 3) -> np.ndarray:
    """A picture with edges and slopes, which JPEG keeps nearly as it is."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(256, size=(6, 8, channels), dtype=np.uint8)
    planes = [
        np.asarray(Image.fromarray(coarse[:, :, each]).resize((width, height), Image.BICUBIC))
        for each in range(channels)
    ]
    return np.stack(planes, axis=2)


def write_folder(root: Path, num_images: int, *, side: int = 48) -> ImageFiles:
    """JPEG files of different shapes in two classes; the label is the number modulo two."""
    paths = []
    for number in range(num_images):
        path = f"{'ab'[number % 2]}/{number:03}.jpg"
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        pixels = smooth_pixels(side + number % 5, side + 9 - number % 7, seed=number)
        Image.fromarray(pixels).save(root / path, quality=92)
        paths.append(path)
    return ImageFiles(root, tuple(paths), torch.arange(num_images) % 2, ("a", "b"))


def write_parts(root: Path, classes: str, *, num_train: int = 4, num_test: int = 2) -> None:
    """A folder of `train` and `test`, with so many JPEG files of each class."""
    for part, number in (("train", num_train), ("test", num_test)):
        for label, name in enumerate(classes):
            (root / part / name).mkdir(parents=True)
            for each in range(number):
                pixels = smooth_pixels(72, 80, seed=100 * label + each + len(part))
                Image.fromarray(pixels).save(root / part / name / f"{each}.jpg")
