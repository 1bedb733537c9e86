"""Crop, mirror and normalise whole batches at once, on the device that holds the images.

A crop of an image with a border is a read of rows, then of columns, at reflected positions: no
image with a border is ever made.

Legend: n images in the set, m images in a batch, c channels, h w pixels, p padding.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from automix_cli.data.recipe import Erasure


@dataclass(frozen=True, eq=False)
class Augmentation:
    """What is done to every image of a set; row i belongs to image i, in whatever order it comes.

    With repetitions, rows go on with the second of every image, and so on: n is then larger.

    Attributes:
        offsets: `(n, 2)` int64 in [0, 2p]: first row and column of the crop in the padded image.
        flips: `(n,)` bool: whether the crop is mirrored left to right.
    """

    offsets: Tensor
    flips: Tensor

    def to(self, device: torch.device | str) -> "Augmentation":
        """Put the draws on a device."""
        return Augmentation(self.offsets.to(device), self.flips.to(device))


def draw_augmentation(
    rng: np.random.Generator, num_images: int, *, crop_padding: int, flip: bool
) -> Augmentation:
    """Draw crops and mirrorings for every image of a set, on the CPU.

    Both are always drawn, so that switching one off does not change the other.

    Args:
        rng: Source of randomness.
        num_images: n.
        crop_padding: p; offsets are uniform in [0, 2p].
        flip: Mirror half of the images; with False none.
    """
    offsets = rng.integers(2 * crop_padding + 1, size=(num_images, 2))
    flips = rng.integers(2, size=num_images).astype(bool)
    return Augmentation(torch.from_numpy(offsets), torch.from_numpy(flips & flip))


def crop_and_flip(
    images: Tensor, padding: int, indices: Tensor, offsets: Tensor, flips: Tensor
) -> Tensor:
    """Cut a crop out of some images continued by reflection, mirrored where so drawn.

    The edge pixel itself is not repeated, as in `torch.nn.functional.pad(..., mode="reflect")`.

    Args:
        images: `(n, c, h, w)`, uint8, contiguous: the whole set, without any border.
        padding: p, in [0, min(h, w)).
        indices: `(m,)` int64, which images.
        offsets: `(m, 2)` int64 in [0, 2p]: first row and column of each crop, counted with border.
        flips: `(m,)` bool: whether a crop is mirrored left to right.

    Returns:
        `(m, c, h, w)`, uint8.

    Raises:
        ValueError: if `padding` is out of range.
    """
    _, channels, height, width = images.shape
    if not 0 <= padding < min(height, width):
        raise ValueError(f"padding must be in [0, {min(height, width)}), got {padding}")
    top, left = offsets.unbind(1)
    rows = _reflected(height, padding, top)
    columns = _reflected(width, padding, left)
    columns = torch.where(flips[:, None], columns.flip(1), columns)
    # Whole rows are copied first, then their pixels are moved: nothing as large as the set is made.
    planes = indices[:, None] * channels + _upto(channels, indices)
    places = planes[:, :, None] * height + rows[:, None, :]  # (m, c, h)
    found = images.view(-1, width).index_select(0, places.flatten())
    cut = found.view(len(indices), channels, height, width)
    return cut.gather(3, columns[:, None, None, :].expand_as(cut))


def _upto(size: int, like: Tensor) -> Tensor:
    return torch.arange(size, device=like.device)


def _reflected(size: int, padding: int, first: Tensor) -> Tensor:
    """Which pixels of a line `size` long a crop shows that begins at `first` of its border."""
    positions = (first[:, None] + _upto(size, first) - padding).abs()
    return torch.where(positions < size, positions, 2 * (size - 1) - positions)


def erase(images: Tensor, erasures: Mapping[int, Erasure]) -> Tensor:
    """Fill boxes of normalised images `(m, c, h, w)`, in place, by position in the batch."""
    for position, (box, fill) in erasures.items():
        rows = slice(box.top, box.top + box.height)
        columns = slice(box.left, box.left + box.width)
        images[position, :, rows, columns] = torch.from_numpy(fill).to(images.device)
    return images


class Normalization:
    """Turns stored bytes into what a network is fed: `(image / 255 - mean) / std`, by channel.

    Args:
        mean: c means, in units of 255.
        std: c standard deviations in the same units, > 0.
        device: Where the images are.

    Raises:
        ValueError: if `mean` and `std` differ in length or a standard deviation is not positive.
    """

    def __init__(
        self, mean: tuple[float, ...], std: tuple[float, ...], device: torch.device | str
    ) -> None:
        if len(mean) != len(std) or min(std) <= 0:
            raise ValueError(f"mean and std must be as long, and std > 0, got {mean} and {std}")
        centre = torch.tensor(mean, dtype=torch.float64).view(1, -1, 1, 1)
        spread = torch.tensor(std, dtype=torch.float64).view(1, -1, 1, 1)
        self._scale = (1 / (255 * spread)).float().to(device)
        self._shift = (-centre / spread).float().to(device)

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise `(m, c, h, w)` uint8 to float32 of mean about 0 and deviation about 1."""
        if images.shape[1] != self._scale.shape[1]:
            wanted = self._scale.shape[1]
            raise ValueError(f"images must have {wanted} channels, got {images.shape[1]}")
        return images.float().mul_(self._scale).add_(self._shift)
