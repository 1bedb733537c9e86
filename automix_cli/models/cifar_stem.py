"""The stem for small images: a 3x3 convolution of stride 1, and no pooling after it.

ImageNet's stem (7x7, stride 2, then a max-pool) shrinks a 32x32 image to 8x8 before the first
stage. The networks called "CIFAR ResNet-18" and "CIFAR ResNeXt-50" keep all 32x32 positions
instead; everything after the stem is unchanged. Their stages give 32x32, 16x16, 8x8 and 4x4.
"""

from timm.models.resnet import ResNet
from torch import nn


def use_cifar_stem(backbone: nn.Module) -> ResNet:
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
    if not isinstance(backbone, ResNet):
        raise ValueError(
            "stem `cifar` fits timm's ResNet and ResNeXt (resnet18, resnext50_32x4d, ...),"
            f" got a {type(backbone).__name__}"
        )
    stem = backbone.conv1
    if not (isinstance(stem, nn.Conv2d) and isinstance(backbone.maxpool, nn.MaxPool2d)):
        raise ValueError(
            "stem `cifar` replaces a single convolution and a max-pool, got a stem of several"
            " layers; take the plain variant, such as resnet50 instead of resnet50d"
        )
    backbone.conv1 = cifar_convolution(stem.in_channels, stem.out_channels)
    backbone.maxpool = nn.Identity()
    return backbone


def cifar_convolution(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Build the 3x3 convolution that keeps every position.

    Initialised as timm and the reference initialise the others: normal, scaled by fan-out for ReLU.
    """
    convolution = nn.Conv2d(in_channels, out_channels, 3, stride=1, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution
