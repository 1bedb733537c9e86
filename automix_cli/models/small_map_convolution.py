"""Wide 3x3 convolutions over 4x4 maps, whose weight gradient comes with a quarter of the products.

The gradient of a weight is itself a convolution, of the map with the arriving gradient. By
Winograd's minimal filtering it takes 6 x 6 products where written out it takes 4 x 4 x 3 x 3: both
maps are transformed to 6 x 6 values, multiplied value by value (as 36 matrix products over images
and channels), and the result is transformed back to 3 x 3. The same numbers up to rounding: the
error is about 3e-6 of the gradient in float32, where the convolution's own is 4e-7.

With 512 channels and 100 images on one core of an AMD EPYC it takes 34 ms instead of 59. The
convolution itself and the gradient of its map, where torch is fast, are left to torch; so is
everything on other devices, in other number formats and for other maps.

Legend: n images, c channels that go in, k that come out; cells of a map and of a weight in rows.

Source:
    Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2016), F(4x4, 3x3): here its
    derivative with respect to the weight.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_SIDE = 4
_FROM_MAP = (  # 6 x 6: how a row of six cells, the border included, is transformed
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_FROM_GRADIENT = (  # 6 x 4: a row of the gradient that arrives
    (1, 0, 0, 0),
    (1, 1, 1, 1),
    (1, -1, 1, -1),
    (1, 2, 4, 8),
    (1, -2, 4, -8),
    (0, 0, 0, 1),
)
_TO_WEIGHT = (  # 6 x 3: a row of the weight
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)


def _both_ways(rows: tuple[tuple[float, ...], ...]) -> Tensor:
    """What transforms rows and columns at once, of cells in one line; in float64."""
    matrix = torch.tensor(rows, dtype=torch.float64)
    return torch.kron(matrix, matrix)


_INNER = tuple(row[1:5] for row in _FROM_MAP)  # the border of a map is zeros
_TRANSFORMS = _both_ways(_INNER), _both_ways(_FROM_GRADIENT), _both_ways(_TO_WEIGHT).t()


class SmallMapConv2d(nn.Conv2d):
    """A 3x3 convolution with border 1 that looks for 4x4 maps; what it computes is `nn.Conv2d`'s.

    It is made of one by `use_minimal_filtering`.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if bias is None and _is_served(input, weight):
            return cast(Tensor, _Convolution.apply(input, weight))
        return super()._conv_forward(input, weight, bias)


def use_minimal_filtering(network: nn.Module, fewest_channels: int) -> None:
    """Let the wide 3x3 convolutions of a network take such gradients; its state stays as it is."""
    for module in network.modules():
        if type(module) is nn.Conv2d and _is_plain(module, fewest_channels):
            module.__class__ = SmallMapConv2d


def _is_plain(convolution: nn.Conv2d, fewest_channels: int) -> bool:
    one = (1, 1)
    is_plain = convolution.kernel_size == (3, 3) and convolution.padding in (one, "same")
    is_plain = is_plain and convolution.stride == one and convolution.dilation == one
    is_wide = min(convolution.in_channels, convolution.out_channels) >= fewest_channels
    is_dense = convolution.groups == 1 and convolution.padding_mode == "zeros"
    return is_plain and is_wide and is_dense


def _is_served(maps: Tensor, weight: Tensor) -> bool:
    is_small = maps.ndim == 4 and maps.shape[2:] == (_SIDE, _SIDE)
    is_training = torch.is_grad_enabled() and weight.requires_grad
    on_cpu = maps.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    return is_small and is_training and on_cpu and maps.dtype == weight.dtype == torch.float32


class _Convolution(torch.autograd.Function):
    """torch's convolution, but for the gradient of the weight."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(maps, weight)
        return torch.conv2d(maps, weight, padding=1)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] - decorated in torch too
        ctx: Any, *arriving: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        maps, weight = ctx.saved_tensors
        wants_maps, wants_weight = ctx.needs_input_grad
        of_maps: Tensor | None = None
        if wants_maps:
            stride, border, dilation, output_border = [1, 1], [1, 1], [1, 1], [0, 0]
            geometry = stride, border, dilation, False, output_border, 1
            of_maps, _, _ = torch.ops.aten.convolution_backward(
                arriving[0], maps, weight, None, *geometry, [True, False, False]
            )
        return of_maps, weight_gradient(maps, arriving[0]) if wants_weight else None


def weight_gradient(maps: Tensor, arriving: Tensor) -> Tensor:
    """Gradient `(k, c, 3, 3)` of the weight of a 3x3 convolution with border 1 over 4x4 maps.

    Args:
        maps: What was convolved, `(n, c, 4, 4)`.
        arriving: Gradient of the result, `(n, k, 4, 4)`.
    """
    (n, c), k = maps.shape[:2], arriving.shape[1]
    from_map, from_gradient, to_weight = (each.to(maps.dtype) for each in _TRANSFORMS)
    seen = (from_map @ _by_cell(maps)).view(36, n, c)
    wanted = (from_gradient @ _by_cell(arriving)).view(36, n, k)
    products = torch.bmm(wanted.transpose(1, 2), seen).view(36, k * c)
    return (to_weight @ products).t().reshape(k, c, 3, 3)


def _by_cell(maps: Tensor) -> Tensor:
    """Maps `(n, c, 4, 4)` as `(16, n c)`."""
    return maps.reshape(-1, _SIDE * _SIDE).t()
