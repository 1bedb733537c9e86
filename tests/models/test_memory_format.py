"""Channels last: the same numbers, weights laid out by pixel, and no crash on a CPU."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from automix_cli.models.classifier import ClassifierSpec, build_classifier
from automix_cli.models.memory_format import use_channels_last


def resnet() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)  # noqa: TID251 - the first weights of a network come from there
        return build_classifier(ClassifierSpec("tiny_resnet", "cifar", 5, 3, 32, 3, 0.0)).eval()


def narrow(stride: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)  # noqa: TID251 - as above
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 12, 1, stride=stride)
        )


def pictures(n: int, size: int) -> torch.Tensor:
    return torch.linspace(-1, 1, n * 3 * size * size).sin().view(n, 3, size, size)


def test_feature_maps_follow_the_weights() -> None:
    network = resnet()
    use_channels_last(network)
    maps = network.features(pictures(2, 32))
    assert maps.is_contiguous(memory_format=torch.channels_last)
    assert not maps.is_contiguous()


def test_logits_are_the_same_up_to_rounding() -> None:
    network = resnet()
    wanted = network(pictures(3, 32))
    use_channels_last(network)
    torch.testing.assert_close(network(pictures(3, 32)), wanted, rtol=1e-4, atol=1e-5)


def test_the_state_keeps_its_names_and_values() -> None:
    network = resnet()
    before = copy.deepcopy(network.state_dict())
    use_channels_last(network)
    after = network.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [8, 9])
def test_a_narrow_shrinking_convolution_gives_the_same_map_and_gradient(
    stride: int, size: int
) -> None:
    plain, other = narrow(stride), narrow(stride)
    use_channels_last(other)
    images = pictures(3, size)
    torch.testing.assert_close(other(images), plain(images), rtol=1e-5, atol=1e-6)
    for network in (plain, other):
        network(images).square().sum().backward()
    for one, two in zip(plain.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(two.grad, one.grad, rtol=1e-4, atol=1e-5)


def test_narrow_shrinking_convolutions_survive_several_threads() -> None:
    """Without the detour torch 2.15 ends this in a segmentation fault."""
    program = """
import torch
from automix_cli.models.memory_format import use_channels_last
torch.set_num_threads(2)
for n in (5, 7, 33):
    network = torch.nn.Conv2d(8, 24, 1, stride=2, bias=False)
    use_channels_last(network)
    images = torch.ones(n, 8, 16, 16).contiguous(memory_format=torch.channels_last)
    for _ in range(3):
        network(images.requires_grad_()).sum().backward()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
