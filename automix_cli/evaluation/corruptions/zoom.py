"""Zooming into the middle of an image, and the blur that comes of doing so by many factors.

Zooming is linear, so a factor is a matrix over pixels with at most four entries a row; images are
columns of a matrix, pixel by pixel, and both are multiplied as sparse and dense matrix.

Legend: n images, h w pixels, c channels, m columns.
"""

from functools import cache
from math import ceil, floor

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from automix_cli.evaluation.corruptions.pixels import SIZE, to_bytes

FACTORS = tuple(tuple(np.arange(1, end, 0.01).tolist()) for end in (1.06, 1.11, 1.16, 1.21, 1.26))
"""Zoom factors by severity. Rounding decides whether the end is among them: 7, 12, 16, 21, 26."""

Images = UInt8[Tensor, "n h w 3"]


def zoom_weights(factor: float) -> Float[np.ndarray, "h w"]:
    """Say what each pixel of a zoomed line is made of.

    Source:
        `clipped_zoom` of make_cifar_c.py: cut out the middle, `scipy.ndimage.zoom(order=1)`, cut
        out the middle again. No difference.
    """
    cut = ceil(SIZE / factor)
    first = (SIZE - cut) // 2
    zoomed = round(cut * factor)
    trimmed = (zoomed - SIZE) // 2
    weights = np.zeros((SIZE, SIZE))
    for position in range(SIZE):
        source = (position + trimmed) * (cut - 1) / (zoomed - 1)
        whole = min(floor(source), cut - 1)
        share = source - whole if whole < cut - 1 else 0.0
        weights[position, first + whole] += 1 - share
        if share > 0:
            weights[position, first + whole + 1] += share
    return weights


@cache
def zoom_matrix(factor: float) -> Tensor:
    """The sparse matrix of a zoom, from pixels to pixels, row by row, float64."""
    weights = zoom_weights(factor)
    to, source = np.nonzero(weights)
    share = weights[to, source]
    # the product of the matrix of the rows with that of the columns, entry by entry
    entries = np.stack([np.add.outer(SIZE * each, each).ravel() for each in (to, source)])
    return torch.sparse_coo_tensor(
        torch.from_numpy(entries),
        torch.from_numpy(np.multiply.outer(share, share).ravel()),
        (SIZE * SIZE, SIZE * SIZE),
        check_invariants=True,
    ).coalesce()


@cache
def _summed_matrix(severity: int) -> Tensor:
    """The mean of the image itself and all its zooms as one sparse matrix, float32."""
    factors = FACTORS[severity - 1]
    total = zoom_matrix(1.0)
    for factor in factors:
        total = total + zoom_matrix(factor)
    return (total / (len(factors) + 1)).coalesce().float()


def zoom_columns(columns: Float64[Tensor, "hw m"], factor: float) -> Float64[Tensor, "hw m"]:
    """Zoom images that are columns of a matrix."""
    return torch.sparse.mm(zoom_matrix(factor), columns)


def zoom_blur(images: Images, severity: int, dtype: torch.dtype) -> Images:
    """Blend an image with zooms into its middle.

    Source:
        `zoom_blur` of make_cifar_c.py: every zoom and the sum are rounded to float32. No difference
        in float64; in float32 the zooms are one matrix, and nothing is rounded in between.
    """
    num_images = len(images)
    columns = images.permute(1, 2, 0, 3).reshape(SIZE * SIZE, num_images * 3)
    values = columns.to(torch.float64).div_(255).float()
    if dtype == torch.float32:
        blurred = torch.sparse.mm(_summed_matrix(severity), values)
    else:
        total = torch.zeros_like(values)
        exact = values.double()
        for factor in FACTORS[severity - 1]:
            total += zoom_columns(exact, factor).float()
        # float32 divided by a number: numpy rounds the number to float32 first
        blurred = total.add_(values).div_(float(len(FACTORS[severity - 1]) + 1))
    pixels = to_bytes(blurred).view(SIZE, SIZE, num_images, 3)
    return pixels.permute(2, 0, 1, 3).contiguous()
