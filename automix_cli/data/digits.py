"""The 1,797 handwritten digits inside the package: real data that need no download.

Source, licence and how the test part was drawn: `digits.LICENSE.txt` beside this file.

Legend: n images, c channels, h w pixels.
"""

from importlib.resources import files

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from automix_cli.data.image_set import ImageSet, image_set_from_arrays

SIZE = 32
"""Height and width at which the digits are shown; they are stored at 8 x 8."""

MEAN = (0.3048,)
STD = (0.3234,)
"""Mean and standard deviation of the 1,437 training images as shown, in units of 255."""

_CLASS_NAMES = tuple("0123456789")


def load_digits() -> tuple[ImageSet, ImageSet]:
    """Read the embedded digits.

    Returns:
        1,437 training and 360 test images, each `(1, 32, 32)`.
    """
    file = files("automix_cli.data") / "digits.npz"
    with file.open("rb") as stored, np.load(stored, allow_pickle=False) as arrays:
        images, labels, test_indices = arrays["images"], arrays["labels"], arrays["test_indices"]
    is_test = np.zeros(len(labels), dtype=bool)
    is_test[test_indices] = True
    shown = show_digits(torch.from_numpy(images)).numpy()
    train = image_set_from_arrays(shown[~is_test], labels[~is_test], _CLASS_NAMES)
    test = image_set_from_arrays(shown[is_test], labels[is_test], _CLASS_NAMES)
    return train, test


def show_digits(stored: Tensor) -> Tensor:
    """Enlarge digits as stored to images as trained on, by bilinear interpolation.

    Every step is exact in float32 (weights are eighths, 255/16 a sixteenth), so the result is the
    same on every machine.

    Args:
        stored: `(n, 8, 8)`, uint8 in [0, 16], the number of ink cells under each pixel.

    Returns:
        `(n, 1, 32, 32)`, uint8 in [0, 255].
    """
    ink = stored.unsqueeze(1).float() * (255 / 16)
    shown = F.interpolate(ink, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
    return shown.round().to(torch.uint8)
