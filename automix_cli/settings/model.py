"""THE settings of a run: every key, its range, its default and its help text.

Sections mirror the packages. Those that are long have modules of their own, so that each can be
read in one go: `data` ([data]), `mix` ([mix]), `training` ([optimizer], [train]) and `detection`.
Here are the root and the rest. `rules` is what sections are made of; `keys` lists
all keys as plain data; `layering` decides which source sets which value.

Touch points, to add a setting: a field with a range and a docstring in its section, and a relation
in that section's validator if there is one. Help, errors, flags by `--set`, environment variables
and the saved file follow by themselves.

There is no null in TOML: the default of an optional setting is None, and absent means unset.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from automix_cli.settings.data import DataSettings
from automix_cli.settings.detection import DetectionSettings
from automix_cli.settings.mix import MixSettings
from automix_cli.settings.rules import (
    Count,
    FilePath,
    Index,
    Rule,
    Section,
    ShareBelowOne,
    require,
)
from automix_cli.settings.training import OptimizerSettings, TrainSettings


class ModelSettings(Section):
    """The classifier that is trained; the momentum classifier is its twin."""

    backbone: str = "resnet18"
    """Name of a timm model with features (`timm.list_models()` lists them), or one that timm has
    not: `tiny_resnet` for the embedded digits, `wide_resnet28_8` and `wide_resnet28_10` for CIFAR.
    """

    stem: Literal["imagenet", "cifar"] = "imagenet"
    """First layers of a ResNet or ConvNeXt: timm's own, which shrink an image fourfold, or one 3x3
    convolution without shrinking, for images of about 32 pixels."""

    feature_stage: Index = 3
    """Stage whose feature map feeds the mix block, as counted by timm's `forward_intermediates`.
    ResNets: 0 is the stem, 1 to 4 are the stages; vision transformers: 0 is the first block."""

    merged_feature: bool = False
    """Whether the mix block sees the stage behind the patch merging that follows it, normalised, as
    the reference shows a Swin transformer: of Swin-T 768x7x7 instead of 384x14x14."""

    drop_path_rate: ShareBelowOne = 0.0
    """Probability of skipping the deepest residual branch in training, falling linearly to 0 at the
    first one."""

    init: Annotated[str, Field(min_length=1)] | None = None
    """Weights to begin with: `timm` or `timm:TAG` for timm's pretrained ones, a run folder, or a
    file. Of a run or one of its files it is the network that the run stands for; other files are
    safetensors, or PyTorch files of tensors alone, under timm's names. A head is taken over if the
    classes are the same, else drawn anew; all else must fit. Unset: random weights."""

    frozen_stages: Index = 0
    """How many of the first stages keep the weights and batch-norm statistics they begin with, in
    both networks. 1 is the stem; of a ResNet 2 is the stem and the first stage, of a vision
    transformer the embedding and the first block."""

    freeze_batch_norm: Literal["none", "statistics", "affine", "all"] = "none"
    """What batch norm keeps of what it begins with, in both networks: its `statistics`, by which it
    then normalises in training too, and which nothing recomputes; its weights and biases
    (`affine`); or both."""

    channels_last: bool = True
    """Whether a pixel's channels lie side by side in memory. The same numbers up to rounding, and
    faster convolutions. On a CPU a last stage of wide 3x3 convolutions over maps of 4x4 is left as
    it is, where that is faster, and has its weight gradients by fewer products."""


class EvaluationSettings(Section):
    """How accuracy is measured, during training and by `automix eval`."""

    batch_size: Count = 500
    """Images per forward pass over all processes. Changes memory and speed, not the numbers."""

    weights: Literal["momentum", "classifier"] = "momentum"
    """Network the run stands for, with its one-hot head: the momentum classifier or the trained
    one. Fixed before the run; the accuracies of the others are reported beside it."""


class RunSettings(Section):
    """Where the run goes and what makes it repeatable."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of everything random: initial weights, order, augmentation, ratios and pairings."""

    output_dir: FilePath | None = None
    """Run folder; unset: `runs/<preset>/<UTC time>-seed<seed>`, with the method after the preset if
    it is not AutoMix. Never overwritten."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute. `auto` takes a GPU if there is one."""

    deterministic: bool = False
    """Whether GPU kernels must repeat bit by bit; slower. On a CPU runs repeat anyway."""

    keep_freed_memory: bool = True
    """Whether memory that a step frees on a CPU stays with the program for the next step (Linux,
    glibc): a run holds its peak until it ends, and its steps are faster."""

    process_timeout: Count = 600
    """Seconds that processes wait for one that hangs, or whose machine is gone, before they end
    with an error; one that ends is noticed at once. While data are prepared they wait for a day."""

    preset: str | None = None
    """Preset the run was made from. Written by `--preset`, not by hand."""


class Settings(Section):
    """All settings of a run: validated, frozen, and never handed down whole below `commands`."""

    model: ModelSettings = ModelSettings()
    data: DataSettings = DataSettings()
    mix: MixSettings = MixSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    train: TrainSettings = TrainSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    detection: DetectionSettings = DetectionSettings()
    run: RunSettings = RunSettings()

    @model_validator(mode="after")
    def _warmup_ends_before_training(self) -> Self:
        require(
            Rule(
                self.optimizer.warmup_epochs < self.train.epochs,
                "`optimizer.warmup_epochs` must be less than `train.epochs`",
                ("optimizer.warmup_epochs", "train.epochs"),
            )
        )
        return self

    @model_validator(mode="after")
    def _what_is_compiled_runs_as_a_whole(self) -> Self:
        is_compiled = self.train.compile != "none"
        require(
            Rule(
                not (is_compiled and self.mix.method in ("manifoldmix", "transmix")),
                f"`train.compile` must be `none` for `{self.mix.method}`, which reaches into the "
                "network while it runs",
                ("train.compile", "mix.method"),
            ),
            Rule(
                not (is_compiled and self.data.name == "coco"),
                "`train.compile` must be `none` for `coco`: detectors are not compiled",
                ("train.compile", "data.name"),
            ),
        )
        return self
