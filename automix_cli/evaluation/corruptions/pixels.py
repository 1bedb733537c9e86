"""What the corruptions share: bytes to numbers and back, edges, and Gaussian smoothing.

The published script computes in float64, clips to [0, 1], multiplies by 255 and cuts the fraction
off. Sums are therefore made in its order here: one last bit decides whether 255 becomes 254.

Legend: n images, h w pixels, c channels.
"""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

Edge = Literal["replicate", "mirror", "symmetric"]
"""What lies outside: the last pixel; its mirror image without (`mirror`, dcb|abcd|cba) or with
(`symmetric`, cba|abcd|dcb) the last pixel itself."""

_PAD_MODES = {"replicate": "edge", "mirror": "reflect", "symmetric": "symmetric"}


def to_unit(images: UInt8[Tensor, "..."], dtype: torch.dtype) -> Float[Tensor, "..."]:
    """Turn bytes into shares of 255."""
    return images.to(dtype).div_(255)


def to_bytes(values: Float[Tensor, "..."]) -> UInt8[Tensor, "..."]:
    """Clip to [0, 1] and cut off to bytes, as the script does; `values` are written over."""
    return values.clamp_(0, 1).mul_(255).to(torch.uint8)


def edge_indices(size: int, reach: int, edge: Edge) -> Tensor:
    """Say where the pixels `-reach` to `size + reach - 1` of a line are taken from."""
    inside = np.arange(size)
    outside = np.pad(inside, reach, mode=_PAD_MODES[edge])  # pyright: ignore[reportCallIssue, reportArgumentType]
    return torch.from_numpy(outside)


def extend(values: Tensor, reach: int, edge: Edge) -> Tensor:
    """Lay `reach` more pixels around dimensions 1 and 2."""
    for axis in (1, 2):
        indices = edge_indices(values.shape[axis], reach, edge)
        values = values.index_select(axis, indices)
    return values


def gaussian_weights(sigma: float, reach: int) -> list[float]:
    """Weights of the pixels `-reach` to `reach`, adding up to 1."""
    positions = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 / (sigma * sigma) * positions**2)
    return (weights / weights.sum()).tolist()


def smooth(values: Float[Tensor, "n h w *c"], sigma: float) -> Float[Tensor, "n h w *c"]:
    """Smooth down the columns, then along the rows, with a Gaussian of `sigma` pixels.

    It ends at 4 sigma, rounded; where that is 0, nothing is smoothed. Outside lies the last pixel.

    Source:
        `scipy.ndimage.gaussian_filter` with `mode="nearest"`, whose symmetric kernels add the
        outermost pair first. No difference in float64.
    """
    reach = int(4 * sigma + 0.5)
    if reach == 0:
        return values
    weights = gaussian_weights(sigma, reach)
    for axis in (1, 2):
        size = values.shape[axis]
        padded = values.index_select(axis, edge_indices(size, reach, "replicate"))
        total = padded.narrow(axis, reach, size) * weights[reach]
        for offset in range(reach, 0, -1):
            pair = padded.narrow(axis, reach - offset, size) + padded.narrow(
                axis, reach + offset, size
            )
            total += pair.mul_(weights[reach - offset])
        values = total
    return values
