"""Training with any other mixer, in the shape of AutoMix: hand over a batch, get losses back.

There is one classifier, trained on mixed images alone, and its momentum classifier: the moving
average that AutoMix has, so that a comparison is one of mixing and not of weight averaging.

Why it is like this:

* The same call and the same names as `AutoMix`, so that the training step does not know which of
  the two it trains. The random generator itself is what was drawn for the step: mixers draw on the
  host, and each draws something else.
* The momentum classifier never sees a training image here, where AutoMix's looks at all of them.
  So its batch-norm buffers cannot be its own: they are a moving average, like its parameters. That
  average fits the averaged parameters only when these hardly move: at a high learning rate
  (digits-tiny, mixup, epoch 6 of 20) it gave 58 % where recomputed buffers gave 93 %. So a caller
  should recompute them by `estimate_batch_norm` before an evaluation, as `automix train` does.
* Clean and mixed images are not told apart: there is one head, `head_one_hot`. The other one is
  frozen, and not reported.
* Mixers inside the network (`INSIDE`) mix maps instead of images, or correct labels afterwards;
  for them mixing and classifying are one, in the precision of the training.
* The other mixers compute in float32 whatever the precision of the networks. A look of the
  classifier at the clean images, where a mixer wants one, has the precision of the training and is
  free of its dropout and of its batch statistics, none of which it moves.

Legend: n images, c channels, k classes, H W image.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from automix_cli.method.inside import INSIDE, check
from automix_cli.method.mixers import (
    JointMixture,
    Mixture,
    PuzzleMixOptions,
    joint_cross_entropy,
    mixture_cross_entropy,
)
from automix_cli.method.mixers.objectives import (
    decoupled_cross_entropy,
    label_weights,
    mixture_binary_cross_entropy,
)
from automix_cli.method.momentum import move_towards, start_as_frozen_copy
from automix_cli.method.rivals import RIVALS, RivalOptions


class RivalLosses(NamedTuple):
    """The loss of a step, as a scalar on the device."""

    total: Float[Tensor, ""]
    """What to minimise."""

    mixed: Float[Tensor, ""]
    """Loss of the classifier on mixed images; here the total."""


class DecoupledLosses(NamedTuple):
    """The losses of a step with the decoupled one; only `total` is weighted."""

    total: Float[Tensor, ""]
    """What to minimise: `mixed` plus `decoupled_weight` times `decoupled`."""

    mixed: Float[Tensor, ""]
    """Loss of the classifier on mixed images."""

    decoupled: Float[Tensor, ""]
    """See `decoupled_cross_entropy`."""


class RivalTraining(nn.Module):
    """A classifier, its moving average, and a mixer between images and classifier.

    The constructor makes the momentum classifier a frozen copy of the classifier, buffers included,
    and freezes the classifier's `head_mixed`, which no loss reaches.

    Args:
        classifier: The network to train: from images to the logits of `head_one_hot`. For
            `snapmix` it must show its `last_map`; see `inside` for what it must do for others.
        momentum_classifier: A second one of the same architecture; its values are overwritten.
        options: See `RivalOptions`.
        attend: For `attentivemix`, from images `(n, c, H, W)` to the last feature map of a
            pretrained network. A function, no module: it is neither trained nor saved.

    Raises:
        ValueError: `attentivemix` has no `attend`.

    Source:
        OpenMixup `MixUpClassification`. Differs: as the mixers and losses say; and there is a
        momentum classifier, which the reference gives to AutoMix alone.
    """

    def __init__(
        self,
        classifier: nn.Module,
        momentum_classifier: nn.Module,
        options: RivalOptions,
        attend: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        wants = options.method in RIVALS and RIVALS[options.method].wants_attention
        if wants and attend is None:
            raise ValueError(f"`attend` must be given for `{options.method}`, got `None`")
        self._attend = attend
        self.classifier: Any = classifier  # no type says "both a module and a classifier"
        self.momentum_classifier = momentum_classifier
        self.options = options
        start_as_frozen_copy(momentum_classifier, classifier)
        self.classifier.head_mixed.requires_grad_(requires_grad=False)

    def forward(
        self,
        images: Float[Tensor, "n c H W"],
        labels: Int64[Tensor, " n"],
        rng: np.random.Generator,
    ) -> RivalLosses | DecoupledLosses:
        """The losses of one step.

        Args:
            images: A batch of clean images, normalised.
            labels: Their classes.
            rng: This process's generator for this step; the mixer draws from it.

        Returns:
            Scalars in float32. The gradient of `total` reaches all of the classifier but
            `head_mixed`.
        """
        mixture, logits = self._mix_and_classify(images, labels, rng)
        with _full_precision(images):
            mixed = self._loss(logits.float(), labels, mixture)
            if self.options.decoupled_weight == 0:
                return RivalLosses(mixed, mixed)
            weights = label_weights(labels, mixture, logits.shape[1])
            decoupled = decoupled_cross_entropy(logits, weights)
            total = mixed + self.options.decoupled_weight * decoupled
            return DecoupledLosses(total, mixed, decoupled)

    def _mix_and_classify(
        self,
        images: Float[Tensor, "n c H W"],
        labels: Int64[Tensor, " n"],
        rng: np.random.Generator,
    ) -> tuple[Mixture | JointMixture, Float[Tensor, "n k"]]:
        """A mixture, and what the classifier says of it."""
        if self.options.method not in INSIDE:
            mixture = self.mix(images, labels, rng)
            return mixture, self.classifier(mixture.images)
        run = INSIDE[self.options.method].run
        mixture, embedding = run(self.classifier, images, rng, **self._constants())
        return mixture, self.classifier.head_one_hot(embedding)

    @torch.no_grad()
    def try_out(self, images: Float[Tensor, "n c H W"]) -> None:
        """See whether classifier and images can serve the mixer; nothing is changed by that.

        Raises:
            ValueError: they cannot: why.
        """
        if self.options.method in INSIDE:
            check(self.options.method, self.classifier, images)
        else:
            labels = torch.zeros(len(images), dtype=torch.int64, device=images.device)
            self.mix(images, labels, np.random.default_rng(0))

    @torch.no_grad()
    def mix(
        self,
        images: Float[Tensor, "n c H W"],
        labels: Int64[Tensor, " n"],
        rng: np.random.Generator,
    ) -> Mixture | JointMixture:
        """Let the mixer look at the clean images if it wants to, and mix them.

        Raises:
            ValueError: the mixer works inside the network, it has no use for images of this size,
                or the classifier cannot show what it wants to see.
        """
        if self.options.method in INSIDE:
            raise ValueError(f"`{self.options.method}` mixes no images before they are classified")
        rival = RIVALS[self.options.method]
        looks: tuple[Tensor, ...] = ()
        if rival.look is not None:
            looks = (rival.look(self.classifier, images, labels),)
        elif rival.wants_attention and self._attend is not None:
            looks = (self._attend(images),)
        with _full_precision(images):
            return rival.mixer(images, rng, *looks, **self._constants())

    def _constants(self) -> dict[str, Any]:
        """What the mixer is to do otherwise than by default."""
        constants: dict[str, Any] = {}
        if self.options.alpha is not None:
            constants["alpha"] = self.options.alpha
        if self.options.method == "puzzlemix":
            constants["options"] = PuzzleMixOptions(pixel_std=self.options.pixel_std)
        return constants

    def update_momentum(self, coefficient: float) -> None:
        """Let the momentum classifier follow, buffers too, after the optimizer's step.

        Args:
            coefficient: Share of the momentum classifier that stays, in [0, 1]; 1 freezes it.

        Raises:
            ValueError: if the coefficient is outside [0, 1].
        """
        follower, leader = self.momentum_classifier, self.classifier
        move_towards(follower.parameters(), leader.parameters(), coefficient)
        move_towards(follower.buffers(), leader.buffers(), coefficient)

    def _loss(
        self,
        logits: Float[Tensor, "n k"],
        labels: Int64[Tensor, " n"],
        mixture: Mixture | JointMixture,
    ) -> Float[Tensor, ""]:
        """What the classifier has not understood of the mixtures."""
        smoothing = self.options.label_smoothing
        if self.options.loss == "bce":
            weights = label_weights(labels, mixture, logits.shape[1])
            return mixture_binary_cross_entropy(logits, weights, smoothing)
        if isinstance(mixture, JointMixture):
            return joint_cross_entropy(logits, labels, mixture.shares, smoothing)
        return mixture_cross_entropy(logits, labels, mixture, smoothing)


@contextmanager
def _full_precision(images: Tensor) -> Iterator[None]:
    """Compute in the precision of the tensors, whatever surrounds it."""
    with torch.autocast(images.device.type, enabled=False):
        yield
