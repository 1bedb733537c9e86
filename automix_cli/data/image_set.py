"""Labelled images held in memory, as small as they come: uint8.

Legend: n images, c channels, h w pixels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images with their labels, whole and in memory.

    Attributes:
        images: `(n, c, h, w)`, uint8 in [0, 255].
        labels: `(n,)`, int64 in [0, number of classes).
        class_names: Name of each class, in label order.

    Raises:
        ValueError: if shapes, types or labels do not fit this description.
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check shapes and types, so that nobody below has to."""
        if self.images.ndim != 4 or self.images.dtype != torch.uint8:
            found = f"{tuple(self.images.shape)} {self.images.dtype}"
            raise ValueError(f"images must be (n, c, h, w) torch.uint8, got {found}")
        if self.labels.shape != self.images.shape[:1] or self.labels.dtype != torch.int64:
            wanted = f"({len(self.images)},) torch.int64"
            found = f"{tuple(self.labels.shape)} {self.labels.dtype}"
            raise ValueError(f"labels must be {wanted}, got {found}")

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    @property
    def num_classes(self) -> int:
        """Number of classes that exist, seen in this set or not."""
        return len(self.class_names)

    def to(self, device: torch.device | str) -> "ImageSet":
        """Put images and labels on a device; the same object's tensors if they are there."""
        return ImageSet(self.images.to(device), self.labels.to(device), self.class_names)

    def take(self, indices: np.ndarray) -> "ImageSet":
        """Give the images at `indices` (`(m,)` integers), in that order, as a set of their own."""
        rows = torch.from_numpy(np.asarray(indices, dtype=np.int64)).to(self.images.device)
        return ImageSet(self.images[rows], self.labels[rows], self.class_names)


def image_set_from_arrays(
    images: np.ndarray, labels: np.ndarray, class_names: tuple[str, ...]
) -> ImageSet:
    """Build a set from numpy arrays, which are copied.

    Args:
        images: `(n, c, h, w)`, uint8.
        labels: `(n,)`, integers in [0, len(class_names)).
        class_names: Name of each class, in label order.

    Raises:
        ValueError: if a label has no class name, or the shapes do not fit.
    """
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(class_names):
        span = f"[{labels.min()}, {labels.max()}]"
        raise ValueError(f"labels must lie in [0, {len(class_names)}), got values in {span}")
    return ImageSet(
        torch.from_numpy(images.copy()),
        torch.from_numpy(labels.astype(np.int64)),
        class_names,
    )
