"""The stem for small images: a 3x3 convolution of stride 1, and no pooling after it.

ImageNet's stem (7x7, stride 2, then a max-pool) shrinks a 32x32 image to 8x8 before the first
stage. The networks called "CIFAR ResNet-18" and "CIFAR ResNeXt-50" keep all 32x32 positions
instead; everything after the stem is unchanged. Their stages give 32x32, 16x16, 8x8 and 4x4.
"""

from typing import Any

from timm.models.resnet import ResNet
from torch import nn


def use_cifar_stem(backbone: nn.Module) -> nn.Module:
    """Give a timm ResNet or ResNeXt the stem for small images, in place.

    Only the new convolution is drawn anew; the last batch-norm of each residual branch keeps the
    weight 0 that timm, like the reference, starts it with.

    Args:
        backbone: A timm `ResNet` whose stem is one convolution and a max-pool.

    Returns:
        The same backbone.

    Raises:
        ValueError: if it is no `ResNet` or has another stem.
    """
    if problem := _what_does_not_fit(backbone):
        raise ValueError(f"stem `cifar` {problem}")
    model: Any = backbone
    put_cifar_stem(model, model.conv1.in_channels, model.conv1.out_channels)
    return backbone


def put_cifar_stem(backbone: Any, in_channels: int, out_channels: int) -> None:
    """Put the stem in the place of whatever stem a timm `ResNet` has.

    The convolution is initialised as timm and the reference initialise all of them: normal, scaled
    by fan-out for ReLU. timm's list of feature reductions is corrected.
    """
    convolution = nn.Conv2d(in_channels, out_channels, 3, stride=1, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    backbone.conv1 = convolution
    backbone.maxpool = nn.Identity()
    for stage, feature in enumerate(backbone.feature_info):
        feature["reduction"] = 2 ** max(stage - 1, 0)


def _what_does_not_fit(backbone: nn.Module) -> str | None:
    if not isinstance(backbone, ResNet):
        kind = type(backbone).__name__
        return f"fits timm's ResNet and ResNeXt (resnet18, resnext50_32x4d, ...), not a {kind}"
    if isinstance(backbone.conv1, nn.Conv2d) and isinstance(backbone.maxpool, nn.MaxPool2d):
        return None
    return (
        "replaces one convolution and a max-pool, not a stem of several layers; take the plain"
        " variant, such as resnet50 instead of resnet50d"
    )
