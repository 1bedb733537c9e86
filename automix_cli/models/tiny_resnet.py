"""A ResNet so thin that it learns the embedded 32x32 digits on a CPU in about a minute.

One basic block per stage, widths 8, 16, 64, 128, the stem for small images: 0.28 million parameters
and 9 million multiply-adds an image. Stage 3, where the mix block looks, is 64 channels at 8x8; the
last stage is 128 channels at 4x4. Wider early stages cost most of the time, at 32x32 and 16x16, and
were not seen to help.
"""

from typing import Any

from timm.models.resnet import BasicBlock, ResNet

from automix_cli.models.cifar_stem import put_cifar_stem

TINY_RESNET = "tiny_resnet"
"""The name of this backbone, beside timm's."""

_WIDTHS = (8, 16, 64, 128)


def tiny_resnet(*, in_channels: int, drop_path_rate: float) -> ResNet:
    """Build the thin ResNet, without a classification head.

    Args:
        in_channels: Channels of the images.
        drop_path_rate: Stochastic depth of the last block, in [0, 1).
    """
    block: Any = BasicBlock  # timm's annotation names an instance where it takes a class
    backbone = ResNet(
        block,
        layers=(1, 1, 1, 1),
        channels=_WIDTHS,
        num_classes=0,
        in_chans=in_channels,
        # timm's single-convolution stem always has 64 channels; the deep one, replaced below, has
        # twice its width, and gives the first stage as few as it needs.
        stem_type="deep",
        stem_width=_WIDTHS[0] // 2,
        # Shortcuts shrink by averaging (ResNet-D), not by a 1x1 convolution of stride 2: with 8
        # channels, channels-last and an odd batch, torch 2.15 ends that one in a segmentation
        # fault on two CPU threads.
        avg_down=True,
        drop_path_rate=drop_path_rate,
    )
    put_cifar_stem(backbone, in_channels, _WIDTHS[0])
    return backbone
