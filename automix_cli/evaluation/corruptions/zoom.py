"""Zooming into the middle of an image, and the blur that comes of doing so by many factors.

Zooming is linear, so a factor is a matrix over pixels with at most four entries a row; images are
columns of a matrix, pixel by pixel, and both are multiplied as sparse and dense matrix.

Legend: n images, h w pixels, c channels, m columns.
"""

from functools import lru_cache
from math import ceil, floor, isqrt

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from automix_cli.evaluation.corruptions.pixels import to_bytes

MOST_MATRICES = 32
"""Kept at a time: those of any severity. One of images of 224 pixels has 5 MB."""

Images = UInt8[Tensor, "n h w 3"]


def zoom_weights(size: int, factor: float) -> Float[np.ndarray, "h w"]:
    """Say what each pixel of a zoomed line is made of.

    Source:
        `clipped_zoom` of make_cifar_c.py: cut out the middle, `scipy.ndimage.zoom(order=1)`, cut
        out the middle again. No difference.
    """
    cut = ceil(size / factor)
    first = (size - cut) // 2
    zoomed = round(cut * factor)
    trimmed = (zoomed - size) // 2
    weights = np.zeros((size, size))
    for position in range(size):
        source = (position + trimmed) * (cut - 1) / (zoomed - 1)
        whole = min(floor(source), cut - 1)
        share = source - whole if whole < cut - 1 else 0.0
        weights[position, first + whole] += 1 - share
        if share > 0:
            weights[position, first + whole + 1] += share
    return weights


@lru_cache(maxsize=MOST_MATRICES)
def zoom_matrix(size: int, factor: float) -> Tensor:
    """The sparse matrix of a zoom, from pixels to pixels, row by row, float64."""
    weights = zoom_weights(size, factor)
    to, source = np.nonzero(weights)
    share = weights[to, source]
    # the product of the matrix of the rows with that of the columns, entry by entry
    entries = np.stack([np.add.outer(size * each, each).ravel() for each in (to, source)])
    with torch.sparse.check_sparse_tensor_invariants():  # torch 2.11 warns of the argument
        return torch.sparse_coo_tensor(
            torch.from_numpy(entries),
            torch.from_numpy(np.multiply.outer(share, share).ravel()),
            (size * size, size * size),
        ).coalesce()


@lru_cache(maxsize=5)
def _summed_matrix(size: int, factors: tuple[float, ...]) -> Tensor:
    """The mean of the image itself and all its zooms as one sparse matrix, float32."""
    total = zoom_matrix(size, 1.0)
    for factor in factors:
        total = total + zoom_matrix(size, factor)
    return (total / (len(factors) + 1)).coalesce().float()


def zoom_columns(columns: Float64[Tensor, "hw m"], factor: float) -> Float64[Tensor, "hw m"]:
    """Zoom square images that are columns of a matrix."""
    return torch.sparse.mm(zoom_matrix(isqrt(len(columns)), factor), columns)


def zoom_blur(images: Images, factors: tuple[float, ...], dtype: torch.dtype) -> Images:
    """Blend an image with zooms into its middle by several factors.

    Source:
        `zoom_blur` of make_cifar_c.py: every zoom and the sum are rounded to float32. No difference
        in float64; in float32 the zooms are one matrix, and nothing is rounded in between.
    """
    num_images, size = images.shape[:2]
    columns = images.permute(1, 2, 0, 3).reshape(size * size, num_images * 3)
    values = columns.to(torch.float64).div_(255).float()
    if dtype == torch.float32:
        blurred = torch.sparse.mm(_summed_matrix(size, factors), values)
    else:
        total = torch.zeros_like(values)
        exact = values.double()
        for factor in factors:
            total += zoom_columns(exact, factor).float()
        # float32 divided by a number: numpy rounds the number to float32 first
        blurred = total.add_(values).div_(float(len(factors) + 1))
    pixels = to_bytes(blurred).view(size, size, num_images, 3)
    return pixels.permute(2, 0, 1, 3).contiguous()
