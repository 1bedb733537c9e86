"""AutoMix: two classifiers and a mix block that learn from each other in one step.

The mix block learns to mix so that the momentum classifier recognises both images in the right
proportion. The classifier learns from such mixtures, and from clean images. The momentum
classifier learns nothing: it is the moving average of the classifier.

Why it is like this:

* One module, one forward, one backward. The two objectives are added up and still do not meet: the
  classifier's mask is made without a graph, so its losses stop there; the momentum classifier's
  parameters are frozen, so the mix block's losses flow through it and change only the mix block.
* The mix block reads the features of the momentum classifier, and is judged by it. A judge that
  changes slowly keeps the two objectives from chasing each other.
* Each of the three networks' passes gives its gradient before the next begins (`early_gradient`),
  so a step needs the memory of one pass, not of three.
* Randomness is an argument (`Draws`), and nothing waits for the device: no decision is taken on
  the value of a tensor.

Legend: n images, c channels of an image, f of a feature map, h w feature map, H W image. `lam` is
the share of the first image, in [0, 1]; so is a mask, for each pixel.
"""

from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from automix_cli.method.classifier import Classifier
from automix_cli.method.classifier_loss import clean_loss, mixture_loss
from automix_cli.method.combination import Combination
from automix_cli.method.early_gradient import with_gradient
from automix_cli.method.losses import mask_area_loss, mixed_cross_entropy
from automix_cli.method.masks import area_ratio, fall_back_to_mixup, mix_images, rescale_to_lam
from automix_cli.method.mix_block import MaskMaker
from automix_cli.method.momentum import MomentumPair, moves_buffers
from automix_cli.method.options import AutoMixOptions
from automix_cli.method.pairing import Draws, Pairing


class Masks(NamedTuple):
    """The two masks of a step; only the mix block's carries a graph."""

    for_classifier: Float[Tensor, "n 1 H W"]
    for_mix_block: Float[Tensor, "n 1 H W"]


class Losses(NamedTuple):
    """Every loss of a step by name, as scalars on the device; only `total` is weighted."""

    total: Float[Tensor, ""]
    """Weighted sum of the next four: the one to minimise."""

    one_hot: Float[Tensor, ""]
    """Cross-entropy of the classifier on clean images."""

    mixed: Float[Tensor, ""]
    """Cross-entropy of the classifier on mixed images."""

    mix_block: Float[Tensor, ""]
    """Cross-entropy of the momentum classifier on the mix block's mixtures; 0 if skipped."""

    mask_area: Float[Tensor, ""]
    """Deviation of the mix block's masks from `lam`."""

    area_ratio: Float[Tensor, ""]
    """No loss: mean area of the mix block's masks over mean `lam`."""


class AutoMix(MomentumPair):
    """The method as one module: hand it a batch and its draws, get back losses to minimise.

    The constructor makes the momentum classifier a frozen copy of the classifier, buffers included.
    To start them differently, load a state afterwards; the three parts are named `classifier`,
    `momentum_classifier` and `mix_block` in it.

    Args:
        classifier: The network to train.
        momentum_classifier: A second one of the same architecture; its values are overwritten.
        mix_block: A `MixBlock`, or a `SAMixBlock` for SAMix, for as many channels as the
            classifier's feature map has.
        options: See `AutoMixOptions`.

    Source:
        OpenMixup `AutoMixup`, whose every step is in the docstring of the method that does it.
    """

    def __init__(
        self,
        classifier: Classifier,
        momentum_classifier: Classifier,
        mix_block: MaskMaker[Any],
        options: AutoMixOptions,
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
        draws: Draws,
        mask_area_weight: float,
    ) -> Losses:
        """All losses of one step.

        Args:
            images: A batch of clean images, normalised.
            labels: Their classes.
            draws: Everything random about the step, on the device of the images.
            mask_area_weight: Weight of the mask-area loss in `total`, >= 0.

        Returns:
            `total` is the weighted sum of the four losses. Its gradient reaches the classifier from
            `one_hot` and `mixed` only, and the mix block from `mix_block` and `mask_area` only.

        Source:
            The paper's total loss and momentum pipeline; OpenMixup `AutoMixup.forward_train`.
            Differs: a loss that is not finite stays in the sum, where the caller can see it.
        """
        masks = self.masks(images, draws)
        one_hot, mixed = self._classifier_losses(
            images, labels, masks.for_classifier, draws.for_classifier
        )
        if draws.skip_mix_block:
            mix_block = images.new_zeros(())
        else:
            mix_block = self._mix_block_loss(
                images, labels, masks.for_mix_block, draws.for_mix_block
            )
        area = self._mask_area_loss(masks.for_mix_block, draws.for_mix_block.lam)
        total = (
            self.options.one_hot_weight * one_hot
            + self.options.mixed_weight * mixed
            + self.options.mix_block_weight * mix_block
            + mask_area_weight * area  # with weight 0 too, so the mix block always has a gradient
        )
        ratio = area_ratio(masks.for_mix_block.detach(), draws.for_mix_block.lam)
        return Losses(total, one_hot, mixed, mix_block, mask_area=area, area_ratio=ratio)

    def masks(self, images: Float[Tensor, "n c H W"], draws: Draws) -> Masks:
        """Look at the clean images once, and make a mask for each of the two pairings.

        Source:
            OpenMixup `AutoMixup.pixel_mixup`. Differs: the classifier's mask is made without a
            graph, instead of being cut off from one.
        """
        image_size = (images.shape[2], images.shape[3])
        projection = self.mix_block.project(self._clean_features(images))
        for_mix_block = self.mix_block.mask(
            projection, draws.for_mix_block, image_size, draws.upsampling_for_mix_block
        )
        return Masks(self._mask_for_classifier(projection, draws, image_size), for_mix_block)

    @torch.no_grad()
    def _clean_features(self, images: Float[Tensor, "n c H W"]) -> Float[Tensor, "n f h w"]:
        """What the momentum classifier sees at the feature stage.

        In the reference the clean images run through to the end, though nothing reads the result:
        it moves the batch-norm buffers of the later stages. `full` does that, if it moves any.
        """
        network = self.momentum_classifier
        if self.options.momentum_clean_pass == "full" and moves_buffers(cast(nn.Module, network)):
            features, _unused = network.features_and_embed(images)
            return features
        return network.features(images)

    @torch.no_grad()
    def _mask_for_classifier(
        self, projection: Any, draws: Draws, image_size: tuple[int, int]
    ) -> Float[Tensor, "n 1 H W"]:
        """The mask that the classifier trains with, corrected as the options ask; no gradient."""
        pairing = draws.for_classifier
        mask = self.mix_block.mask(projection, pairing, image_size, draws.upsampling_for_classifier)
        if draws.adjust_mask:
            mask = rescale_to_lam(mask, pairing.lam)
        return fall_back_to_mixup(mask, pairing.lam, self.options.lam_margin)

    def _classifier_losses(
        self,
        images: Float[Tensor, "n c H W"],
        labels: Int64[Tensor, " n"],
        mask: Float[Tensor, "n 1 H W"],
        pairing: Pairing,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Cross-entropy on clean and on mixed images, each with its own head.

        Two passes, clean first: batch norm normalises each with its own statistics.

        Source:
            OpenMixup `AutoMixup.forward_q`. Differs: no clean pass, and no second head, if
            `one_hot_weight` is 0.
        """
        network = self.classifier
        parameters = list(cast(nn.Module, network).parameters())

        def one_hot() -> Float[Tensor, ""]:
            logits = network.head_one_hot(network.embed(images))
            return clean_loss(logits, labels, self.options)

        def mixed() -> Float[Tensor, ""]:
            embedding = network.embed(mix_images(images, mask, pairing.perm))
            logits = self.head_for_mixtures(network)(embedding)
            return mixture_loss(logits, labels, Combination.of_pairs(pairing), self.options)

        none = images.new_zeros((), dtype=torch.float32)
        clean = none if self.has_one_head else with_gradient(one_hot, parameters)
        return clean, with_gradient(mixed, parameters)

    def _mix_block_loss(
        self,
        images: Float[Tensor, "n c H W"],
        labels: Int64[Tensor, " n"],
        mask: Float[Tensor, "n 1 H W"],
        pairing: Pairing,
    ) -> Float[Tensor, ""]:
        """How well the momentum classifier recognises both images in the mix block's mixture.

        Source:
            OpenMixup `AutoMixup.forward_k`. No difference.
        """
        network = self.momentum_classifier

        def mixed() -> Float[Tensor, ""]:
            embedding = network.embed(mix_images(images, mask, pairing.perm))
            logits = self.head_for_mixtures(network)(embedding)
            return mixed_cross_entropy(logits, labels, pairing, self.options.label_smoothing)

        return with_gradient(mixed, [mask])

    def _mask_area_loss(
        self, mask: Float[Tensor, "n 1 H W"], lam: Float[Tensor, " n"]
    ) -> Float[Tensor, ""]:
        """How far the areas of the mix block's masks are from what the labels say."""
        return mask_area_loss(
            mask,
            lam,
            self.options.mask_area_margin,
            mode=self.options.mask_area_loss,
            reduction=self.options.mask_area_reduction,
        )
