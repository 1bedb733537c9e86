"""The `[mix]` section: the paper's knobs, with the reference's behaviours as named options.

"reference" is OpenMixup, the implementation behind the published numbers. Defaults are the paper's
where the two differ; the CIFAR presets state what the reference's results were made with.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from automix_cli.settings.methods import ALPHAS, EMBEDDINGS, LEARNED, OWN, MethodSettings
from automix_cli.settings.rules import (
    Count,
    NonNegative,
    Rule,
    Share,
    ShareBelowOne,
    require,
)

__all__ = ["ALPHAS", "LEARNED", "OWN", "MixSettings"]


class MixSettings(MethodSettings):
    """How images become one, and what the mix block and the classifiers learn from it.

    "The reference" is OpenMixup, the implementation behind the published numbers. `method`,
    `alpha`, `loss`, `decoupled_weight`, `label_smoothing` and `momentum_buffers` concern every
    method, the `attention_` settings AttentiveMix+; the rest are about masks that are learned, and
    do nothing for other methods. Where only some of AutoMix, SAMix and AdAutoMix have a setting, or
    have defaults of their own, it says so; like `alpha`, such a default belongs to its method.
    """

    lam_embedding: Literal["concat", "multiply", "none"] | None = None
    """How the mix block sees `lam`: as one more feature channel, as a factor on the features
    (SAMix), or not at all. Unset: `concat` for AutoMix as in the paper, where the reference's CIFAR
    presets use `none`; `multiply` for SAMix; `none` for AdAutoMix, which has `concat` beyond
    CIFAR and Tiny-ImageNet."""

    lam_rescale: NonNegative | None = None
    """How little SAMix tells ratios near one half apart: `lam` goes through a cubic whose slope at
    one half is k / (k + 1/3), where k is this number. Unset: `lam` as it is. The reference has 0.25
    for CIFAR-100, 1 for CUB and Aircraft, and unset elsewhere."""

    value_dropout: ShareBelowOne = 0.0
    """Share of the value map that SAMix drops in training. The reference has 0.1 for transformers
    and beyond CIFAR and Tiny-ImageNet."""

    cross_attention: bool = True
    """Whether the mix block compares the two images. Without, an ablation: the mask at each
    position is what the value map says of the second image there, whatever the first one shows.
    AutoMix and SAMix."""

    upsampling: Literal["nearest", "bilinear", "random"] | None = None
    """How the mask grows from the feature map to the image. `random` picks one of the other two
    at each step, not for AdAutoMix. Unset: `nearest` for AutoMix, `bilinear` for the others."""

    sigmoid_after_upsampling: bool = True
    """Whether the mask is squashed to [0, 1] after upsampling, as in the reference, or before.
    No difference with `nearest`. AutoMix and SAMix."""

    reduction: Count = 2
    """Factor by which the mix block's query and key channels are narrower than the feature."""

    projection_norm: Literal["none", "batch", "layer"] = "none"
    """Normalisation after the mix block's query and key projection. The paper has none. AutoMix
    and AdAutoMix."""

    mask_area_loss: Literal["l1", "l1+variance", "l2+variance", "sparsity"] | None = None
    """What keeps the mean of the mask near `lam`. The variance terms also push pixels to 0 or 1;
    `sparsity` does only that. Unset: `l1` for AutoMix, `l1+variance` for SAMix. AdAutoMix has no
    loss on the area, and no use for any `mask_area_` setting."""

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

    lam_margin: Annotated[float, Field(ge=0, lt=0.5)] | None = None
    """If `lam` or 1 - `lam` is below this, the classifier sees a linear mixture instead of the
    mask. A trick of the reference that the paper does not mention; 0 switches it off. Unset: 0.08,
    for AdAutoMix 0.03."""

    lam_margin_test: Literal["corrected", "reference"] = "corrected"
    """How AdAutoMix compares with `lam_margin` from three images on: as meant, or the wrong way
    round, as in the reference, whose classifier then hardly ever sees a learned mask."""

    mask_adjust_probability: Share = 0.0
    """Probability per step of rescaling the classifier's masks so that their mean is exactly
    `lam`. AutoMix and SAMix."""

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
    then follow mixed images alone. Where there are none that its passes move, `full` is `early`.
    AdAutoMix needs them to the end."""

    num_images: Annotated[int, Field(ge=2)] = 3
    """How many images AdAutoMix mixes into one. The reference has 2 for ImageNet."""

    vary_num_images: bool = False
    """Whether AdAutoMix draws at each step how many, from 2 to `num_images`. The reference does
    for CUB with ResNet-18 and for Aircraft."""

    adversarial_interval: Count = 2
    """Every how many steps, from the first on, the mix block of AdAutoMix tries to make mixtures
    hard to recognise instead of easy."""

    adversarial_share: Share = 0.3
    """What AdAutoMix's adversary cares for: this much to raise the cross-entropy, the rest to lower
    the similarity to the clean images. The reference has 0.3 for CIFAR, 0.4 for Tiny-ImageNet, 0.1
    for ImageNet."""

    mixup_share: Share = 0.5
    """Share of plain mixup in AdAutoMix's loss on images without masks, from three images on; the
    rest is that of clean images."""

    one_hot_weight: NonNegative = 1.0
    """Weight of the classifier's loss on unmixed images; of AdAutoMix, with its `mixup_share`. With
    0, an ablation, they are not shown to it, and mixed images train the one-hot head."""

    mixed_weight: NonNegative = 1.0
    """Weight of the classifier's loss on mixed images."""

    mix_block_weight: NonNegative = 1.0
    """Weight of the mix block's classification loss, through the frozen momentum classifier."""

    label_smoothing: ShareBelowOne = 0.0
    """Share of each label spread evenly over all classes, in all classification losses but the
    decoupled one. The reference's transformers use 0.1."""

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
    def _the_mix_block_has_what_is_set(self) -> Self:
        embeddings = EMBEDDINGS.get(self.method)
        is_adautomix = self.method == "adautomix"
        named = " or ".join(f"`{each}`" for each in embeddings or ())
        require(
            Rule(
                embeddings is None or self.lam_embedding in embeddings,
                f"`mix.lam_embedding` must be {named} for `{self.method}`",
                ("mix.method", "mix.lam_embedding"),
            ),
            Rule(
                not is_adautomix or self.upsampling != "random",
                "`mix.upsampling` must be `nearest` or `bilinear` for `adautomix`",
                ("mix.method", "mix.upsampling"),
            ),
            Rule(
                not is_adautomix or self.cross_attention,
                "`mix.cross_attention` must be `true` for `adautomix`, which is not offered "
                "without",
                ("mix.method", "mix.cross_attention"),
            ),
        )
        return self
