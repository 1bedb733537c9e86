"""The thin ResNet of the embedded digits is small, cheap and of the right shape."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from automix_cli.models.tiny_resnet import tiny_resnet


@pytest.mark.parametrize("in_channels", [1, 3])
def test_stage_three_has_8_by_8_and_the_last_stage_4_by_4_positions(in_channels: int) -> None:
    backbone = tiny_resnet(in_channels=in_channels, drop_path_rate=0.0).eval()
    image = torch.zeros(1, in_channels, 32, 32)
    with torch.no_grad():
        maps = backbone.forward_intermediates(image, intermediates_only=True)
    assert [tuple(each.shape[1:]) for each in maps] == [
        (8, 32, 32),
        (8, 32, 32),
        (16, 16, 16),
        (64, 8, 8),
        (128, 4, 4),
    ]
    stated = [32 // each["reduction"] for each in backbone.feature_info]
    assert stated == [each.shape[2] for each in maps]


def test_an_image_costs_less_than_ten_million_multiply_adds() -> None:
    backbone = tiny_resnet(in_channels=1, drop_path_rate=0.0).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        backbone(torch.zeros(1, 1, 32, 32))
    assert counter.get_total_flops() / 2 < 10e6


def test_it_has_no_head_of_its_own() -> None:
    backbone = tiny_resnet(in_channels=1, drop_path_rate=0.0)
    assert sum(parameter.numel() for parameter in backbone.parameters()) == 282_584
    assert backbone(torch.zeros(2, 1, 32, 32)).shape == (2, 128)


def test_the_last_norm_of_every_residual_branch_starts_at_zero() -> None:
    backbone = tiny_resnet(in_channels=1, drop_path_rate=0.0)
    blocks = [getattr(backbone, f"layer{stage}")[0] for stage in range(1, 5)]
    assert all(block.bn2.weight.abs().max() == 0 for block in blocks)


def test_stochastic_depth_grows_towards_the_last_block() -> None:
    backbone = tiny_resnet(in_channels=1, drop_path_rate=0.3)
    blocks = [getattr(backbone, f"layer{stage}")[0] for stage in range(1, 5)]
    rates = [block.drop_path.drop_prob if block.drop_path else 0.0 for block in blocks]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_no_shortcut_is_a_convolution_that_skips_positions() -> None:
    # Those of few channels crash torch 2.15 in channels-last; see the module.
    backbone = tiny_resnet(in_channels=1, drop_path_rate=0.0)
    convolutions = [each for each in backbone.modules() if isinstance(each, nn.Conv2d)]
    pointwise = [each for each in convolutions if each.kernel_size == (1, 1)]
    assert len(pointwise) == 3
    assert all(each.stride == (1, 1) for each in pointwise)
