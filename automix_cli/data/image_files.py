"""Labelled images that stay in their files until a batch needs them.

Legend: n images.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Paths with their labels; the images are decoded as they are needed.

    Attributes:
        root: Folder that paths are relative to.
        paths: n paths.
        labels: `(n,)`, int64 in [0, number of classes).
        class_names: Name of each class, in label order.

    Raises:
        ValueError: if there are not as many labels as paths, or a label has no class.
    """

    root: Path
    paths: tuple[str, ...]
    labels: Tensor
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check lengths and labels, so that nobody below has to."""
        if self.labels.shape != (len(self.paths),) or self.labels.dtype != torch.int64:
            found = f"{tuple(self.labels.shape)} {self.labels.dtype}"
            raise ValueError(f"labels must be ({len(self.paths)},) torch.int64, got {found}")
        if len(self.paths) and not 0 <= self.labels.min() <= self.labels.max() < self.num_classes:
            span = f"[{int(self.labels.min())}, {int(self.labels.max())}]"
            raise ValueError(f"labels must lie in [0, {self.num_classes}), got values in {span}")

    def __len__(self) -> int:
        """Number of images."""
        return len(self.paths)

    @property
    def num_classes(self) -> int:
        """Number of classes that exist, seen in this set or not."""
        return len(self.class_names)

    def take(self, indices: np.ndarray) -> ImageFiles:
        """Give the images at `indices` (`(m,)` integers), in that order, as a set of their own."""
        paths = tuple(self.paths[index] for index in indices)
        rows = torch.from_numpy(np.asarray(indices, dtype=np.int64))
        return ImageFiles(self.root, paths, self.labels[rows], self.class_names)
