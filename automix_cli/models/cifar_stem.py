"""The stem for small images: a 3x3 convolution of stride 1, and no pooling after it.

ImageNet's stem (of a ResNet 7x7, stride 2, then a max-pool; of a ConvNeXt 4x4, stride 4) shrinks a
32x32 image to 8x8 before the first stage. The networks called "CIFAR ResNet-18", "CIFAR ResNeXt-50"
and "CIFAR ConvNeXt-T" keep all 32x32 positions instead; everything after the stem is unchanged.
Their stages give 32x32, 16x16, 8x8 and 4x4.
"""

from typing import Any

from timm.layers.weight_init import trunc_normal_
from timm.models.convnext import ConvNeXt
from timm.models.resnet import ResNet
from torch import nn


def use_cifar_stem(backbone: nn.Module) -> nn.Module:
    """Give a timm ResNet, ResNeXt or ConvNeXt the stem for small images, in place.

    Only the new convolution is drawn anew, as timm draws those of the same backbone; the last
    batch-norm of each residual branch of a ResNet keeps the weight 0 that timm, like the reference,
    starts it with.

    Args:
        backbone: A timm `ResNet` whose stem is one convolution and a max-pool, or a `ConvNeXt`
            whose stem is one convolution and a norm.

    Returns:
        The same backbone.

    Raises:
        ValueError: if it is neither, or has another stem.
    """
    if problem := _what_does_not_fit(backbone):
        raise ValueError(f"stem `cifar` {problem}")
    model: Any = backbone
    if isinstance(backbone, ConvNeXt):
        _put_convnext_stem(model)
    else:
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


def _put_convnext_stem(backbone: Any) -> None:
    """Put the stem in the place of a ConvNeXt's; its norm stays.

    Source:
        OpenMixup `ConvNeXt_CIFAR`. Differs: the convolution starts as timm's do, a truncated normal
        of 0.02, not scaled by its fan-in.
    """
    patches = backbone.stem[0]
    convolution = nn.Conv2d(patches.in_channels, patches.out_channels, 3, stride=1, padding=1)
    trunc_normal_(convolution.weight, std=0.02)
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    backbone.stem[0] = convolution
    for stage, feature in enumerate(backbone.feature_info):
        feature["reduction"] = 2**stage


def _what_does_not_fit(backbone: nn.Module) -> str | None:
    if isinstance(backbone, ConvNeXt):
        stem: Any = backbone.stem
        if len(stem) == 2 and stem[0].stride == stem[0].kernel_size:
            return None
        return (
            "replaces one convolution over patches; take the plain variant, such as convnext_tiny"
        )
    if not isinstance(backbone, ResNet):
        kind = type(backbone).__name__
        known = "ResNet, ResNeXt and ConvNeXt (resnet18, resnext50_32x4d, convnext_tiny, ...)"
        return f"fits timm's {known}, not a {kind}"
    if isinstance(backbone.conv1, nn.Conv2d) and isinstance(backbone.maxpool, nn.MaxPool2d):
        return None
    return (
        "replaces one convolution and a max-pool, not a stem of several layers; take the plain"
        " variant, such as resnet50 instead of resnet50d"
    )
