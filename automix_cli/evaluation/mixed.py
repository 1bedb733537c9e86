"""What a classifier makes of mixed images: whether it sees both things that are in them.

Legend: n mixtures, k classes, b bins of the larger share. A share is the part of a mixture that an
image and its label have, in [0, 1]; of two labels the larger share is at least 1/2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from automix_cli.evaluation.totals import finite, sums_in_cells

NUM_SHARE_BINS = 5
"""Bins of the larger share between 1/2 and 1, each 0.1 wide."""


def mixed_totals(
    logits: Float[Tensor, "n k"],
    first_labels: Int64[Tensor, " n"],
    second_labels: Int64[Tensor, " n"],
    first_shares: Float[Tensor, " n"],
) -> Float64[Tensor, "5 b"]:
    """Count what is recognised, by the larger share.

    Args:
        logits: For the mixed images.
        first_labels: Classes of the first images.
        second_labels: Classes of the second images.
        first_shares: How much of each mixture is the first image.

    Returns:
        Rows: mixtures; those whose top-1 is the label of the larger share; whose top-1 is one of
        both labels; mixtures of two classes; those of them whose two likeliest classes are the two
        labels, in any order.

    Raises:
        NotFiniteError: logits hold NaN or infinity.

    Source:
        Top-1 and top-2 accuracy on mixed samples, as papers on mixup plot them. Differs from
        OpenMixup's `acc_mix`, which averages the shares of a batch first, and adds accuracies of
        first and second rank weighted by them.
    """
    logits, shares = finite(logits.detach().cpu().double()), first_shares.detach().cpu().double()
    first, second = first_labels.cpu(), second_labels.cpu()
    larger = torch.where(shares >= 0.5, first, second)
    ranked = logits.topk(2, dim=1).indices
    top1 = ranked[:, 0]
    are_two = first != second
    found = ((ranked == first[:, None]).any(dim=1)) & ((ranked == second[:, None]).any(dim=1))
    share = torch.maximum(shares, 1 - shares)
    bins = ((share - 0.5) * 2 * NUM_SHARE_BINS).long().clamp(0, NUM_SHARE_BINS - 1)
    rows = (
        torch.ones_like(are_two),
        top1 == larger,
        (top1 == first) | (top1 == second),
        are_two,
        found & are_two,
    )
    sums = [sums_in_cells(bins, row.double(), NUM_SHARE_BINS) for row in rows]
    return torch.stack(sums)


@dataclass(frozen=True)
class MixedAccuracy:
    """Shares of mixtures in [0, 1]; NaN where there was none."""

    num_images: int
    top1_larger: float
    top1_either: float
    num_of_two_classes: int
    top2_set: float


def mixed_accuracies(totals: Float64[Tensor, "5 b"]) -> tuple[MixedAccuracy, list[MixedAccuracy]]:
    """Turn counts into shares: over all mixtures, and by bin of the larger share."""
    return _shares(totals.sum(dim=1)), [_shares(column) for column in totals.unbind(dim=1)]


def _shares(counts: Float64[Tensor, " 5"]) -> MixedAccuracy:
    num_images, larger, either, of_two, found = counts.tolist()
    num, two = (each or float("nan") for each in (num_images, of_two))
    return MixedAccuracy(int(num_images), larger / num, either / num, int(of_two), found / two)
