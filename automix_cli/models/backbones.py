"""Backbones by name: timm's, and the two that it has not, with the stem that is asked for.

Touch points, to add a backbone of our own: a module like `wide_resnet` with the methods of a timm
model that `classifier` calls, and a line in `_OURS`.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

import timm
from torch import nn

from automix_cli.models.cifar_stem import use_cifar_stem
from automix_cli.models.tiny_resnet import TINY_RESNET, tiny_resnet
from automix_cli.models.wide_resnet import WIDEN_FACTORS, wide_resnet

REFUSALS = (AssertionError, AttributeError, IndexError, RuntimeError, TypeError, ValueError)
"""What timm's models raise when they are asked for something they are not made for."""

_OURS: Mapping[str, Callable[..., nn.Module]] = MappingProxyType(
    {
        TINY_RESNET: tiny_resnet,
        **{name: partial(wide_resnet, name) for name in WIDEN_FACTORS},
    }
)


@dataclass(frozen=True)
class ClassifierSpec:
    """What a classifier is built from.

    Attributes:
        backbone: Name of a timm model, `tiny_resnet`, `wide_resnet28_8` or `wide_resnet28_10`.
        stem: `imagenet` for the backbone as it is, `cifar` for the stem for small images.
        num_classes: k.
        in_channels: Channels of the images.
        image_size: Height and width of the images, in pixels.
        feature_stage: Which feature map the mix block sees.
        drop_path_rate: Stochastic depth, in [0, 1).
        merged_feature: Whether the mix block sees that map behind the patch merging which follows
            it; for Swin transformers alone.
    """

    backbone: str
    stem: Literal["imagenet", "cifar"]
    num_classes: int
    in_channels: int
    image_size: int
    feature_stage: int
    drop_path_rate: float
    merged_feature: bool = False


def build_backbone(spec: ClassifierSpec) -> nn.Module:
    """Build a backbone without a head of its own, weights drawn from torch's global generator.

    Those that are ours have the stem for small images whatever `spec.stem` says.

    Raises:
        ValueError: if there is none of that name, or it does not take the stem or the stochastic
            depth.
    """
    name = spec.backbone
    if name in _OURS:
        return _OURS[name](in_channels=spec.in_channels, drop_path_rate=spec.drop_path_rate)
    if not timm.is_model(name):
        known = [*_OURS, *timm.list_models()]
        close = [f"`{each}`" for each in difflib.get_close_matches(name, known, n=3)]
        advice = f"did you mean {' or '.join(close)}?" if close else "`timm.list_models()` has all"
        raise ValueError(f"backbone must be one of timm's models, got `{name}`; {advice}")
    options: dict[str, Any] = {"num_classes": 0, "in_chans": spec.in_channels}
    config = timm.get_pretrained_cfg(name)
    if config is not None and config.fixed_input_size:
        options["img_size"] = spec.image_size
    try:
        backbone = _create(name, options, spec.drop_path_rate)
    except REFUSALS as error:
        raise ValueError(f"timm cannot build `{name}`: {error}") from error
    return use_cifar_stem(backbone) if spec.stem == "cifar" else backbone


def _create(name: str, options: dict[str, Any], drop_path_rate: float) -> nn.Module:
    """Build a timm model; the rate is given even when it is 0, for some models default to more."""
    try:
        return timm.create_model(name, drop_path_rate=drop_path_rate, **options)
    except TypeError as error:
        if "drop_path_rate" not in str(error):
            raise
        if drop_path_rate > 0:
            raise ValueError("it has no stochastic depth, so drop_path_rate must be 0") from error
    return timm.create_model(name, **options)
