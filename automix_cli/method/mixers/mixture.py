"""What a mixer gives back, and the loss that it is trained with.

Legend: n images, c channels, k classes, H W image. `mask` is the share of the first image at each
pixel, in [0, 1]. `perm[i]` is the second image of mixture i, whose first is image i.
"""

from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from automix_cli.method.masks import mask_area, mix_images


class Mixture(NamedTuple):
    """Mixed images, and how much each of the two labels of an image counts."""

    images: Float[Tensor, "n c H W"]
    """Mixture i, of images i and `perm[i]`. Of the mixers of features: the mixed feature maps."""

    perm: Int64[Tensor, " n"]
    """Who the second image is."""

    first_weight: Float[Tensor, " n"]
    """Weight of the label of image i, >= 0, float32."""

    second_weight: Float[Tensor, " n"]
    """Weight of the label of image `perm[i]`. With the first one it adds up to 1, except in
    SnapMix."""

    mask: Float[Tensor, "n 1 H W"] | None
    """Share of the first image at each pixel, if mixture i is `mask * images[i] + (1 - mask) *
    images[perm[i]]`; None of a method that moves pixels, or mixes features."""


class JointMixture(NamedTuple):
    """Images each mixed from any number of others."""

    images: Float[Tensor, "n c H W"]
    """The mixtures."""

    shares: Float[Tensor, "n n"]
    """How much the label of each image counts in each mixture (a row); rows add up to 1."""


class Mixer(Protocol):
    """A way to mix a batch that needs nothing but images and random numbers."""

    def __call__(self, images: Float[Tensor, "n c H W"], rng: np.random.Generator, /) -> Mixture:
        """Mix each image with a partner from the batch; the images themselves stay as they are."""
        ...


def mix_by_mask(
    images: Float[Tensor, "n c H W"], mask: Float[Tensor, "m 1 h w"], perm: Int64[Tensor, " n"]
) -> Mixture:
    """Blend each image with its partner; the labels count as much as the mask has area.

    Args:
        images: A batch.
        mask: One for each image, or a single one for all (m = 1). If it is constant, one pixel
            (h = w = 1) is enough.
        perm: The partner of each image.
    """
    n, _, height, width = images.shape
    area = mask_area(mask.float()).expand(n)
    mask = mask.to(images.dtype).expand(n, 1, height, width)
    return Mixture(mix_images(images, mask, perm), perm, area, 1 - area, mask)


def constant_weight(images: Float[Tensor, "n c H W"], weight: float) -> Float[Tensor, " n"]:
    """Give the label of every image the same weight, known to the host, on its device."""
    return torch.full((len(images),), weight, dtype=torch.float32, device=images.device)


def mixture_cross_entropy(
    logits: Float[Tensor, "n k"],
    labels: Int64[Tensor, " n"],
    mixture: Mixture,
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Cross-entropy of mixed images: each label counts with the weight that the mixer gave it.

    1/n sum_i [ first_weight_i CE(logits_i, y_i) + second_weight_i CE(logits_i, y_perm(i)) ]

    Args:
        logits: Predictions for the mixed images.
        labels: Classes of the unmixed batch.
        mixture: What the mixer gave.
        label_smoothing: Share of each label spread evenly over all classes, in [0, 1).

    Returns:
        Scalar >= 0 in nats, in float32 whatever the logits are.

    Source:
        The mixup cross-entropy; OpenMixup `ClsMixupHead.loss`. Differs: the weights of each mixture
        meet its own cross-entropy. The reference multiplies weights of each mixture with the mean
        cross-entropy of the batch, so that only the batch mean of the weights survives (its
        TransMix and SnapMix train like that).
    """
    first, second = (
        F.cross_entropy(logits.float(), each, reduction="none", label_smoothing=label_smoothing)
        for each in (labels, labels[mixture.perm])
    )
    return (mixture.first_weight * first + mixture.second_weight * second).mean()


def joint_cross_entropy(
    logits: Float[Tensor, "n k"],
    labels: Int64[Tensor, " n"],
    shares: Float[Tensor, "n n"],
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Cross-entropy of joint mixtures: each label counts with the share of its image.

    1/n sum_i sum_j shares_ij CE(logits_i, y_j)

    Args:
        logits: Predictions for the mixtures.
        labels: Classes of the unmixed batch.
        shares: Of `JointMixture`.
        label_smoothing: Share of each label spread evenly over all classes, in [0, 1).

    Returns:
        Scalar >= 0 in nats, in float32 whatever the logits are.

    Source:
        Co-Mixup, soft labels. Differs: cross-entropy of the softmax, where the official code has a
        binary cross-entropy of it.
    """
    one_hot = F.one_hot(labels, logits.shape[1]).float()
    return F.cross_entropy(logits.float(), shares @ one_hot, label_smoothing=label_smoothing)
