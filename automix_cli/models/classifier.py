"""A classifier whose early features can be looked at, and had alone.

Any timm backbone that offers `forward_intermediates` serves. A stage is one of the feature maps
which that method gives, counted from 0: in a ResNet 0 is the stem and 1 to 4 are the stages, in a
vision transformer they are the blocks. Two heads stand on the same embedding, one for clean and one
for mixed images.

Legend: n images, k classes, c channels of the feature, h w its size, d width of the embedding.
"""

import difflib
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import timm
from torch import Tensor, nn

from automix_cli.models.cifar_stem import use_cifar_stem
from automix_cli.models.tiny_resnet import TINY_RESNET, tiny_resnet


@dataclass(frozen=True)
class ClassifierSpec:
    """What a classifier is built from.

    Attributes:
        backbone: Name of a timm model, or `tiny_resnet`.
        stem: `imagenet` for the backbone as it is, `cifar` for the stem for small images.
        num_classes: k.
        in_channels: Channels of the images.
        image_size: Height and width of the images, in pixels.
        feature_stage: Which feature map the mix block sees.
        drop_path_rate: Stochastic depth, in [0, 1).
    """

    backbone: str
    stem: Literal["imagenet", "cifar"]
    num_classes: int
    in_channels: int
    image_size: int
    feature_stage: int
    drop_path_rate: float


class Anatomy(NamedTuple):
    """What a backbone gives for images of one size, found by trying.

    Attributes:
        stages: Channels, height and width of each feature map.
        embedding_width: d.
        is_transformer: Whether its last feature is a sequence of tokens instead of a map.
    """

    stages: tuple[tuple[int, int, int], ...]
    embedding_width: int
    is_transformer: bool


class Classifier(nn.Module):
    """A backbone with two linear heads on its embedding, and a view of one of its stages.

    Args:
        backbone: A timm model without a head of its own.
        anatomy: What it gives for the images to come.
        feature_stage: The stage to show, in [0, number of stages).
        num_classes: k.

    Attributes:
        backbone: As given.
        head_one_hot: Head for clean images and their labels.
        head_mixed: Head for mixed images and their two labels.
        feature_stage: As given.
        feature_channels: c.
        num_classes: k.
    """

    def __init__(
        self, backbone: nn.Module, anatomy: Anatomy, *, feature_stage: int, num_classes: int
    ) -> None:
        super().__init__()
        self.backbone: Any = backbone  # timm's methods are not those of `nn.Module`
        self.feature_stage = feature_stage
        self.feature_channels = anatomy.stages[feature_stage][0]
        self.num_classes = num_classes
        std = 0.02 if anatomy.is_transformer else 0.01
        initialise = nn.init.trunc_normal_ if anatomy.is_transformer else nn.init.normal_
        self.head_one_hot = nn.Linear(anatomy.embedding_width, num_classes)
        self.head_mixed = nn.Linear(anatomy.embedding_width, num_classes)
        for head in (self.head_one_hot, self.head_mixed):
            initialise(head.weight, std=std)
            nn.init.zeros_(head.bias)

    def features(self, images: Tensor) -> Tensor:
        """Give the feature alone; nothing behind its stage is computed.

        Args:
            images: `(n, channels, height, width)`, normalised.

        Returns:
            `(n, c, h, w)`, as it leaves the stage, without a final norm. Of a transformer: the
            tokens of the patches, without class token.
        """
        return self.backbone.forward_intermediates(
            images,
            indices=[self.feature_stage],
            norm=False,
            stop_early=True,
            output_fmt="NCHW",
            intermediates_only=True,
        )[0]

    def embed(self, images: Tensor) -> Tensor:
        """Give the embedding `(n, d)` on which the heads stand."""
        last = self.backbone.forward_features(images)
        return self.backbone.forward_head(last, pre_logits=True)

    def features_and_embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Give what `features` and `embed` give, in one pass."""
        last, (feature,) = self.backbone.forward_intermediates(
            images, indices=[self.feature_stage], norm=False, output_fmt="NCHW"
        )
        return feature, self.backbone.forward_head(last, pre_logits=True)

    def forward(self, images: Tensor) -> Tensor:
        """Classify: logits `(n, k)` of the one-hot head, the one a classifier is used with."""
        return self.head_one_hot(self.embed(images))

    def forward_heads(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Give the logits of both heads, one-hot and mixed, `(n, k)` each, in one pass."""
        embedding = self.embed(images)
        return self.head_one_hot(embedding), self.head_mixed(embedding)


def build_classifier(spec: ClassifierSpec) -> Classifier:
    """Build a classifier with first weights from torch's global generator.

    `tiny_resnet` has the stem for small images whatever `spec.stem` says.

    Raises:
        ValueError: if the backbone is unknown or gives no features, if it does not take such a
            stem, image or stochastic depth, or if the stage does not exist or does not divide the
            image into whole cells.
    """
    if spec.backbone == TINY_RESNET:
        backbone: nn.Module = tiny_resnet(
            in_channels=spec.in_channels, drop_path_rate=spec.drop_path_rate
        )
    else:
        backbone = _build_timm(spec)
        if spec.stem == "cifar":
            backbone = use_cifar_stem(backbone)
    anatomy = examine(backbone, in_channels=spec.in_channels, image_size=spec.image_size)
    _check_stage(spec, anatomy)
    return Classifier(
        backbone, anatomy, feature_stage=spec.feature_stage, num_classes=spec.num_classes
    )


def examine(backbone: nn.Module, *, in_channels: int, image_size: int) -> Anatomy:
    """Find out what a backbone gives, by showing it one black image.

    Neither weights nor statistics nor random generators are changed by it.

    Raises:
        ValueError: if it gives no feature maps and embedding for images of this size.
    """
    model: Any = backbone
    kind = type(backbone).__name__
    if not hasattr(model, "forward_intermediates"):
        raise ValueError(f"backbone must have `forward_intermediates`, which {kind} has not")
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            image = torch.zeros(1, in_channels, image_size, image_size)
            last, maps = model.forward_intermediates(image, norm=False, output_fmt="NCHW")
            embedding = model.forward_head(last, pre_logits=True)
    except _REFUSALS as error:
        size = f"{in_channels} x {image_size} x {image_size}"
        raise ValueError(f"{kind} does not take images of {size}: {error}") from error
    finally:
        model.train(was_training)
    if embedding.ndim != 2 or any(feature.ndim != 4 for feature in maps):
        raise ValueError(f"backbone must give maps and one embedding an image, {kind} does not")
    stages = tuple(tuple(feature.shape[1:]) for feature in maps)
    return Anatomy(stages, embedding.shape[1], is_transformer=last.ndim == 3)


_REFUSALS = (AssertionError, IndexError, RuntimeError, TypeError, ValueError)
"""What timm's models raise when they are asked for something they are not made for."""


def _build_timm(spec: ClassifierSpec) -> nn.Module:
    name = spec.backbone
    if not timm.is_model(name):
        known = [TINY_RESNET, *timm.list_models()]
        close = [f"`{each}`" for each in difflib.get_close_matches(name, known, n=3)]
        advice = f"did you mean {' or '.join(close)}?" if close else "`timm.list_models()` has all"
        raise ValueError(f"backbone must be one of timm's models, got `{name}`; {advice}")
    options = {"num_classes": 0, "in_chans": spec.in_channels, "drop_path_rate": spec.drop_path_rate}
    config = timm.get_pretrained_cfg(name)
    if config is not None and config.fixed_input_size:
        options["img_size"] = spec.image_size
    try:
        return timm.create_model(name, **options)
    except TypeError as error:
        if "drop_path_rate" not in str(error):
            raise
        ...


def _check_stage(spec: ClassifierSpec, anatomy: Anatomy) -> None:
    num_stages = len(anatomy.stages)
    if not 0 <= spec.feature_stage < num_stages:
        raise ValueError(
            f"feature_stage must be in [0, {num_stages - 1}] for `{spec.backbone}`,"
            f" got {spec.feature_stage}"
        )
    _, height, width = anatomy.stages[spec.feature_stage]
    if spec.image_size % height or spec.image_size % width:
        raise ValueError(
            f"feature_stage {spec.feature_stage} of `{spec.backbone}` cuts an image of"
            f" {spec.image_size} x {spec.image_size} pixels into {height} x {width} cells, which"
            " are not whole pixels; choose another image size or stage"
        )
