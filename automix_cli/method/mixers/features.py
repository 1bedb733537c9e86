"""Mixers of feature maps: ManifoldMix and AlignMix.

A network has to be run in two parts for them: up to the layer that is mixed, and from there on.

Legend: n images, f channels of a feature map, h w its size, p = h w places of a map, q of another.
`lam` is the share of the first image, in [0, 1].
"""

import math

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from automix_cli.method.mixers.mixture import Mixture, constant_weight
from automix_cli.method.mixers.sampling import sample_lam, sample_partners


def sample_layer(rng: np.random.Generator, num_layers: int = 3) -> int:
    """Draw the layer after which ManifoldMix mixes; 0 is the image itself.

    Args:
        rng: Draws one layer for the batch.
        num_layers: How many there are to choose from, the image among them.

    Raises:
        ValueError: if there is no layer to choose.

    Source:
        Verma et al., Manifold Mixup (2019); OpenMixup `MixUpClassification`, `layer=(0, 3)`. No
        difference.
    """
    if num_layers < 1:
        raise ValueError(f"`num_layers` must be at least 1, got `{num_layers}`")
    return int(rng.integers(num_layers))


def mix_features(
    features: Float[Tensor, "n f h w"], rng: np.random.Generator, *, alpha: float = 2.0
) -> Mixture:
    """Blend feature maps as mixup blends images: ManifoldMix, after the layer was drawn.

    Args:
        features: Of the clean images, with their graph: the gradient flows through both.
        rng: Draws one ratio for the batch, and the partners.
        alpha: Of Beta(alpha, alpha); 2 on CIFAR, 0.2 on ImageNet, 0.5 on CUB-200.

    Returns:
        A mixture whose `images` are the mixed features, to go on with; without a mask.

    Source:
        Verma et al., Manifold Mixup (2019); OpenMixup `manifoldmix`. No difference.
    """
    lam, perm = sample_lam(rng, alpha), sample_partners(rng, features)
    return _blend(features, features[perm], lam, perm)


def alignmix(
    features: Float[Tensor, "n f h w"],
    rng: np.random.Generator,
    *,
    alpha: float = 2.0,
    entropy: float = 0.1,
    iterations: int = 100,
) -> Mixture:
    """Lay one feature map out like the other before the two are blended.

    Each place of one map is matched with the places of the other whose features are alike. One of
    two directions is drawn for the batch: the second map takes the first one's layout, or the
    first the second one's.

    Args:
        features: Last feature maps of the clean images, with their graph.
        rng: Draws one ratio and one direction for the batch, and the partners.
        alpha: Of Beta(alpha, alpha).
        entropy: Of the transport plan, in the units of a squared distance of features; > 0.
        iterations: Of Sinkhorn's algorithm; >= 1.

    Returns:
        A mixture whose `images` are the mixed features, to go on with; without a mask. The gradient
        flows through both maps, not through the matching.

    Raises:
        ValueError: if `entropy` or `iterations` is out of range.

    Source:
        Venkataramanan et al., AlignMixup (2022); OpenMixup `alignmix`. Differs: always all
        iterations, where the reference stops once the potentials move little on average over the
        batch, which waits for the device at each; a batch of one works.
    """
    lam, perm = sample_lam(rng, alpha), sample_partners(rng, features)
    first, second = (each.flatten(start_dim=2) for each in (features, features[perm]))
    plan = transport_plan(_squared_distances(first, second), entropy, iterations)
    matching = plan.to(features.dtype) * plan.shape[1]  # each place is worth 1 instead of 1 / p
    if rng.random() < 0.5:
        second = second @ matching.mT
    else:
        first = first @ matching
    return _blend(first.view_as(features), second.view_as(features), lam, perm)


@torch.no_grad()
def transport_plan(
    cost: Float[Tensor, "n p q"], entropy: float = 0.1, iterations: int = 100
) -> Float[Tensor, "n p q"]:
    """Find what to bring where, cheaply but not too decidedly: Sinkhorn's algorithm, for a batch.

    Minimises sum(plan * cost) - entropy * H(plan) over plans that take 1 / p from each row and
    bring 1 / q to each column. Works on logarithms, so a small entropy is no danger.

    Args:
        cost: Of bringing a unit from row to column.
        entropy: > 0; in the units of the cost.
        iterations: How often rows and columns are balanced; >= 1.

    Returns:
        Plan >= 0 in float32. Columns sum to 1 / q exactly, rows to 1 / p the more closely the more
        iterations.

    Raises:
        ValueError: if `entropy` or `iterations` is out of range.

    Source:
        Cuturi, Sinkhorn distances (2013); OpenMixup `SinkhornDistance`. Differs: see `alignmix`.
    """
    if not entropy > 0:
        raise ValueError(f"`entropy` must be greater than 0, got `{entropy}`")
    if iterations < 1:
        raise ValueError(f"`iterations` must be at least 1, got `{iterations}`")
    _, p, q = cost.shape
    score = -cost.float() / entropy
    columns = torch.zeros_like(score[:, :1, :])
    rows = torch.zeros_like(score[:, :, :1])
    for _ in range(iterations):
        rows = -math.log(p) - (score + columns).logsumexp(dim=2, keepdim=True)
        columns = -math.log(q) - (score + rows).logsumexp(dim=1, keepdim=True)
    return (score + rows + columns).exp()


@torch.no_grad()
def _squared_distances(
    first: Float[Tensor, "n f p"], second: Float[Tensor, "n f p"]
) -> Float[Tensor, "n p p"]:
    """Squared distance of the features of each place to those of each place of the other map."""
    first, second = first.float().mT, second.float().mT
    lengths = first.square().sum(dim=2).unsqueeze(2) + second.square().sum(dim=2).unsqueeze(1)
    return (lengths - 2 * first @ second.mT).clamp(min=0)


def _blend(
    first: Float[Tensor, "n f h w"],
    second: Float[Tensor, "n f h w"],
    lam: float,
    perm: Int64[Tensor, " n"],
) -> Mixture:
    """The mixture that has the share `lam` of each first map, and of each first label."""
    weight = constant_weight(first, lam)
    return Mixture(lam * first + (1 - lam) * second, perm, weight, 1 - weight, mask=None)
