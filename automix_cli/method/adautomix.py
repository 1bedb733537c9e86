"""AdAutoMix: AutoMix with more than two images, and a mix block that is at times an adversary.

Read `automix.py` first. Classifier, momentum classifier and mix block live together as there: the
mix block reads what the momentum classifier sees and is judged by it, the classifier learns from
the mix block's mixtures, the momentum classifier follows.

What is new: every other step the mix block makes mixtures that are *hard* to recognise, so that the
classifier does not run out of things to learn. In between it learns as in AutoMix, so that they do
not become unrecognisable. There is no loss on the area of masks.

Why it is like this: a hard mixture is one with a large cross-entropy, whose prediction resembles
the predictions for its clean images little. The latter are needed without a graph, and batch norm
gives an image the same prediction wherever in the batch it is: so the clean pass that the mix
block's features come from has them already, for every combination.

Legend: n images and as many mixtures, s images in each, c channels of an image, f of a feature map,
k classes, h w feature map, H W image. `lam` is the share of each image in its mixture, in [0, 1];
so are masks, for each pixel.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from automix_cli.method.adaptive_mask import AdaptiveMask
from automix_cli.method.adautomix_options import AdAutoMixOptions
from automix_cli.method.classifier import Classifier
from automix_cli.method.classifier_loss import clean_loss, mixture_loss
from automix_cli.method.combination import (
    AdAutoMixDraws,
    Combination,
    combine_images,
    combined_cross_entropy,
    fall_back_to_shares,
)
from automix_cli.method.momentum import MomentumPair


class AdAutoMixMasks(NamedTuple):
    """The masks of a step, one for each image; only the mix block's carry a graph."""

    for_classifier: Float[Tensor, "n s H W"]
    for_mix_block: Float[Tensor, "n s H W"]


class AdAutoMixLosses(NamedTuple):
    """Every loss of a step by name, as scalars on the device; only `total` is weighted."""

    total: Float[Tensor, ""]
    """The one to minimise."""

    one_hot: Float[Tensor, ""]
    """Cross-entropy of the classifier on clean images."""

    mixup: Float[Tensor, ""]
    """Cross-entropy of the classifier on plain mixup of three images or more; 0 for two."""

    mixed: Float[Tensor, ""]
    """Cross-entropy of the classifier on images mixed with masks."""

    mix_block: Float[Tensor, ""]
    """Cross-entropy of the momentum classifier on the mix block's mixtures, whichever sign it has
    in this step's `total`; 0 if skipped."""

    similarity: Float[Tensor, ""]
    """Mean cosine of its predictions for them and for their clean images, in [-1, 1]; part of
    `total` in adversarial steps; 0 if skipped."""


class AdAutoMix(MomentumPair):
    """The method as one module: hand it a batch and its draws, get back losses to minimise.

    The constructor makes the momentum classifier a frozen copy of the classifier, buffers included.

    Args:
        classifier: The network to train.
        momentum_classifier: A second one of the same architecture; its values are overwritten.
        mix_block: For as many channels as the classifier's feature map has.
        options: See `AdAutoMixOptions`.

    Source:
        Qin et al., Adversarial AutoMixup (ICLR 2024, arXiv 2312.11954); OpenMixup `AdAutoMix`,
        whose every step is in the docstring of the method that does it. Differs: the option
        `head_one_mix`, off by default, is not offered.
    """

    def __init__(
        self,
        classifier: Classifier,
        momentum_classifier: Classifier,
        mix_block: AdaptiveMask,
        options: AdAutoMixOptions,
    ) -> None:
        modes = options.momentum_mode, options.momentum_buffers
        has_one_head = options.one_hot_weight == 0
        super().__init__(classifier, momentum_classifier, *modes, has_one_head=has_one_head)
        self.mix_block = mix_block
        self.options = options

    def forward(
        self,
        images: Float[Tensor, "n c H W"],
        labels: Int64[Tensor, " n"],
        draws: AdAutoMixDraws,
    ) -> AdAutoMixLosses:
        """All losses of one step.

        Args:
            images: A batch of clean images, normalised.
            labels: Their classes.
            draws: Everything random about the step, on the device of the images.

        Returns:
            With two images in each mixture, `total` is the weighted sum of `one_hot`, `mixed` and
            the mix block's objective. With more, `mixup` has a share in the place of `one_hot`. The
            gradient of the objective reaches the mix block only, the others' the classifier only.

        Source:
            The paper's alternation of the two players; OpenMixup `AdAutoMix.forward_train`.
            Differs: a loss that is not finite stays in the sum, where the caller can see it; in a
            skipped step the mix block has a gradient of zeros instead of none.
        """
        features, clean_logits = self._look_at_clean_images(images)
        masks = self._masks(features, (images.shape[2], images.shape[3]), draws)
        one_hot, mixup = self._losses_without_masks(images, labels, draws.for_classifier)
        mixed = self._mixed_loss(images, labels, masks.for_classifier, draws.for_classifier)
        if draws.skip_mix_block:  # times 0, so that the mix block always has a gradient
            objective = mix_block = similarity = 0 * masks.for_mix_block.mean()
        else:
            mix_block, similarity = self._mix_block_losses(
                images, labels, masks.for_mix_block, clean_logits, draws.for_mix_block
            )
            objective = self._objective(mix_block, similarity, draws)
        mixup_share = self.options.mixup_share if draws.for_classifier.is_beyond_pairs else 0.0
        total = (
            self.options.one_hot_weight * ((1 - mixup_share) * one_hot + mixup_share * mixup)
            + self.options.mixed_weight * mixed
            + self.options.mix_block_weight * objective
        )
        return AdAutoMixLosses(total, one_hot, mixup, mixed, mix_block, similarity)

    def masks(self, images: Float[Tensor, "n c H W"], draws: AdAutoMixDraws) -> AdAutoMixMasks:
        """Look at the clean images once, and make masks for each of the two combinations.

        Source:
            OpenMixup `AdAutoMix.mixup` and `co_mixup`. Differs: the classifier's masks are made
            without a graph, instead of being cut off from one.
        """
        features, _ = self._look_at_clean_images(images)
        return self._masks(features, (images.shape[2], images.shape[3]), draws)

    @torch.no_grad()
    def _look_at_clean_images(
        self, images: Float[Tensor, "n c H W"]
    ) -> tuple[Float[Tensor, "n f h w"], Float[Tensor, "n k"]]:
        """What the momentum classifier sees at the feature stage, and what it predicts.

        Source:
            OpenMixup `AdAutoMix.forward_train` and `forward_k`. Differs: one pass instead of 1 + s.
            The reference passes the images of every place in the mixtures again: the same batch in
            another order, which gives the same predictions, unless the network drops out, and moves
            the buffers of batch norm s times more towards clean images.
        """
        features, embedding = self.momentum_classifier.features_and_embed(images)
        head = self.head_for_mixtures(self.momentum_classifier)
        return features, head(embedding).float()

    def _masks(
        self,
        features: Float[Tensor, "n f h w"],
        image_size: tuple[int, int],
        draws: AdAutoMixDraws,
    ) -> AdAutoMixMasks:
        """Masks for both combinations, the mix block's first."""
        block, options = self.mix_block, self.options
        projection = block.project(features)
        for_mix_block = block.masks(projection, draws.for_mix_block, image_size, options.upsampling)
        with torch.no_grad():
            masks = block.masks(projection, draws.for_classifier, image_size, options.upsampling)
            lam, test = draws.for_classifier.lam, options.lam_margin_test
            for_classifier = fall_back_to_shares(masks, lam, options.lam_margin, test=test)
        return AdAutoMixMasks(for_classifier, for_mix_block)

    def _losses_without_masks(
        self,
        images: Float[Tensor, "n c H W"],
        labels: Int64[Tensor, " n"],
        combination: Combination,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Cross-entropy of the classifier on clean images and, beyond pairs, on plain mixup.

        Source:
            OpenMixup `AdAutoMix.forward_q`. Differs: neither if `one_hot_weight` is 0.
        """
        network = self.classifier
        zero = images.new_zeros((), dtype=torch.float32)
        if self.has_one_head:
            return zero, zero
        logits = network.head_one_hot(network.embed(images))
        one_hot = clean_loss(logits, labels, self.options)
        if not combination.is_beyond_pairs:
            return one_hot, zero
        constant = combination.lam.view(*combination.lam.shape, 1, 1)
        mixup = self._mixed_loss(images, labels, constant, combination)
        return one_hot, mixup

    def _mixed_loss(
        self,
        images: Float[Tensor, "n c H W"],
        labels: Int64[Tensor, " n"],
        masks: Float[Tensor, "n s #H #W"],
        combination: Combination,
    ) -> Float[Tensor, ""]:
        """Cross-entropy of the classifier on mixtures."""
        network = self.classifier
        mixtures = combine_images(images, masks, combination.sources)
        logits = self.head_for_mixtures(network)(network.embed(mixtures))
        return mixture_loss(logits, labels, combination, self.options)

    def _objective(
        self, mix_block: Float[Tensor, ""], similarity: Float[Tensor, ""], draws: AdAutoMixDraws
    ) -> Float[Tensor, ""]:
        """What the mix block minimises: its cross-entropy, or as an adversary minus that.

        share = adversarial_share:  (1 - share) similarity - share mix_block

        Source:
            OpenMixup `AdAutoMix.forward_train`, "adversial training". No difference.
        """
        if not draws.is_adversarial:
            return mix_block
        share = self.options.adversarial_share
        return (1 - share) * similarity - share * mix_block

    def _mix_block_losses(
        self,
        images: Float[Tensor, "n c H W"],
        labels: Int64[Tensor, " n"],
        masks: Float[Tensor, "n s H W"],
        clean_logits: Float[Tensor, "n k"],
        combination: Combination,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """How well the momentum classifier recognises the mixtures, and how like clean images.

        Source:
            OpenMixup `AdAutoMix.forward_k`. No difference.
        """
        network = self.momentum_classifier
        mixtures = combine_images(images, masks, combination.sources)
        logits = self.head_for_mixtures(network)(network.embed(mixtures)).float()
        clean = clean_logits[combination.sources]  # (n, s, k)
        similarity = F.cosine_similarity(logits[:, None], clean, dim=2)  # (n, s)
        return (
            combined_cross_entropy(logits, labels, combination, self.options.label_smoothing),
            (combination.lam * similarity).sum(dim=1).mean(),
        )
