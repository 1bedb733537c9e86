"""The switches of the method: what each one means, and what the reference does.

"The paper" is Liu et al., AutoMix, ECCV 2022; "the reference" is OpenMixup v0.2.10, the authors'
implementation. Where the two differ, both behaviours have a name here.
"""

from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias, get_args, get_origin

Upsampling: TypeAlias = Literal["nearest", "bilinear"]
MaskAreaLoss: TypeAlias = Literal["l1", "l1+variance", "l2+variance", "sparsity"]
MaskAreaReduction: TypeAlias = Literal["per_sample", "batch_mean"]
ProjectionNorm: TypeAlias = Literal["none", "batch", "layer"]
MomentumMode: TypeAlias = Literal["train", "eval"]
MomentumBuffers: TypeAlias = Literal["own", "average", "precise"]
ClassifierLoss: TypeAlias = Literal["cross_entropy", "bce"]


@dataclass(frozen=True, kw_only=True)
class MixBlockOptions:
    """How the mix block turns features into a mask."""

    lam_embedding: Literal["concat", "none"] = "concat"
    """`concat`: the mix block sees `lam` as a last feature channel (the paper; the reference on
    ImageNet). `none`: the mask does not depend on `lam` (the reference on CIFAR)."""

    reduction: int = 2
    """Queries and keys have channels // reduction channels; >= 1."""

    projection_norm: ProjectionNorm = "none"
    """Normalisation of queries and keys; `layer` is over channels, at each position."""

    cross_attention: bool = True
    """Whether positions of the first image collect values from those of the second that resemble
    them. Without, each collects from its own place: the mask is a function of the second image."""

    sigmoid_after_upsampling: bool = True
    """Upsample logits and then squash them (the reference), or the other way round (the paper).
    No difference for `nearest`."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        require_choices(self)
        require("reduction", self.reduction, "at least 1", holds=self.reduction >= 1)


@dataclass(frozen=True, kw_only=True)
class SAMixBlockOptions:
    """How the mix block of SAMix turns features into a mask."""

    lam_embedding: Literal["multiply", "none"] = "multiply"
    """`multiply`: features of the first image are scaled by 1 + `lam`, those of the second by
    2 - `lam` (SAMix). `none`: the mask does not depend on `lam`."""

    lam_rescale: float | None = None
    """How little ratios near one half are told apart: before scaling, `lam` goes through a cubic
    that keeps 0, 1/2 and 1 and has slope k / (k + 1/3) at 1/2, where k >= 0 is this number. The
    reference has 0.25 for CIFAR-100 and 1 for CUB and Aircraft; `None`, elsewhere, leaves `lam` as
    it is."""

    reduction: int = 2
    """Queries, keys and the hidden layer of the value have channels // reduction channels; >= 1."""

    value_dropout: float = 0.0
    """Share of the positions of the value map that are dropped in training; [0, 1). The reference
    has 0 for CIFAR and Tiny-ImageNet with convolutional networks, 0.1 elsewhere."""

    cross_attention: bool = True
    """As for AutoMix."""

    sigmoid_after_upsampling: bool = True
    """As for AutoMix."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        require_choices(self)
        if self.lam_rescale is not None:
            require("lam_rescale", self.lam_rescale, "at least 0", holds=self.lam_rescale >= 0)
        require("reduction", self.reduction, "at least 1", holds=self.reduction >= 1)
        rate = self.value_dropout
        require("value_dropout", rate, "in [0, 1)", holds=0 <= rate < 1)


@dataclass(frozen=True, kw_only=True)
class AutoMixOptions:
    """How images are paired, what masks are measured by, how the momentum classifier follows."""

    alpha: float = 2.0
    """Concentration of Beta(alpha, alpha), from which `lam` is drawn; > 0."""

    upsampling: Literal["nearest", "bilinear", "random"] = "nearest"
    """How masks grow from feature size to image size; `random` draws one of the others per mask."""

    mask_adjust_probability: float = 0.0
    """Probability of a step whose classifier's masks are rescaled to the area `lam`; [0, 1]."""

    skip_mix_block_probability: float = 0.0
    """Probability of a step without the mix block's classification loss; [0, 1)."""

    avoid_self_pairs: bool = False
    """Whether permutations in which an image meets itself are redrawn."""

    share_lam_across_ranks: bool = False
    """Whether all processes draw the same ratios (the reference, by its seeding) or their own."""

    lam_margin: float = 0.08
    """The classifier gets plain mixup where `lam` or 1 - `lam` is at most this (the reference;
    not in the paper). In [0, 0.5); 0 means never."""

    mask_area_loss: MaskAreaLoss = "l1"
    """What the area of the mask is held to; see `losses.mask_area_loss`."""

    mask_area_reduction: MaskAreaReduction = "per_sample"
    """Area of each mask (the paper), or the mean area over the batch (the reference)."""

    mask_area_margin: float = 0.1
    """Deviation of the area from `lam` that costs nothing, a share of the image; [0, 1]."""

    momentum_mode: MomentumMode = "train"
    """Whether the momentum classifier normalises with the statistics of the batch (`train`, the
    reference) or with its buffers. With `eval`, its forwards move no buffer: a network with batch
    norm then needs `momentum_buffers="average"`, or buffers that were trained before."""

    momentum_buffers: MomentumBuffers = "own"
    """Where its batch-norm buffers come from: `own` forwards (the reference), a moving `average`
    of the classifier's, or own and, before an evaluation, `precise` ones by
    `estimate_batch_norm`, which is the caller's to call."""

    momentum_clean_pass: Literal["full", "early"] = "full"
    """Whether the clean images run through the whole momentum classifier (the reference) or only
    up to the feature stage. The losses are the same; with `early`, its later batch-norm buffers
    follow mixed images alone. Where its forwards move no buffers, `full` is `early`."""

    one_hot_weight: float = 1.0
    """Weight of the classifier's loss on clean images; >= 0. With 0 it does not see them, and mixed
    images have `head_one_hot`: one head, as there is one kind of images."""

    mixed_weight: float = 1.0
    """Weight of the classifier's loss on mixed images; >= 0."""

    mix_block_weight: float = 1.0
    """Weight of the mix block's loss through the momentum classifier; >= 0."""

    loss: ClassifierLoss = "cross_entropy"
    """What the classifier is asked of mixed and unmixed images; the mix block always learns from
    cross-entropy. `bce` asks of each class for itself."""

    decoupled_weight: float = 0.0
    """Weight of the decoupled loss in the classifier's loss on mixed images; >= 0."""

    label_smoothing: float = 0.0
    """Share of every label spread evenly over the classes, in all three losses; [0, 1)."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        require_choices(self)
        require("alpha", self.alpha, "greater than 0", holds=self.alpha > 0)
        require("lam_margin", self.lam_margin, "in [0, 0.5)", holds=0 <= self.lam_margin < 0.5)
        for name in ("mask_adjust_probability", "mask_area_margin"):
            require(name, getattr(self, name), "in [0, 1]", holds=0 <= getattr(self, name) <= 1)
        for name in ("skip_mix_block_probability", "label_smoothing"):
            require(name, getattr(self, name), "in [0, 1)", holds=0 <= getattr(self, name) < 1)
        for name in ("one_hot_weight", "mixed_weight", "mix_block_weight", "decoupled_weight"):
            require(name, getattr(self, name), "at least 0", holds=getattr(self, name) >= 0)


def require(name: str, value: object, bound: str, *, holds: bool) -> None:
    """Raise a `ValueError` with name, bound and value unless the bound holds."""
    if not holds:
        raise ValueError(f"`{name}` must be {bound}, got `{value}`")


def require_choices(options: Any) -> None:
    """Check every field that is a choice among words: Python does not execute `Literal`."""
    for field in fields(options):
        if get_origin(field.type) is Literal:
            choices, value = get_args(field.type), getattr(options, field.name)
            require(field.name, value, f"one of {choices}", holds=value in choices)
