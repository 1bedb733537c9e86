"""How much of an image can be hidden before a classifier no longer recognises it.

Legend: n images, c channels, h w pixels, p patches.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Shares of the patches that are hidden, one after the other."""


def patch_size(image_size: int) -> int:
    """Give the side of a patch in pixels: 16 from 224 pixels on, else an eighth of the image.

    Raises:
        ValueError: if the image does not divide into such patches.
    """
    size = 16 if image_size >= 224 else image_size // 8
    if size < 1 or image_size % size:
        raise ValueError(f"images of {image_size} pixels do not divide into patches of {size}")
    return size


def patch_orders(rngs: Sequence[np.random.Generator], num_patches: int) -> np.ndarray:
    """Draw for each image the order in which its patches are hidden, `(n, p)` integers."""
    return np.stack([rng.permutation(num_patches) for rng in rngs])


def hide_patches(
    images: Float[Tensor, "n c h w"], orders: np.ndarray, share: float
) -> Float[Tensor, "n c h w"]:
    """Put the mean colour in the place of the first patches in each image's order.

    A larger share hides the same patches and more.

    Args:
        images: Square images, normalised: the mean colour is 0.
        orders: Of `patch_orders`, for these images.
        share: How many of the patches to hide, in [0, 1]; rounded to whole patches.

    Raises:
        ValueError: if `share` is outside [0, 1].

    Source:
        Naseer et al. (2021), random patch drop, as in OpenMixup's `occlusion_robustness.py`.
        Differs: every image has patches of its own, where the reference hides the same ones in all
        images of a batch; images need not have 224 pixels.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must be in [0, 1], got {share}")
    n, num_patches = orders.shape
    cells = round(num_patches**0.5)
    kept = np.ones((n, num_patches), dtype=np.float32)
    np.put_along_axis(kept, orders[:, : round(share * num_patches)], 0, axis=1)
    mask = torch.from_numpy(kept).view(n, 1, cells, cells).to(images)
    return images * F.interpolate(mask, size=images.shape[2:], mode="nearest")
