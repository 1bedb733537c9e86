"""Whether a classifier is right as often as it says: calibration errors from sums over bins.

Legend: n images, k classes, m bins. The confidence of a prediction is its largest probability, in
(0, 1]. Errors are shares in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from automix_cli.evaluation.totals import Predictions, sums_in_cells

NUM_BINS = 15
"""Bins of the expected calibration error where nobody asks for another number (Guo et al.)."""

NUM_RESAMPLES = 1000
"""Bootstrap resamples behind an interval."""


def bins_of(probabilities: Float64[Tensor, "*shape"], num_bins: int) -> Int64[Tensor, "*shape"]:
    """Give the number of the bin ((i) / m, (i + 1) / m] that each probability lies in.

    0 belongs to the first bin. Edges are compared as they are, not by rounding a quotient.
    """
    edges = torch.linspace(0, 1, num_bins + 1, dtype=torch.float64)
    return (torch.bucketize(probabilities, edges) - 1).clamp(0, num_bins - 1)


def reliability_totals(predictions: Predictions, num_bins: int) -> Float64[Tensor, "3 {num_bins}"]:
    """Count images and hits, and add up confidences, in bins of equal width.

    Source:
        Guo et al. (2017), equation (3), bins of equal width. No difference.
    """
    log_confidence, predicted = predictions.log_probabilities.max(dim=1)
    hits = (predicted == predictions.labels).double()
    confidence = log_confidence.exp().clamp(max=1)
    bins = bins_of(confidence, num_bins)
    rows = (torch.ones_like(hits), hits, confidence)
    return torch.stack([sums_in_cells(bins, row, num_bins) for row in rows])


def classwise_totals(predictions: Predictions, num_bins: int) -> Float64[Tensor, "3 k m"]:
    """The same for the probability of every class by itself; a hit is an image of that class."""
    n, k = predictions.log_probabilities.shape
    probabilities = predictions.log_probabilities.exp().clamp(max=1)
    is_class = torch.zeros(n, k, dtype=torch.float64)
    is_class[torch.arange(n), predictions.labels] = 1
    cells = (bins_of(probabilities, num_bins) + torch.arange(k) * num_bins).flatten()
    rows = (torch.ones_like(is_class), is_class, probabilities)
    size = k * num_bins
    sums = [sums_in_cells(cells, row.flatten(), size) for row in rows]
    return torch.stack(sums).view(3, k, num_bins)


def brier_totals(predictions: Predictions) -> Float64[Tensor, " 1"]:
    """Add up sum_k (p_k - [y = k])^2, which is in [0, 2] for each image.

    Source:
        Brier (1950), summed over the classes; some programs divide by their number.
    """
    probabilities = predictions.log_probabilities.exp()
    of_label = probabilities.gather(1, predictions.labels[:, None])[:, 0]
    return (probabilities.square().sum(dim=1) - 2 * of_label + 1).sum().view(1)


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often a classifier is right where it is how sure.

    Args:
        totals: Images, hits and summed confidences of each bin.

    Raises:
        ValueError: if there are no images.
    """

    totals: Float64[Tensor, "3 m"]

    def __post_init__(self) -> None:
        """Refuse to divide by nothing."""
        if not self.totals[0].sum() > 0:
            raise ValueError("there is no image to measure calibration on")

    @property
    def num_images(self) -> int:
        """N."""
        return int(self.totals[0].sum())

    @property
    def shares(self) -> Float64[Tensor, " m"]:
        """The part of all images that is in each bin."""
        return self.totals[0] / self.totals[0].sum()

    @property
    def accuracies(self) -> Float64[Tensor, " m"]:
        """How many of each bin are right; NaN where it is empty."""
        return self.totals[1] / self.totals[0]

    @property
    def confidences(self) -> Float64[Tensor, " m"]:
        """The mean confidence in each bin; NaN where it is empty."""
        return self.totals[2] / self.totals[0]

    @property
    def excess(self) -> Float64[Tensor, " m"]:
        """Share of the bin times (confidence - accuracy): > 0 where it claims too much."""
        return (self.totals[2] - self.totals[1]) / self.totals[0].sum()

    def expected_error(self) -> float:
        """ECE: the mean over all images of |accuracy - confidence| of their bin."""
        return float(self.excess.abs().sum())

    def overconfidence(self) -> float:
        """The part of the ECE from bins that claim too much."""
        return float(self.excess.clamp(min=0).sum())

    def underconfidence(self) -> float:
        """The part of the ECE from bins that claim too little; mixing makes classifiers do so."""
        return float((-self.excess).clamp(min=0).sum())

    def largest_error(self) -> float:
        """MCE: the largest |accuracy - confidence| of a bin that is not empty."""
        return float((self.accuracies - self.confidences).abs().nan_to_num(0).max())

    def root_mean_square_error(self) -> float:
        """RMSCE: the root of the mean over all images of (accuracy - confidence)^2."""
        gaps = (self.accuracies - self.confidences).nan_to_num(0)
        return float((self.shares * gaps.square()).sum().sqrt())

    def interval(
        self, rng: np.random.Generator, *, num_resamples: int = NUM_RESAMPLES
    ) -> tuple[float, float]:
        """The 95 % bootstrap interval of the ECE.

        Images are drawn again with replacement, as the cells (bin, right or wrong) they fall in:
        2 m numbers are all that is needed. A confidence is taken for the mean of its bin. The
        interval is the basic one, [2 e - q97.5, 2 e - q2.5] cut at 0, because resampling adds to
        an ECE and not to the truth: the percentiles themselves would lie too high.

        Args:
            rng: Source of randomness.
            num_resamples: How often to draw.
        """
        counts, hits, confidences = self.totals.numpy()
        mean_confidence = confidences / np.maximum(counts, 1)
        cells = np.concatenate([hits, counts - hits])
        drawn = rng.multinomial(self.num_images, cells / cells.sum(), size=num_resamples)
        right, wrong = np.split(drawn, 2, axis=1)
        errors = np.abs((right + wrong) * mean_confidence - right).sum(axis=1) / self.num_images
        low, high = np.quantile(errors, (0.025, 0.975))
        error = self.expected_error()
        return max(0.0, 2 * error - float(high)), max(0.0, 2 * error - float(low))


def classwise_error(totals: Float64[Tensor, "3 k m"]) -> float:
    """Give the mean over the classes of the calibration error of the class's own probability.

    Args:
        totals: Of `classwise_totals`.

    Source:
        Kull et al. (2019), classwise-ECE. No difference.
    """
    counts, hits, probabilities = totals
    num_images = counts[0].sum()
    return float(((probabilities - hits).abs().sum(dim=1) / num_images).mean())
