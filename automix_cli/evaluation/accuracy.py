"""Accuracy and likelihood of a classifier, in one pass and constant memory.

Legend: n images, k classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64, Int
from torch import Tensor

from automix_cli.evaluation.calibration import NUM_BINS, Reliability, reliability_totals
from automix_cli.evaluation.totals import (
    AddOverProcesses,
    Predictions,
    accumulate,
    add_nothing,
    sums_in_cells,
)

Z_95 = 1.959963984540054
"""Half width of a 95 % interval in standard deviations."""


@dataclass(frozen=True)
class Accuracy:
    """What a classifier got right. Shares are fractions in [0, 1]."""

    num_images: int
    top1: float
    top5: float
    nll: float  # mean negative log-likelihood of the true class, in nats
    ece: float  # expected calibration error over 15 bins of equal width

    def top1_interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of `top1`."""
        return wilson_interval(self.top1, self.num_images)


def wilson_interval(share: float, num_trials: int, *, z: float = Z_95) -> tuple[float, float]:
    """Give the interval of a true share that a measured share is compatible with.

    Unlike share +- z * deviation it stays in [0, 1] and is right near 0 and 1.

    Args:
        share: Measured share of successes, in [0, 1].
        num_trials: Number of independent trials, >= 1.
        z: Half width in standard deviations.

    Raises:
        ValueError: if there are no trials, or `share` is outside [0, 1].

    Source:
        Wilson (1927), without continuity correction. No difference.
    """
    if num_trials < 1:
        raise ValueError(f"num_trials must be at least 1, got {num_trials}")
    if not 0 <= share <= 1:
        raise ValueError(f"share must be in [0, 1], got {share}")
    denominator = 1 + z**2 / num_trials
    centre = (share + z**2 / (2 * num_trials)) / denominator
    spread = math.sqrt(share * (1 - share) / num_trials + z**2 / (4 * num_trials**2))
    half = z * spread / denominator
    return max(0.0, centre - half), min(1.0, centre + half)


def totals(logits: Float[Tensor, "n k"], labels: Int[Tensor, " n"]) -> Float[Tensor, 4]:
    """Count images, top-1 hits and top-5 hits, and add up negative log-likelihoods.

    With fewer than 5 classes every image is a top-5 hit. A tie counts as torch's `topk` orders it.

    Returns:
        Float64, on the CPU: not every accelerator has float64.
    """
    logits, labels = logits.cpu().double(), labels.cpu()
    hits = logits.topk(min(5, logits.shape[1]), dim=1).indices == labels[:, None]
    nll = F.cross_entropy(logits, labels, reduction="sum")
    counts = [torch.tensor(len(labels)), hits[:, 0].sum(), hits.sum()]
    return torch.stack([*(count.double() for count in counts), nll])


def accuracy_totals(predictions: Predictions) -> Float64[Tensor, " 4"]:
    """`totals` as a statistic."""
    return totals(predictions.logits, predictions.labels)


def class_totals(predictions: Predictions) -> Float64[Tensor, "2 k"]:
    """Count the images of each class, and those of them that are recognised."""
    k = predictions.logits.shape[1]
    hits = (predictions.logits.argmax(dim=1) == predictions.labels).double()
    rows = (torch.ones_like(hits), hits)
    counts = [sums_in_cells(predictions.labels, row, k) for row in rows]
    return torch.stack(counts)


def confusion_totals(predictions: Predictions) -> Float64[Tensor, "k k"]:
    """Count how often an image of each class (row) is taken for each class (column)."""
    k = predictions.logits.shape[1]
    cells = predictions.labels * k + predictions.logits.argmax(dim=1)
    return torch.bincount(cells, minlength=k * k).double().view(k, k)


BASICS = {
    "accuracy": accuracy_totals,
    "reliability": partial(reliability_totals, num_bins=NUM_BINS),
}
"""The statistics that an `Accuracy` is made from."""


def accuracy_from(sums: Mapping[str, Tensor]) -> Accuracy:
    """Turn the sums of `BASICS` into shares."""
    num_images, top1, top5, nll = sums["accuracy"].tolist()
    ece = Reliability(sums["reliability"].cpu()).expected_error()
    return Accuracy(int(num_images), top1 / num_images, top5 / num_images, nll / num_images, ece)


def measure(
    predict: Callable[[Tensor], Mapping[str, Tensor]],
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    add_over_processes: AddOverProcesses = add_nothing,
) -> dict[str, Accuracy]:
    """Measure every head that `predict` answers for, in one pass over the images.

    Args:
        predict: Images (n, c, h, w) to logits (n, k) by name of head.
        batches: Images and labels (n,); each process brings its part of the test set.
        add_over_processes: Adds a tensor up over the processes that share the test set.

    Raises:
        ValueError: if there are no images.
        NotFiniteError: logits hold NaN or infinity.
    """
    sums = accumulate(predict, batches, BASICS, add_over_processes=add_over_processes)
    return {head: accuracy_from(each) for head, each in sums.items()}
