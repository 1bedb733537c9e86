"""Temperature scaling: one number that makes a classifier as sure as it should be.

Dividing all logits by T > 0 changes no prediction, and makes every one of them less (T > 1) or more
sure. T is chosen by likelihood on images that the result is not reported on.

Legend: n images, k classes.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from jaxtyping import Float64, Int64
from torch import Tensor

LARGEST = 1e3
"""Largest T, and 1 / the smallest: where every image is recognised, likelihood wants T = 0."""

MAX_STEPS = 100


def fit_temperature(logits: Float64[Tensor, "n k"], labels: Int64[Tensor, " n"]) -> float:
    """Find the temperature under which the labels are likeliest.

    The mean negative log-likelihood is convex in 1 / T, so Newton's method finds its one minimum;
    a bracket keeps a step from leaving it. Deterministic, without a learning rate.

    Args:
        logits: Of images that were not trained on.
        labels: Their classes.

    Returns:
        T in [1 / 1000, 1000].

    Raises:
        ValueError: if there are no images.

    Source:
        Guo et al. (2017), section 4.2. Differs: Newton's method in 1 / T in place of L-BFGS in T;
        the minimum is the same.
    """
    if len(labels) == 0:
        raise ValueError("there is no image to fit a temperature on")
    low, high, inverse = 1 / LARGEST, LARGEST, 1.0
    for _ in range(MAX_STEPS):
        slope, curvature = _derivatives(logits, labels, inverse)
        low, high = (low, inverse) if slope > 0 else (inverse, high)
        step = inverse - slope / curvature if curvature > 0 else math.nan
        following = step if low < step < high else math.sqrt(low * high)
        if abs(following - inverse) <= 1e-10 * inverse:
            break
        inverse = following
    return 1 / inverse


def _derivatives(
    logits: Float64[Tensor, "n k"], labels: Int64[Tensor, " n"], inverse: float
) -> tuple[float, float]:
    """First and second derivative of the mean NLL of `inverse * logits` by `inverse`."""
    probabilities = F.softmax(inverse * logits, dim=1)
    mean = (probabilities * logits).sum(dim=1)
    spread = (probabilities * (logits - mean[:, None]).square()).sum(dim=1)
    of_label = logits.gather(1, labels[:, None])[:, 0]
    return float((mean - of_label).mean()), float(spread.mean())
