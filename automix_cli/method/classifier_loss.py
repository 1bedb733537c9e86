"""What a learned mixer's classifier is asked: cross-entropy, or the losses that rivals have too.

They concern the classifier alone: the mix block goes on to learn from the mixup cross-entropy of
the paper, by which its masks are judged.

Legend: n images and as many mixtures, s images in each, k classes.
"""

from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from automix_cli.method.combination import Combination, combined_cross_entropy
from automix_cli.method.losses import one_hot_cross_entropy
from automix_cli.method.mixers.objectives import (
    decoupled_cross_entropy,
    mixture_binary_cross_entropy,
)


@runtime_checkable
class Asked(Protocol):
    """The options that say what is asked; see `AutoMixOptions`."""

    @property
    def loss(self) -> str:
        """`cross_entropy` or `bce`."""
        ...

    @property
    def decoupled_weight(self) -> float:
        """Weight of the decoupled loss, >= 0."""
        ...

    @property
    def label_smoothing(self) -> float:
        """Share of each label spread over all classes, in [0, 1)."""
        ...


def clean_loss(
    logits: Float[Tensor, "n k"], labels: Int64[Tensor, " n"], asked: Asked
) -> Float[Tensor, ""]:
    """Loss of the classifier on unmixed images; scalar in float32.

    Source:
        OpenMixup `ClsMixupHead.loss`. Differs: `bce`, see `mixture_binary_cross_entropy`; a
        decoupled loss of one class is its cross-entropy, and is not added again.
    """
    if asked.loss == "cross_entropy":
        return one_hot_cross_entropy(logits, labels, asked.label_smoothing)
    weights = F.one_hot(labels, logits.shape[1]).float()
    return mixture_binary_cross_entropy(logits, weights, asked.label_smoothing)


def mixture_loss(
    logits: Float[Tensor, "n k"],
    labels: Int64[Tensor, " n"],
    combination: Combination,
    asked: Asked,
) -> Float[Tensor, ""]:
    """Loss of the classifier on mixtures, the weighted decoupled loss included; in float32.

    Source:
        See `combined_cross_entropy`, `mixture_binary_cross_entropy`, `decoupled_cross_entropy`.
    """
    weights = class_weights(labels, combination, logits.shape[1])
    if asked.loss == "cross_entropy":
        loss = combined_cross_entropy(logits, labels, combination, asked.label_smoothing)
    else:
        loss = mixture_binary_cross_entropy(logits, weights, asked.label_smoothing)
    if asked.decoupled_weight == 0:
        return loss
    return loss + asked.decoupled_weight * decoupled_cross_entropy(logits, weights)


def class_weights(
    labels: Int64[Tensor, " n"], combination: Combination, num_classes: int
) -> Float[Tensor, "n k"]:
    """How much each class counts in each mixture; images of one class add up; rows sum to 1."""
    weights = torch.zeros(len(labels), num_classes, device=labels.device)
    return weights.scatter_add_(1, labels[combination.sources], combination.lam.float())
