"""The calibration error over bins of equal mass, in one pass and constant memory.

Bins that hold the same number of images each follow from sorted confidences, which would have to be
kept. Here the confidences are counted in 65,536 cells instead, and the cells are cut into bins of
equal mass afterwards. Cells are of equal width in log-odds, log(p / (1 - p)): most confidences of a
trained network crowd just below 1, where cells of equal width in p would see no difference. A cell
is at most 0.0002 wide in p, and far less near 1.

Confidences and hits of a cell are summed exactly. Only the cells in which a cut falls are
approximated: their images go to both sides in proportion. That is also what is done with one image
that a cut falls on, and it makes the error independent of the order of images with equal
confidence, which a sort does not. `AdaptiveError.bound` is how far a sort could be from it.

Legend: n images, f cells.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from automix_cli.evaluation.totals import Predictions, sums_in_cells

NUM_CELLS = 2**16
LOWEST, HIGHEST = -12.0, 37.0
"""Log-odds of the first and the last cell: 1 of 160,000 classes, and 1 - 1e-16."""

WIDEST = (HIGHEST - LOWEST) / NUM_CELLS / 4
"""Width of the widest cell in units of probability; that of log-odds 0."""


class AdaptiveError(NamedTuple):
    """A calibration error over bins of equal mass."""

    value: float
    """In [0, 1]."""

    bound: float
    """How far the value may be from the one of sorted confidences."""


def cell_totals(predictions: Predictions) -> Float64[Tensor, "3 f"]:
    """Count images and hits, and add up confidences, in cells of equal width in log-odds."""
    log_confidence, predicted = predictions.log_probabilities.max(dim=1)
    hits = (predicted == predictions.labels).double()
    log_rest = torch.log(-torch.expm1(log_confidence))  # log(1 - p), -inf at p = 1
    place = (log_confidence - log_rest - LOWEST) / (HIGHEST - LOWEST) * NUM_CELLS
    cells = place.nan_to_num(0.0).clamp(0, NUM_CELLS - 1).long()
    rows = (torch.ones_like(hits), hits, log_confidence.exp())
    return torch.stack([sums_in_cells(cells, row, NUM_CELLS) for row in rows])


def adaptive_error(totals: Float64[Tensor, "3 f"], num_bins: int) -> AdaptiveError:
    """Give the expected calibration error over bins of n / num_bins images each.

    Args:
        totals: Of `cell_totals`.
        num_bins: Bins of equal mass; a share of an image may belong to each of two bins.

    Raises:
        ValueError: if there are no images.

    Source:
        Nguyen and O'Connor (2015), Nixon et al. (2019): adaptive calibration error of the top
        label. Differs: ties and images on a cut are shared out instead of sorted arbitrarily.
    """
    counts, hits, confidences = totals[:, totals[0] > 0].numpy()
    num_images = counts.sum()
    if not num_images > 0:
        raise ValueError("there is no image to measure calibration on")
    ends = np.concatenate([[0.0], np.cumsum(counts)])
    cuts = np.linspace(0, num_images, num_bins + 1)
    hits_below, confidences_below = (
        np.interp(cuts, ends, np.concatenate([[0.0], np.cumsum(row)]))
        for row in (hits, confidences)
    )
    excess = np.diff(confidences_below) - np.diff(hits_below)
    value = float(np.abs(excess).sum() / num_images)
    return AdaptiveError(value, _bound(counts, hits, ends, cuts[1:-1]) / float(num_images))


def _bound(counts: np.ndarray, hits: np.ndarray, ends: np.ndarray, cuts: np.ndarray) -> float:
    """Sum over the cuts of what a sort could move from one side of it to the other, twice."""
    cells = np.clip(np.searchsorted(ends, cuts, side="left") - 1, 0, len(counts) - 1)
    count, hit = counts[cells], hits[cells]
    below = cuts - ends[cells]  # images of the cell on the lower side
    even = below * hit / count
    fewest, most = np.maximum(0, below - (count - hit)), np.minimum(below, hit)
    moved_hits = np.maximum(even - fewest, most - even)
    moved_confidence = below * (count - below) / count * WIDEST
    return float(2 * (moved_hits + moved_confidence).sum())
