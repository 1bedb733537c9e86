"""The `[mix]` section: the paper's knobs, with the reference's behaviours as named options.

"reference" is OpenMixup, the implementation behind the published numbers. Defaults are the paper's
where the two differ; the CIFAR presets state what the reference's results were made with.
"""

from typing import Annotated, Literal, Self

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


class MixSettings(Section):
    """How two images become one, and what the mix block and the classifiers learn from it.

    "The reference" is OpenMixup, the implementation behind the published numbers.
    """

    alpha: Positive = 2.0
    """Concentration of Beta(alpha, alpha), from which each ratio `lam` is drawn. 1 is uniform;
    larger values give more even mixtures, smaller ones mostly one image. The paper uses 2."""

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
    in the reference; a moving average of the classifier's; or recomputed before each evaluation."""

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
    """Share of each label spread evenly over all classes, in all classification losses. The
    reference's transformers use 0.1."""

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
