"""Wide ResNets for small images, which timm has not: WRN-28-8 and WRN-28-10.

A 3x3 convolution of 16 channels, three stages of four pre-activation blocks, 16 k, 32 k and 64 k
channels wide at 32x32, 16x16 and 8x8, then batch norm and activation before the mean. As in the
code behind the published numbers: leaky ReLU of slope 0.1, batch-norm statistics that move by 0.001
a step (eps 0.001), convolutions with biases, no dropout. The first block of all shares its first
activation with its shortcut; the shortcuts of the other two stages start before it.

Stages, as `forward_intermediates` counts them: 0 is the first convolution, 1 to 3 are the stages,
each as the raw sum that leaves it, without batch norm and activation.

Legend: n images, c channels, h w pixels of an image.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

WIDEN_FACTORS: Mapping[str, int] = MappingProxyType({"wide_resnet28_8": 8, "wide_resnet28_10": 10})
"""The names of these backbones, and their k."""

_STEM_WIDTH = 16
_BLOCKS_PER_STAGE = (28 - 4) // 6  # two convolutions a block, three stages, four layers besides
_SLOPE = 0.1


def wide_resnet(name: str, *, in_channels: int, drop_path_rate: float) -> "WideResNet":
    """Build a wide ResNet of 28 layers, without a classification head.

    Args:
        name: A key of `WIDEN_FACTORS`.
        in_channels: Channels of the images.
        drop_path_rate: 0; it has no stochastic depth.

    Raises:
        ValueError: if `drop_path_rate` is not 0.
    """
    if drop_path_rate != 0:
        raise ValueError(f"`{name}` has no stochastic depth, so drop_path_rate must be 0")
    return WideResNet(in_channels, WIDEN_FACTORS[name])


class WideResNet(nn.Module):
    """A wide ResNet with the methods of a timm backbone that a classifier needs.

    Args:
        in_channels: c.
        widen_factor: k.

    Attributes:
        feature_info: Channels, reduction and module of each stage, as timm states them.
    """

    def __init__(self, in_channels: int, widen_factor: int) -> None:
        super().__init__()
        widths = tuple(_STEM_WIDTH * widen_factor * 2**stage for stage in range(3))
        self.conv1 = _convolution(in_channels, _STEM_WIDTH, 3)
        stages: list[nn.Module] = []
        inputs = _STEM_WIDTH
        for stage, width in enumerate(widths):
            stride = 1 if stage == 0 else 2
            blocks = [_Block(inputs, width, stride, activate_shortcut=stage == 0)]
            blocks += [_Block(width, width, 1) for _ in range(_BLOCKS_PER_STAGE - 1)]
            stages.append(nn.Sequential(*blocks))
            inputs = width
        self.stages = nn.ModuleList(stages)
        self.norm = _batch_norm(inputs)
        modules = ("conv1", *(f"stages.{stage}" for stage in range(len(widths))))
        self.feature_info = [
            {"num_chs": channels, "reduction": 2 ** max(stage - 1, 0), "module": module}
            for stage, (channels, module) in enumerate(
                zip((_STEM_WIDTH, *widths), modules, strict=True)
            )
        ]

    def forward_intermediates(
        self,
        images: Tensor,
        *,
        indices: list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> tuple[Tensor, list[Tensor]] | list[Tensor]:
        """Give the feature maps of some stages on the way, with timm's arguments.

        Args:
            images: `(n, c, h, w)`.
            indices: The stages wanted, ascending; None: all.
            norm: Whether the last stage is shown with batch norm and activation.
            stop_early: Whether to compute nothing behind the last stage wanted; only with
                `intermediates_only`.
            output_fmt: `NCHW`, the only one.
            intermediates_only: Whether to leave out the last feature.

        Returns:
            What `forward_features` gives and the maps, or the maps alone.

        Raises:
            ValueError: for another format.
        """
        if output_fmt != "NCHW":
            raise ValueError(f"output_fmt must be NCHW, got {output_fmt}")
        steps = [self.conv1, *self.stages]
        wanted = range(len(steps)) if indices is None else indices
        if stop_early:
            steps = steps[: max(wanted) + 1]
        feature, maps = images, list[Tensor]()
        for step in steps:
            feature = step(feature)
            maps.append(feature)
        if norm and len(maps) == len(self.stages) + 1:
            maps[-1] = self._activated(feature)
        shown = [maps[stage] for stage in wanted]
        return shown if intermediates_only else (self._activated(feature), shown)

    def group_matcher(self, *, coarse: bool = False) -> dict[str, Any]:
        """Say which parameters belong to which layer, as timm's models do."""
        blocks = r"^stages\.(\d+)" if coarse else r"^stages\.(\d+)\.(\d+)"
        return {"stem": r"^conv1", "blocks": [(blocks, None), (r"^norm", (99999,))]}

    def forward_features(self, images: Tensor) -> Tensor:
        """Give the last feature map `(n, 64 k, h / 4, w / 4)`, normalised and activated."""
        feature = self.conv1(images)
        for stage in self.stages:
            feature = stage(feature)
        return self._activated(feature)

    def forward_head(self, features: Tensor, *, pre_logits: bool = True) -> Tensor:
        """Give the embedding `(n, 64 k)`: the mean over positions; there is no head behind it."""
        del pre_logits  # timm's argument: without a head, nothing differs
        return features.mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Give the embedding of images."""
        return self.forward_head(self.forward_features(images))

    def _activated(self, feature: Tensor) -> Tensor:
        return F.leaky_relu(self.norm(feature), _SLOPE)


class _Block(nn.Module):
    """Two 3x3 convolutions, each behind batch norm and activation, around a shortcut."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, *, activate_shortcut: bool = False
    ) -> None:
        super().__init__()
        self.norm1 = _batch_norm(inputs)
        self.conv1 = _convolution(inputs, outputs, 3, stride)
        self.norm2 = _batch_norm(outputs)
        self.conv2 = _convolution(outputs, outputs, 3)
        is_narrower = inputs != outputs
        self.shortcut = _convolution(inputs, outputs, 1, stride) if is_narrower else nn.Identity()
        self.activate_shortcut = activate_shortcut

    def forward(self, feature: Tensor) -> Tensor:
        activated = F.leaky_relu(self.norm1(feature), _SLOPE)
        branch = F.leaky_relu(self.norm2(self.conv1(activated)), _SLOPE)
        return self.shortcut(activated if self.activate_shortcut else feature) + self.conv2(branch)


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=1e-3)


def _convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    """A convolution that starts normal, scaled by fan-out for ReLU, with biases of 0.

    Source:
        OpenMixup `WideResNet.init_weights`: mmcv's `kaiming_init` passes slope 0 for leaky ReLU
        too. No difference.
    """
    convolution = nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    return convolution
