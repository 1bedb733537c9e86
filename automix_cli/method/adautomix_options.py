"""The switches of AdAutoMix: what each one means, and what the reference does.

"The reference" is OpenMixup v0.2.10. Its configurations differ from its defaults in places; the
values of both are named here.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from automix_cli.method.options import (
    ClassifierLoss,
    MomentumBuffers,
    MomentumMode,
    ProjectionNorm,
    Upsampling,
    require,
    require_choices,
)

LamMarginTest: TypeAlias = Literal["corrected", "reference"]


@dataclass(frozen=True, kw_only=True)
class AdaptiveMaskOptions:
    """How AdAutoMix turns the features of several images into masks."""

    lam_embedding: Literal["concat", "none"] = "concat"
    """`concat`: each image's share is a last feature channel (the reference on ImageNet and
    fine-grained data). `none`: masks do not depend on the shares (on CIFAR, Tiny-ImageNet)."""

    reduction: int = 2
    """Queries and keys have channels // reduction channels; >= 1."""

    projection_norm: ProjectionNorm = "none"
    """Normalisation of queries and of keys, each with its own; `layer` is over channels, at each
    position. The reference has `batch` for ImageNet ResNet-50."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        require_choices(self)
        require("reduction", self.reduction, "at least 1", holds=self.reduction >= 1)


@dataclass(frozen=True, kw_only=True)
class AdAutoMixOptions:
    """How many images are mixed, when the mix block is an adversary, and how losses add up."""

    alpha: float = 1.0
    """Concentration of Beta(alpha, alpha), from which shares are drawn; > 0."""

    num_images: int = 3
    """How many images make a mixture, or at most make one; >= 2. The reference has 2 for
    ImageNet."""

    vary_num_images: bool = False
    """Whether each step draws this number, between 2 and `num_images`."""

    upsampling: Upsampling = "bilinear"
    """How masks grow from feature size to image size."""

    lam_margin: float = 0.03
    """The classifier gets plain mixup where the share of the first image is at most this, or at
    least 1 minus this. In [0, 0.5); 0 means never. See `lam_margin_test`."""

    lam_margin_test: LamMarginTest = "corrected"
    """`reference` repeats a slip of OpenMixup, for three images and more: plain mixup where the
    share is at most the margin, or *below* 1 minus it. So the classifier hardly ever sees a learned
    mask. The authors' own repository has the test the right way round."""

    adversarial_interval: int = 2
    """Every how many steps, beginning with the first, the mix block is an adversary; >= 1."""

    adversarial_share: float = 0.3
    """Weight of the cross-entropy, which the adversary makes larger; the rest is that of the
    similarity to clean images, which it makes smaller. In [0, 1]. The reference has 0.3 for CIFAR,
    0.4 for Tiny-ImageNet, 0.1 for ImageNet and 0.1 to 0.6 for fine-grained data."""

    skip_mix_block_probability: float = 0.0
    """Probability of a step without the mix block's objective; [0, 1). The reference has 0.2 for
    DeiT-S."""

    mixup_share: float = 0.5
    """With three images and more, the weight of plain mixup in the classifier's loss on images
    without masks; the rest is that of clean images. In [0, 1]."""

    avoid_self_pairs: bool = False
    """Whether all images of a mixture are different ones, if the batch is large enough."""

    share_lam_across_ranks: bool = False
    """Whether all processes draw the same shares (the reference, by its seeding) or their own."""

    momentum_mode: MomentumMode = "train"
    """As for AutoMix."""

    momentum_buffers: MomentumBuffers = "own"
    """As for AutoMix."""

    one_hot_weight: float = 1.0
    """Weight of the classifier's loss on images without masks; >= 0. With 0 it does not see
    them, as for AutoMix."""

    mixed_weight: float = 1.0
    """Weight of the classifier's loss on images mixed with masks; >= 0."""

    mix_block_weight: float = 1.0
    """Weight of the mix block's objective; >= 0."""

    loss: ClassifierLoss = "cross_entropy"
    """What the classifier is asked of mixed and unmixed images; the mix block always learns from
    cross-entropy. `bce` asks of each class for itself."""

    decoupled_weight: float = 0.0
    """Weight of the decoupled loss in the classifier's loss on mixed images; >= 0."""

    label_smoothing: float = 0.0
    """Share of every label spread evenly over the classes, in all cross-entropies; [0, 1)."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        require_choices(self)
        require("alpha", self.alpha, "greater than 0", holds=self.alpha > 0)
        require("num_images", self.num_images, "at least 2", holds=self.num_images >= 2)
        interval = self.adversarial_interval
        require("adversarial_interval", interval, "at least 1", holds=interval >= 1)
        require("lam_margin", self.lam_margin, "in [0, 0.5)", holds=0 <= self.lam_margin < 0.5)
        for name in ("adversarial_share", "mixup_share"):
            require(name, getattr(self, name), "in [0, 1]", holds=0 <= getattr(self, name) <= 1)
        for name in ("skip_mix_block_probability", "label_smoothing"):
            require(name, getattr(self, name), "in [0, 1)", holds=0 <= getattr(self, name) < 1)
        for name in ("one_hot_weight", "mixed_weight", "mix_block_weight", "decoupled_weight"):
            require(name, getattr(self, name), "at least 0", holds=getattr(self, name) >= 0)
