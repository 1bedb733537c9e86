"""The stem for small images: a 3x3 convolution of stride 1, and no pooling after it.

ImageNet's stem (7x7, stride 2, then a max-pool) shrinks a 32x32 image to 8x8 before the first
stage. The networks called "CIFAR ResNet-18" and "CIFAR ResNeXt-50" keep all 32x32 positions
instead; everything after the stem is unchanged. Their stages then give 32x32, 16x16, 8x8, 4x4.
"""

from timm.models.resnet import ResNet
from torch import nn


def use_cifar_stem(backbone: nn.Module, *, width: int | None = None) -> ResNet:
    """Give a timm ResNet or ResNeXt the stem for small images, in place.

    The new convolution is initialised as timm and the reference initialise all others: normal,
    scaled by fan-out for ReLU. Nothing else is drawn anew, in particular the last batch-norm of
    each residual branch keeps the weight 0 it was built with.

    Args:
        backbone: A timm `ResNet` whose stem is one convolution and a max-pool.
        width: Output channels of the new convolution; by default those of the old one.

    Returns:
        The same backbone.

    Raises:
        ValueError: if the backbone has another stem.
    """
    kind = type(backbone).__name__
    if not isinstance(backbone, ResNet):
        raise ValueError(f"the cifar stem fits timm's ResNet and ResNeXt, got a {kind}")
    old = backbone.conv1
    if not (isinstance(old, nn.Conv2d) and isinstance(backbone.maxpool, nn.MaxPool2d)):
        raise ValueError("the cifar stem replaces one convolution and a max-pool, got a deep stem")
    new = nn.Conv2d(old.in_channels, old.out_channels, 3, stride=1, padding=1, bias=False)
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    backbone.conv1 = new
    backbone.maxpool = nn.Identity()
    return backbone
