"""Weight gradients by minimal filtering: the derivative of torch's convolution, where it serves."""

import copy

import pytest
import torch
from torch import Tensor, nn

from automix_cli.models.memory_format import keep_in_one_piece, use_channels_last
from automix_cli.models.small_map_convolution import SmallMapConv2d, weight_gradient

WIDE = 256


def waves(*shape: int, pitch: float = 1.7, dtype: torch.dtype = torch.float32) -> Tensor:
    numbers = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return (numbers * pitch).sin().view(shape).to(dtype)


def stage() -> nn.Sequential:
    """A stage as a ResNet's last one is: it shrinks 8x8 maps to 4x4 ones."""
    network = nn.Sequential(
        nn.Conv2d(8, WIDE, 3, stride=2, padding=1, bias=False),
        nn.Conv2d(WIDE, WIDE, 3, padding=1, bias=False),
    )
    with torch.no_grad():
        for number, parameter in enumerate(network.parameters()):
            parameter.copy_(waves(*parameter.shape, pitch=2.3 + number) / 40)
    return network


def gradients(network: nn.Module, maps: Tensor) -> list[Tensor]:
    leaves = [maps.requires_grad_(), *network.parameters()]
    result: Tensor = network(maps)
    return [result, *torch.autograd.grad((result * waves(*result.shape)).sum(), leaves)]


@pytest.fixture
def filtered() -> nn.Sequential:
    network = stage()
    use_channels_last(network)
    keep_in_one_piece(network, 4, 4)
    return network


@pytest.mark.parametrize(("n", "c", "k"), [(1, 1, 1), (3, 5, 7)])
def test_the_gradient_is_the_convolutions_own(n: int, c: int, k: int) -> None:
    maps = waves(n, c, 4, 4, dtype=torch.float64)
    arriving = waves(n, k, 4, 4, pitch=0.9, dtype=torch.float64)
    weight = torch.zeros(k, c, 3, 3, dtype=torch.float64, requires_grad=True)
    result = torch.conv2d(maps, weight, padding=1)
    (expected,) = torch.autograd.grad(result, weight, arriving)
    torch.testing.assert_close(weight_gradient(maps, arriving), expected, rtol=1e-12, atol=1e-12)


def test_a_stage_gives_the_same_maps_and_gradients(filtered: nn.Sequential) -> None:
    assert [type(each) for each in filtered] == [nn.Conv2d, SmallMapConv2d]
    wanted = gradients(stage(), waves(3, 8, 8, 8))
    for one, other in zip(gradients(filtered, waves(3, 8, 8, 8)), wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_maps_and_weights_lie_in_one_piece(filtered: nn.Sequential) -> None:
    maps = waves(3, 8, 8, 8).contiguous(memory_format=torch.channels_last)
    assert filtered(maps).is_contiguous()
    assert all(each.is_contiguous() for each in filtered.parameters())


@pytest.mark.parametrize("size", [(8, 8), (4, 8)])
def test_larger_maps_stay_channels_last(size: tuple[int, int]) -> None:
    network = stage()
    use_channels_last(network)
    keep_in_one_piece(network, *size)
    maps = network(waves(3, 8, 2 * size[0], 2 * size[1]))
    assert maps.is_contiguous(memory_format=torch.channels_last)
    assert not maps.is_contiguous()


def test_a_stage_of_few_channels_stays_as_it_is() -> None:
    network = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1, bias=False))
    use_channels_last(network)
    keep_in_one_piece(network, 4, 4)
    assert type(network[0]) is nn.Conv2d
    assert not network[0].weight.is_contiguous()


def test_other_map_sizes_and_formats_are_torchs(filtered: nn.Sequential) -> None:
    wanted = stage()
    for maps in (waves(2, 8, 12, 12), waves(2, 8, 2, 2)):
        torch.testing.assert_close(filtered(maps), wanted(maps), rtol=1e-4, atol=1e-4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = filtered(waves(2, 8, 8, 8))
        torch.testing.assert_close(result, wanted(waves(2, 8, 8, 8)), rtol=0.02, atol=0.02)
    assert result.dtype == torch.bfloat16
    assert type(result.grad_fn).__name__ == "ConvolutionBackward0"


def test_a_frozen_weight_gets_no_gradient_and_the_map_does(filtered: nn.Sequential) -> None:
    filtered.requires_grad_(requires_grad=False)
    maps = waves(2, 8, 8, 8).requires_grad_()
    filtered(maps).sum().backward()
    assert maps.grad is not None
    assert all(each.grad is None for each in filtered.parameters())


def test_a_copy_and_the_state_are_those_of_any_convolution(filtered: nn.Sequential) -> None:
    twin = copy.deepcopy(filtered)
    assert list(twin.state_dict()) == list(stage().state_dict())
    stage().load_state_dict(twin.state_dict())
    assert type(twin[1]) is SmallMapConv2d


def test_a_stage_of_bottlenecks_stays_channels_last() -> None:
    network = nn.Sequential(nn.Conv2d(WIDE, WIDE, 1), nn.Conv2d(WIDE, WIDE, 3, padding=1))
    use_channels_last(network)
    keep_in_one_piece(network, 4, 4)
    assert not network[1].weight.is_contiguous()
