"""Crop, mirror and normalise whole batches at once, on the device that holds the images.

A crop is a read at an offset of the padded image: `unfold` shows every padded image as a grid of
all its crops without copying, and one indexed read per batch picks the wanted ones.

Legend: n images in the set, m images in a batch, c channels, h w pixels, p padding.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Augmentation:
    """What is done to every image of a set; row i belongs to image i, in whatever order it comes.

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


def pad_by_reflection(images: Tensor, padding: int) -> Tensor:
    """Continue images beyond their edges by mirroring, the edge pixel itself not repeated.

    Same as `torch.nn.functional.pad(..., mode="reflect")`, which does not take uint8.

    Args:
        images: `(n, c, h, w)`, any type.
        padding: Pixels added on each side, in [0, min(h, w)).

    Returns:
        `(n, c, h + 2p, w + 2p)`; `images` itself if `padding` is 0.

    Raises:
        ValueError: if `padding` is out of range.
    """
    height, width = images.shape[-2:]
    if not 0 <= padding < min(height, width):
        raise ValueError(f"padding must be in [0, {min(height, width)}), got {padding}")
    if padding == 0:
        return images
    rows = _reflected_positions(height, padding).to(images.device)
    columns = _reflected_positions(width, padding).to(images.device)
    return images.index_select(2, rows).index_select(3, columns)


def _reflected_positions(size: int, padding: int) -> Tensor:
    positions = torch.arange(-padding, size + padding).abs()
    return torch.where(positions < size, positions, 2 * (size - 1) - positions)


def crop_and_flip(
    padded: Tensor, padding: int, indices: Tensor, augmentation: Augmentation
) -> Tensor:
    """Cut the drawn crop out of some images, mirrored where so drawn.

    Args:
        padded: `(n, c, h + 2p, w + 2p)`, the whole set.
        padding: p.
        indices: `(m,)` int64, which images.
        augmentation: Draws for the whole set, on the device of `padded`.

    Returns:
        `(m, c, h, w)`, of the type of `padded`.
    """
    height, width = padded.shape[2] - 2 * padding, padded.shape[3] - 2 * padding
    crops = padded.unfold(2, height, 1).unfold(3, width, 1)  # (n, c, 2p + 1, 2p + 1, h, w), a view
    top, left = augmentation.offsets[indices].unbind(1)
    cropped = crops[indices, :, top, left]
    flips = augmentation.flips[indices].view(-1, 1, 1, 1)
    return torch.where(flips, cropped.flip(3), cropped)


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
