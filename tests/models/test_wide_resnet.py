"""WRN-28-8 and WRN-28-10 are the networks of the literature, with the stages that timm's have."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from automix_cli.models.wide_resnet import WideResNet, wide_resnet


def network(name: str = "wide_resnet28_8") -> WideResNet:
    return wide_resnet(name, in_channels=3, drop_path_rate=0.0)


def images(size: int = 8) -> Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


def convolutions(module: nn.Module) -> list[nn.Conv2d]:
    return [each for each in module.modules() if isinstance(each, nn.Conv2d)]


def num_parameters(k: int) -> int:
    """Counted from the definition: Zagoruyko and Komodakis 2016, with biases in convolutions."""

    def conv(inputs: int, outputs: int, size: int) -> int:
        return inputs * outputs * size * size + outputs

    total, inputs = conv(3, 16, 3), 16
    for width in (16 * k, 32 * k, 64 * k):
        total += conv(inputs, width, 1)
        for _ in range(4):
            total += 2 * inputs + conv(inputs, width, 3) + 2 * width + conv(width, width, 3)
            inputs = width
    return total + 2 * inputs


@pytest.mark.parametrize(("name", "k"), [("wide_resnet28_8", 8), ("wide_resnet28_10", 10)])
def test_it_has_the_number_of_parameters_of_its_definition(name: str, k: int) -> None:
    with torch.device("meta"):
        found = sum(parameter.numel() for parameter in network(name).parameters())
    assert found == num_parameters(k) == {8: 23_357_792, 10: 36_482_880}[k]


def test_without_biases_it_has_the_number_of_parameters_of_the_literature() -> None:
    # WRN-28-10 for CIFAR-10: 36.5 million in the paper, 36,479,194 where it is counted.
    with torch.device("meta"):
        backbone = network("wide_resnet28_10")
    biases = sum(each.bias.numel() for each in convolutions(backbone) if each.bias is not None)
    found = sum(parameter.numel() for parameter in backbone.parameters())
    assert found - biases + 640 * 10 + 10 == 36_479_194


def test_it_has_28_layers_with_its_three_shortcuts() -> None:
    with torch.device("meta"):
        sizes = [each.kernel_size for each in convolutions(network())]
    assert sizes.count((3, 3)) + sizes.count((1, 1)) == 28  # 6 N + 4: the paper counts shortcuts
    assert sizes.count((1, 1)) == 3


def test_its_stages_are_the_published_ones() -> None:
    with torch.device("meta"):
        backbone = network()
        maps = backbone.forward_intermediates(images(32).to("meta"), intermediates_only=True)
    shapes = [tuple(each.shape[1:]) for each in maps]
    assert shapes == [(16, 32, 32), (128, 32, 32), (256, 16, 16), (512, 8, 8)]
    assert [32 // info["reduction"] for info in backbone.feature_info] == [32, 32, 16, 8]
    assert [info["num_chs"] for info in backbone.feature_info] == [16, 128, 256, 512]


def test_each_stage_is_what_the_module_gives_that_is_named_for_it() -> None:
    backbone = network().eval()
    seen: list[Tensor] = []
    for info in backbone.feature_info:
        module = backbone.get_submodule(info["module"])
        module.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.no_grad():
        maps = backbone.forward_intermediates(images(), intermediates_only=True)
    assert all(torch.equal(*each) for each in zip(maps, seen, strict=True))


def test_batch_norms_move_by_a_thousandth_and_activations_leak_a_tenth() -> None:
    backbone = network()
    norms = [each for each in backbone.modules() if isinstance(each, nn.BatchNorm2d)]
    assert len(norms) == 25
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 1e-3)}
    raw = backbone.forward_intermediates(images(), indices=[3], intermediates_only=True)[0]
    normalised = (raw - raw.mean((0, 2, 3), keepdim=True)) / (
        raw.var((0, 2, 3), correction=0, keepdim=True) + 1e-3
    ).sqrt()
    wanted = torch.where(normalised > 0, normalised, 0.1 * normalised)
    torch.testing.assert_close(backbone.forward_features(images()), wanted, rtol=1e-3, atol=1e-4)


def test_only_the_first_block_activates_its_shortcut() -> None:
    backbone = network().eval()
    for stage, is_shared in ((0, True), (1, False)):
        block = backbone.stages[stage][0]
        with torch.no_grad():
            block.conv2.weight.zero_()  # so that nothing but the shortcut is left
        feature = torch.randn(1, block.norm1.num_features, 4, 4)
        activated = F.leaky_relu(block.norm1(feature), 0.1)
        wanted = block.shortcut(activated if is_shared else feature)
        assert torch.equal(block(feature), wanted)


def test_a_block_of_equal_widths_adds_its_branch_to_what_came_in() -> None:
    block = network().eval().stages[1][1]
    feature = torch.randn(1, 256, 4, 4)
    branch = block.conv1(F.leaky_relu(block.norm1(feature), 0.1))
    branch = block.conv2(F.leaky_relu(block.norm2(branch), 0.1))
    torch.testing.assert_close(block(feature), feature + branch)


def test_weights_start_normal_scaled_by_fan_out_and_biases_at_zero() -> None:
    block = network().stages[2][1]
    # 2.4 million draws: the standard error of their deviation is 0.05 %.
    assert block.conv1.weight.std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.005)
    assert block.conv1.bias.abs().max() == 0


def test_the_last_stage_is_shown_raw_unless_its_norm_is_asked_for() -> None:
    backbone = network().eval()
    with torch.no_grad():
        last, (raw,) = backbone.forward_intermediates(images(), indices=[3])
        normed = backbone.forward_intermediates(
            images(), indices=[3], norm=True, intermediates_only=True
        )[0]
    assert torch.equal(normed, last)
    assert not torch.equal(raw, last)


def test_another_output_format_is_refused() -> None:
    with pytest.raises(ValueError, match="output_fmt must be NCHW, got NLC"):
        network().forward_intermediates(images(), output_fmt="NLC")
