"""Whether a classifier notices images of nothing it knows: out-of-distribution detection.

A score is higher for an image of the kind the classifier was trained on. Scores of known and
unknown images are compared by the usual three numbers, ties counting as half.

Legend: n images, k classes, a known images, b unknown ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor


def largest_probability(logits: Float[Tensor, "n k"]) -> Float64[Tensor, " n"]:
    """Score by the confidence.

    Source:
        Hendrycks and Gimpel (2017), MSP. Differs: its logarithm, which has the same order and tells
        confidences apart that float64 rounds to 1.
    """
    logits = logits.cpu().double()
    return -torch.logsumexp(logits - logits.amax(dim=1, keepdim=True), dim=1)


def largest_logit(logits: Float[Tensor, "n k"]) -> Float64[Tensor, " n"]:
    """Score by the largest logit.

    Source:
        Hendrycks et al. (2022), MaxLogit. No difference.
    """
    return logits.cpu().double().amax(dim=1)


def energy(logits: Float[Tensor, "n k"]) -> Float64[Tensor, " n"]:
    """Score by log sum exp, the negative free energy.

    Source:
        Liu et al. (2020), temperature 1. No difference.
    """
    return torch.logsumexp(logits.cpu().double(), dim=1)


SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "max_softmax": largest_probability,
    "max_logit": largest_logit,
    "energy": energy,
}
"""Every score, by name."""


@dataclass(frozen=True)
class Detection:
    """How well a score tells known from unknown images. All in [0, 1]."""

    auroc: float
    """Chance that a known image scores higher than an unknown one; 0.5 is a coin."""

    fpr95: float
    """Share of unknown images above the threshold that 95 % of the known ones reach."""

    aupr_known: float
    """Average precision of finding the known images."""

    aupr_unknown: float
    """Average precision of finding the unknown images."""


def detect(known: Float64[Tensor, " a"], unknown: Float64[Tensor, " b"]) -> Detection:
    """Compare the scores of known and unknown images.

    Raises:
        ValueError: if there are no images on one of the two sides.
    """
    if len(known) == 0 or len(unknown) == 0:
        raise ValueError(
            "detection needs known and unknown images,"
            f" got {len(known)} known and {len(unknown)} unknown"
        )
    threshold = known.sort(descending=True).values[-(-95 * len(known) // 100) - 1]
    return Detection(
        auroc=_auroc(known, unknown),
        fpr95=float((unknown >= threshold).double().mean()),
        aupr_known=_average_precision(known, unknown),
        aupr_unknown=_average_precision(-unknown, -known),
    )


def _auroc(known: Float64[Tensor, " a"], unknown: Float64[Tensor, " b"]) -> float:
    """The Mann-Whitney statistic: pairs in the right order, ties for half, of all pairs."""
    ordered, known = unknown.sort().values, known.contiguous()
    below = torch.searchsorted(ordered, known, right=False)
    up_to = torch.searchsorted(ordered, known, right=True)
    return float((below + up_to).double().sum() / (2 * len(known) * len(unknown)))


def _average_precision(wanted: Float64[Tensor, " a"], others: Float64[Tensor, " b"]) -> float:
    """Precision at each distinct score, weighted by the recall that it adds."""
    scores, inverse = torch.cat([wanted, others]).unique(return_inverse=True)
    counts = [
        torch.bincount(part, minlength=len(scores)).flip(0).double()
        for part in inverse.split([len(wanted), len(others)])
    ]
    found, false = counts[0].cumsum(0), counts[1].cumsum(0)
    return float((counts[0] * found / (found + false)).sum() / len(wanted))
