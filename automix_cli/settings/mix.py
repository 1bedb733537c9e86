"""The `[mix]` section: the paper's knobs, with the reference's behaviours as named options.

"reference" is OpenMixup, the implementation behind the published numbers. Defaults are the paper's
where the two differ; the CIFAR presets state what the reference's results were made with.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self, cast

from pydantic import Field, model_validator

from automix_cli.settings.rules import (
    Count,
    NonNegative,
    Positive,
    Rule,
    Section,
    Share,
    ShareBelowOne,
    require,
)

ALPHAS: Mapping[str, float | None] = MappingProxyType(
    {
        "automix": 2.0,
        "vanilla": None,
        "mixup": 1.0,
        "cutmix": 0.2,
        "mixup_or_cutmix": None,
        "smoothmix": None,
        "fmix": 0.2,
        "gridmix": 0.2,
        "resizemix": 1.0,
        "saliencymix": 0.2,
        "snapmix": 1.0,
        "puzzlemix": 1.0,
        "comixup": 2.0,
    }
)
"""By method, `mix.alpha` where nothing sets it: what the reference's CIFAR results were made with,
and for SnapMix and Co-Mixup, of which it has none, the official code's. None: the method draws
nothing that alpha could say something of."""


class MixSettings(Section):
    """How two images become one, and what the mix block and the classifiers learn from it.

    "The reference" is OpenMixup, the implementation behind the published numbers. `method`,
    `alpha`, `loss`, `decoupled_weight`, `label_smoothing` and `momentum_buffers` concern other
    methods than AutoMix too; the rest is AutoMix's.
    """

    method: Literal[
        "automix",
        "vanilla",
        "mixup",
        "cutmix",
        "mixup_or_cutmix",
        "smoothmix",
        "fmix",
        "gridmix",
        "resizemix",
        "saliencymix",
        "snapmix",
        "puzzlemix",
        "comixup",
    ] = "automix"
    """How images are mixed. Every method but AutoMix trains on mixed images alone (`vanilla`: on
    the images themselves), and every one has a momentum classifier."""

    alpha: Positive | None = None
    """Concentration of Beta(alpha, alpha), from which each ratio `lam` is drawn. 1 is uniform;
    larger values give more even mixtures, smaller ones mostly one image. Unset: the method's own,
    2 for AutoMix as in the paper; README, "Methods", has the others. It belongs to the method it
    was set with: a preset's is left out where `--method` changes the method."""

    loss: Literal["cross_entropy", "bce"] = "cross_entropy"
    """Loss on mixed images: cross-entropy, or a binary cross-entropy for each class, summed over
    the classes. AutoMix has the first only."""

    decoupled_weight: NonNegative = 0.0
    """Weight of the decoupled loss, which asks for each class of a mixture without regard to the
    other (DecoupleMix, which uses 0.1). Not for AutoMix."""

    lam_embedding: Literal["concat", "none"] = "concat"
    """Whether the mix block sees `lam` as one more feature channel. `concat` is the paper's; the
    reference's CIFAR presets use `none`."""

    upsampling: Literal["nearest", "bilinear", "random"] = "nearest"
    """How the mask grows from the feature map to the image. `random` picks one of the other two
    at each step."""

    sigmoid_after_upsampling: bool = True
    """Whether the mask is squashed to [0, 1] after upsampling, as in the reference, or before.
    No difference with `nearest`."""

    reduction: Count = 2
    """Factor by which the mix block's query and key channels are narrower than the feature."""

    projection_norm: Literal["none", "batch", "layer"] = "none"
    """Normalisation after the mix block's query and key projection. The paper has none."""

    mask_area_loss: Literal["l1", "l1+variance", "l2+variance", "sparsity"] = "l1"
    """What keeps the mean of the mask near `lam`. The variance terms also push pixels to 0 or 1;
    `sparsity` does only that."""

    mask_area_reduction: Literal["per_sample", "batch_mean"] = "per_sample"
    """Whether the area is compared with `lam` for each image, as in the paper, or once for the
    mean over the batch, as in the reference."""

    mask_area_margin: Share = 0.1
    """Deviation of the mask's mean from `lam` that costs nothing, as a share of the image."""

    mask_area_weight: NonNegative = 0.1
    """Weight of the mask-area loss at the first step. 0 switches it off."""

    mask_area_schedule: Literal["constant", "cosine", "linear", "openmixup_compounding"] = "cosine"
    """How that weight goes to 0 over the run. The reference's CIFAR presets keep it `constant`;
    `openmixup_compounding` repeats a slip of the reference that ends it after 2 to 3 % of the
    run, as in its ImageNet results."""

    lam_margin: Annotated[float, Field(ge=0, lt=0.5)] = 0.08
    """If `lam` or 1 - `lam` is below this, the classifier sees a linear mixture instead of the
    mask. A trick of the reference that the paper does not mention; 0 switches it off."""

    mask_adjust_probability: Share = 0.0
    """Probability per step of rescaling the classifier's masks so that their mean is exactly
    `lam`."""

    skip_mix_block_probability: ShareBelowOne = 0.0
    """Probability per step of leaving the mix block's classification loss out, to save time. The
    reference's ImageNet transformers skip 0.2."""

    avoid_self_pairs: bool = False
    """Whether no image may be paired with itself. The reference allows it."""

    share_lam_across_ranks: bool = False
    """Whether all processes of a step draw the same ratios, as in the reference, or their own."""

    momentum_mode: Literal["train", "eval"] = "train"
    """Batch-norm mode of the momentum classifier during training: statistics of the batch, as in
    the reference, or running ones."""

    momentum_buffers: Literal["own", "average", "precise"] = "own"
    """Where the momentum classifier's batch-norm statistics come from: its own forward passes, as
    in the reference; a moving average of the classifier's; or recomputed before each evaluation.
    Of other methods than AutoMix it makes no passes of its own in training: for them `own` is
    `precise`, because an average lags far behind while the learning rate is high."""

    momentum_clean_pass: Literal["full", "early"] = "full"
    """Whether the momentum classifier sees the unmixed images to the end, as in the reference, or
    only up to `model.feature_stage`. `early` is faster; batch-norm statistics of the later stages
    then follow mixed images alone."""

    one_hot_weight: NonNegative = 1.0
    """Weight of the classifier's loss on unmixed images."""

    mixed_weight: NonNegative = 1.0
    """Weight of the classifier's loss on mixed images."""

    mix_block_weight: NonNegative = 1.0
    """Weight of the mix block's classification loss, through the frozen momentum classifier."""

    label_smoothing: ShareBelowOne = 0.0
    """Share of each label spread evenly over all classes, in all classification losses but the
    decoupled one. The reference's transformers use 0.1."""

    @model_validator(mode="before")
    @classmethod
    def _alpha_is_the_methods_own(cls, values: Any) -> Any:
        """Fill in alpha, so that what is saved of a run does not change with the table."""
        if not isinstance(values, dict):
            return values
        given = cast(dict[str, object], values)
        method = str(given.get("method", "automix"))
        return given if given.get("alpha") is not None else {**given, "alpha": ALPHAS.get(method)}

    @model_validator(mode="after")
    def _the_classifier_learns_something(self) -> Self:
        require(
            Rule(
                self.one_hot_weight + self.mixed_weight > 0,
                "one of `mix.one_hot_weight` and `mix.mixed_weight` must be greater than 0",
                ("mix.one_hot_weight", "mix.mixed_weight"),
            )
        )
        return self

    @model_validator(mode="after")
    def _the_method_has_what_is_set(self) -> Self:
        is_automix = self.method == "automix"
        require(
            Rule(
                self.alpha is None or ALPHAS[self.method] is not None,
                f"`mix.alpha` must be unset: `{self.method}` has none",
                ("mix.method", "mix.alpha"),
            ),
            Rule(
                not is_automix or self.loss == "cross_entropy",
                "`mix.loss` must be `cross_entropy`, the only one that AutoMix has",
                ("mix.method", "mix.loss"),
            ),
            Rule(
                not is_automix or self.decoupled_weight == 0,
                "`mix.decoupled_weight` must be 0: AutoMix has no decoupled loss",
                ("mix.method", "mix.decoupled_weight"),
            ),
        )
        return self
