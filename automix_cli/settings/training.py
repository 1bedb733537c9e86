"""The `[optimizer]` and `[train]` sections: how the networks follow their gradients, how long.

"reference" is OpenMixup, the implementation behind the published numbers.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from automix_cli.settings.rules import (
    Count,
    Index,
    NonNegative,
    Positive,
    Rule,
    Section,
    Share,
    ShareBelowOne,
    require,
)

TRACKERS = ("tensorboard", "wandb", "mlflow")


def _epochs(text: str) -> str:
    """Refuse what is no list of epochs."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?(,[0-9]+(\.[0-9]+)?)*", text):
        raise ValueError("epochs separated by commas, such as 8,11")
    return text


def drop_epochs(optimizer: "OptimizerSettings") -> tuple[float, ...]:
    """When the rate of `steps` falls, in epochs."""
    return tuple(float(each) for each in (optimizer.drop_epochs or "").split(",") if each)


class OptimizerSettings(Section):
    """How the classifier and the mix block follow their gradients.

    "The reference" is OpenMixup, the implementation behind the published numbers.
    """

    name: Literal["sgd", "adamw", "lamb"] = "sgd"
    """Update rule: `sgd` for ResNets, `adamw` for transformers and ConvNeXt, `lamb` for ResNets by
    the recipes of "ResNet strikes back" (RSB), with batches of thousands of images."""

    lr: Positive = 0.1
    """Learning rate at the start of the run (after warm-up), for the global batch."""

    min_lr: NonNegative = 0.0
    """Learning rate at the end of a cosine schedule. The CIFAR presets stop at 0.05, half of the
    start: the momentum classifier does the averaging that a small rate would do."""

    momentum: ShareBelowOne = 0.9
    """Momentum of SGD; `train.momentum_coefficient` is the one of the momentum classifier. Not
    used by the others."""

    nesterov: bool = False
    """Whether SGD looks ahead by Nesterov's rule. Not used by the others."""

    beta1: ShareBelowOne = 0.9
    """AdamW's and LAMB's decay of the mean of gradients. Not used by `sgd`."""

    beta2: ShareBelowOne = 0.999
    """AdamW's and LAMB's decay of the mean of squared gradients. Not used by `sgd`."""

    eps: Positive = 1e-8
    """AdamW's and LAMB's term against division by zero; RSB has 1e-6. Not used by `sgd`."""

    weight_decay: NonNegative = 1e-4
    """Weight decay per step, times the learning rate. Transformers use 0.05 with `adamw`."""

    decay_norm_and_bias: bool = True
    """Whether normalisation weights and biases decay too: yes in the reference's CNNs, no in its
    transformers."""

    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the classifier's learning rate from each layer to the one before it, as timm counts
    layers: blocks, the stem first; the heads have the full rate. 1: the same for all. Fine-tuned
    transformers use 0.65 to 0.9."""

    schedule: Literal["cosine", "constant", "steps"] = "cosine"
    """How the learning rate goes from `lr` to `min_lr`; `steps` divides it by ten at
    `drop_epochs`, and has no `min_lr`."""

    drop_epochs: Annotated[str, AfterValidator(_epochs)] | None = None
    """Epochs, separated by commas, at whose end the rate of `steps` falls, such as `8,11` of 12."""

    schedule_unit: Literal["epoch", "step"] = "epoch"
    """Whether the rate changes once an epoch (reference, CNNs) or at every step (transformers)."""

    warmup_epochs: NonNegative = 0.0
    """Epochs, parts of one allowed, over which the rate rises linearly to `lr`."""

    warmup_ratio: Share = 1e-5
    """Rate at the first warm-up step, as a share of `lr`."""

    mix_block_lr: Positive | None = None
    """Learning rate of the mix block at the start; unset: `lr`, with `lr`'s schedule."""

    mix_block_min_lr: NonNegative | None = None
    """Learning rate of the mix block at the end; unset: `min_lr`. Needs `mix_block_lr`."""

    mix_block_momentum: ShareBelowOne | None = None
    """SGD momentum of the mix block; unset: `momentum`. The reference uses 0 for WRN-28-8."""

    mix_block_warmup: bool = True
    """Whether the mix block warms up too. In the reference's transformers it starts at its full
    rate."""

    clip_norm: Positive | None = None
    """Largest norm of the gradient of classifier and mix block together; unset: no clipping. The
    reference's transformers use 5 to 20, RSB's LAMB 1."""

    @model_validator(mode="after")
    def _rates_and_momenta_agree(self) -> Self:
        least = self.mix_block_min_lr
        require(
            Rule(
                self.min_lr <= self.lr,
                "`optimizer.min_lr` must be at most `optimizer.lr`",
                ("optimizer.min_lr", "optimizer.lr"),
            ),
            Rule(
                least is None or self.mix_block_lr is not None,
                "`optimizer.mix_block_min_lr` needs `optimizer.mix_block_lr`",
                ("optimizer.mix_block_min_lr",),
            ),
            Rule(
                least is None or self.mix_block_lr is None or least <= self.mix_block_lr,
                "`optimizer.mix_block_min_lr` must be at most `optimizer.mix_block_lr`",
                ("optimizer.mix_block_min_lr", "optimizer.mix_block_lr"),
            ),
            Rule(
                least is not None or self.mix_block_lr is None or self.min_lr <= self.mix_block_lr,
                "`optimizer.mix_block_lr` ends at `optimizer.min_lr`, which must not be higher",
                ("optimizer.mix_block_lr", "optimizer.min_lr"),
            ),
            Rule(
                (self.schedule == "steps") == (self.drop_epochs is not None),
                "`optimizer.schedule = steps` and `optimizer.drop_epochs` go together",
                ("optimizer.schedule", "optimizer.drop_epochs"),
            ),
            Rule(
                not self.nesterov or (self.momentum > 0 and self.mix_block_momentum != 0),
                "`optimizer.nesterov` needs every SGD momentum to be greater than 0",
                ("optimizer.nesterov", "optimizer.momentum", "optimizer.mix_block_momentum"),
            ),
        )
        return self


class TrainSettings(Section):
    """How long to train, in which portions, and what is written down on the way."""

    epochs: Count = 200
    """Passes over the training images. All schedules stretch over them."""

    batch_size: Count = 100
    """Images per optimizer step, over all processes and accumulation steps together."""

    accumulation_steps: Count = 1
    """Parts a step's images are worked through in, to save memory. Batch-norm then sees the
    smaller parts."""

    mixed_precision: Literal["no", "bf16", "fp16"] | None = None
    """Number format of the forward passes; unset: what `accelerate launch` says, else `no`, which
    is float32."""

    compile: Literal["none", "default", "reduce-overhead"] = "none"
    """Whether the networks train by code that torch compiles at the first step, and, with
    `reduce-overhead`, records as CUDA graphs. The same mathematics up to rounding. Needs a C++
    compiler. Not for ManifoldMix and TransMix, which reach into a running network."""

    momentum_coefficient: Share = 0.999
    """Share of itself that the momentum classifier keeps at each step, at the start. Shorter runs
    need less: with a few hundred steps about 0.99."""

    momentum_coefficient_end: Share = 0.999999
    """The same at the end of the run, reached by a half cosine."""

    momentum_constant_fraction: Share = 0.1
    """Share of the run during which the coefficient stays at its start. The reference's
    transformers use 0.25."""

    drop_last: bool = False
    """Whether an incomplete last batch of an epoch is left out."""

    log_every: Count = 50
    """Steps between two lines of `metrics.jsonl`."""

    evaluate_every: Count = 1
    """Epochs between two evaluations; the last epoch is always evaluated."""

    save_every: Count | None = None
    """Steps between two checkpoints, besides the one at the end of every epoch; unset: none."""

    trackers: str | None = None
    """Experiment trackers that show what `metrics.jsonl` holds, separated by commas:
    `tensorboard`, `wandb`, `mlflow`; unset: none."""

    masks_every: Count | None = None
    """Epochs between two pictures of the mix block's masks, always of the same pairs of test
    images; unset: a tenth of `epochs`. The first is taken before the first step. They change no
    number of the run."""

    masks_pairs: Index = 4
    """How many pairs these pictures show; 0 takes none. AutoMix, SAMix and AdAutoMix: the others
    learn no masks."""

    max_steps: Count | None = None
    """Stop after so many steps in all; unset: after `epochs`. Schedules are still those of
    `epochs`, so that the run can be resumed."""

    @property
    def tracker_names(self) -> tuple[str, ...]:
        """The names in `trackers`, each once."""
        words = (word.strip() for word in (self.trackers or "").split(","))
        return tuple(dict.fromkeys(word for word in words if word))

    @model_validator(mode="after")
    def _coefficients_and_sizes_agree(self) -> Self:
        require(
            Rule(
                set(self.tracker_names) <= set(TRACKERS),
                f"`train.trackers` must be of {', '.join(TRACKERS)}, separated by commas",
                ("train.trackers",),
            ),
            Rule(
                self.momentum_coefficient <= self.momentum_coefficient_end,
                "`train.momentum_coefficient` must be at most `train.momentum_coefficient_end`",
                ("train.momentum_coefficient", "train.momentum_coefficient_end"),
            ),
            Rule(
                self.accumulation_steps <= self.batch_size,
                "`train.accumulation_steps` must be at most `train.batch_size`",
                ("train.accumulation_steps", "train.batch_size"),
            ),
        )
        return self
