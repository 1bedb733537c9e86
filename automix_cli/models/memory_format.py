"""Channels last: weights and feature maps laid out with a pixel's channels side by side.

Convolutions of the same numbers, up to rounding; 10 to 30 % of a training step's time less on a
CPU, and what tensor cores want. torch follows the weights: a convolution whose weight is laid out
channels last gives such maps whatever it is given, so nothing but the weights has to be changed.

An exception are wide convolutions over maps of a few pixels, the last stage of a ResNet for images
of 32 pixels: on a CPU they are faster with every channel's map in one piece (512 channels, 4x4
maps, forward and backward: by 10 %, in bf16 by 20 %). There weights and maps change their layout
back, and weight gradients come by `small_map_convolution`.

Legend: n images, c channels, h w feature map.
"""

from typing import Any

import torch
from torch import Tensor, nn

from automix_cli.models.small_map_convolution import use_minimal_filtering

_FEWEST_SAFE_CHANNELS = 16
_MOST_CELLS = 16
_FEWEST_CHANNELS = 256


def use_channels_last(network: nn.Module) -> None:
    """Lay out all weights of a network channels last, in place; its state keeps its shapes.

    torch 2.15 writes beyond its memory in the gradient of a 1x1 convolution of stride 2 that has
    fewer than 16 input channels, channels last, on a CPU with several threads. Such a convolution
    is given every second pixel instead, and goes over them without a stride: the same numbers.
    """
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and _is_unsafe(module):
            stride: Any = module.stride
            module.stride = (1, 1)
            module.register_forward_pre_hook(_EveryPixelOf(stride))


def keep_in_one_piece(stage: nn.Module, height: int, width: int) -> None:
    """Lay the weights of a stage out contiguously again, in place, where that is faster.

    Its weight gradients come by minimal filtering then.

    Args:
        stage: The part of a network whose last maps are of this size.
        height: h of them.
        width: w of them.
    """
    if height * width > _MOST_CELLS or not _is_wide(stage):
        return
    stage.to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
    stage.register_forward_pre_hook(_in_one_piece)
    use_minimal_filtering(stage, _FEWEST_CHANNELS)


def _is_wide(stage: nn.Module) -> bool:
    """Whether it consists of undivided 3x3 convolutions of many channels: what was measured.

    Those that shrink the map may be others.
    """
    convolutions = [each for each in stage.modules() if isinstance(each, nn.Conv2d)]
    staying = [each for each in convolutions if each.stride == (1, 1)]
    return bool(staying) and all(
        each.groups == 1 and each.kernel_size == (3, 3) and each.in_channels >= _FEWEST_CHANNELS
        for each in staying
    )


def _in_one_piece(module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The maps that a stage is given, contiguous on a CPU; elsewhere they stay as they are."""
    del module
    maps, *others = arguments
    return (maps.contiguous() if maps.device.type == "cpu" else maps, *others)


def _is_unsafe(convolution: nn.Conv2d) -> bool:
    shrinks = convolution.kernel_size == (1, 1) and convolution.stride != (1, 1)
    return shrinks and convolution.in_channels < _FEWEST_SAFE_CHANNELS


class _EveryPixelOf:
    """Leaves a convolution the pixels that its stride would have stopped at."""

    def __init__(self, stride: tuple[int, int]) -> None:
        self._rows, self._columns = stride

    def __call__(self, module: nn.Module, arguments: tuple[Tensor]) -> tuple[Tensor]:
        (maps,) = arguments
        return (maps[:, :, :: self._rows, :: self._columns],)
