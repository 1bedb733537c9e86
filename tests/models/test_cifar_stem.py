"""The stem for small images, in plain ResNets and nowhere else."""

import pytest
import timm
import torch
from torch import nn

from automix_cli.models.cifar_stem import use_cifar_stem


def num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def conv(inputs: int, outputs: int, size: int) -> int:
    """Weights of a convolution without bias."""
    return inputs * outputs * size * size


def linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


STEM_IMAGENET, STEM_CIFAR = conv(3, 64, 7), conv(3, 64, 3)

# torchvision's documentation of its models, with 1,000 classes and the ImageNet stem.
PUBLISHED = {
    "resnet18": (11_689_512, 512),
    "resnet34": (21_797_672, 512),
    "resnet50": (25_557_032, 2048),
    "resnext50_32x4d": (25_028_904, 2048),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_without_the_stem_backbones_are_the_published_ones(name: str) -> None:
    published, width = PUBLISHED[name]
    backbone = timm.create_model(name, num_classes=0)
    assert num_parameters(backbone) + linear(width, 1000) == published


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_stem_changes_the_first_convolution_and_nothing_else(name: str) -> None:
    published, width = PUBLISHED[name]
    backbone = use_cifar_stem(timm.create_model(name, num_classes=0))
    wanted = published - linear(width, 1000) - STEM_IMAGENET + STEM_CIFAR
    assert num_parameters(backbone) == wanted


def test_cifar_resnet18_has_the_number_of_parameters_of_the_literature() -> None:
    backbone = use_cifar_stem(timm.create_model("resnet18", num_classes=0))
    with_head = {k: num_parameters(backbone) + linear(512, k) for k in (10, 100)}
    assert with_head == {10: 11_173_962, 100: 11_220_132}


def test_cifar_resnext50_has_the_number_of_parameters_of_its_definition() -> None:
    # Bottlenecks of cardinality 32 and width 4, twice as wide at each stage; see Xie et al. 2017.
    total = STEM_CIFAR + 2 * 64
    inputs = 64
    for num_blocks, inner in ((3, 128), (4, 256), (6, 512), (3, 1024)):
        outputs = 2 * inner
        for _ in range(num_blocks):
            total += conv(inputs, inner, 1) + conv(inner // 32, inner, 3) + conv(inner, outputs, 1)
            total += 2 * (inner + inner + outputs)  # batch-norms
            if inputs != outputs:
                total += conv(inputs, outputs, 1) + 2 * outputs
            inputs = outputs
    backbone = use_cifar_stem(timm.create_model("resnext50_32x4d", num_classes=0))
    assert num_parameters(backbone) == total == 22_972_224
    assert total + linear(2048, 100) == 23_177_124


@pytest.mark.parametrize("name", ["resnet18", "resnext50_32x4d", "seresnet50"])
def test_stages_keep_the_positions_that_small_images_need(name: str) -> None:
    backbone = use_cifar_stem(timm.create_model(name, num_classes=0)).eval()
    with torch.no_grad():
        maps = backbone.forward_intermediates(torch.zeros(1, 3, 32, 32), intermediates_only=True)
    assert [tuple(each.shape[2:]) for each in maps] == [
        (32, 32),
        (32, 32),
        (16, 16),
        (8, 8),
        (4, 4),
    ]
    stated = [32 // each["reduction"] for each in backbone.feature_info]
    assert stated == [each.shape[2] for each in maps]


def test_the_new_convolution_is_initialised_by_fan_out() -> None:
    weights = use_cifar_stem(timm.create_model("resnet18", num_classes=0)).conv1.weight
    fan_out = 64 * 3 * 3
    # 1,728 draws: the standard error of their deviation is 1.7 %, so 7 % is four of them.
    assert weights.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.07)


@pytest.mark.parametrize(("name", "last"), [("resnet18", "bn2"), ("resnext50_32x4d", "bn3")])
def test_the_last_norm_of_every_residual_branch_starts_at_zero(name: str, last: str) -> None:
    backbone = use_cifar_stem(timm.create_model(name, num_classes=0))
    blocks = [block for stage in range(1, 5) for block in getattr(backbone, f"layer{stage}")]
    assert len(blocks) == sum({"resnet18": (2, 2, 2, 2), "resnext50_32x4d": (3, 4, 6, 3)}[name])
    assert all(getattr(block, last).weight.abs().max() == 0 for block in blocks)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("convnext_atto_ols", "replaces one convolution over patches"),
        ("vit_tiny_patch16_224", "not a VisionTransformer"),
        ("resnet18d", "not a stem of several layers"),
        ("resnet26t", "not a stem of several layers"),
    ],
)
def test_backbones_that_it_does_not_fit_are_refused(name: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        use_cifar_stem(timm.create_model(name, num_classes=0))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("resnet18", "replaces one convolution and a max-pool"),
        ("convnext_atto", "replaces one convolution over patches"),
    ],
)
def test_a_second_time_is_refused(name: str, problem: str) -> None:
    backbone = use_cifar_stem(timm.create_model(name, num_classes=0))
    with pytest.raises(ValueError, match=problem):
        use_cifar_stem(backbone)


def test_cifar_convnext_tiny_has_the_number_of_parameters_of_its_definition() -> None:
    # Liu et al. 2022: depthwise 7x7, LayerNorm, two linear maps around four times the width, layer
    # scale; LayerNorm and 2x2 convolution between stages; LayerNorm behind the mean.
    widths, depths = (96, 192, 384, 768), (3, 3, 9, 3)
    total = conv(3, 96, 3) + 96 + 2 * 96
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        block = conv(1, width, 7) + width + 2 * width + width
        total += depth * (block + linear(width, 4 * width) + linear(4 * width, width))
        if stage:
            before = widths[stage - 1]
            total += 2 * before + conv(before, width, 2) + width
    total += 2 * 768
    backbone = use_cifar_stem(timm.create_model("convnext_tiny", num_classes=0))
    assert num_parameters(backbone) == total == 27_818_112
    # The one with the stem of ImageNet has 28,589,128, with 1,000 classes (torchvision).
    assert total - conv(3, 96, 3) + conv(3, 96, 4) + linear(768, 1000) == 28_589_128


def test_a_convnext_keeps_the_positions_that_small_images_need() -> None:
    backbone = use_cifar_stem(timm.create_model("convnext_atto", num_classes=0)).eval()
    with torch.no_grad():
        maps = backbone.forward_intermediates(torch.zeros(1, 3, 32, 32), intermediates_only=True)
    assert [each.shape[2] for each in maps] == [32, 16, 8, 4]
    assert [32 // each["reduction"] for each in backbone.feature_info] == [32, 16, 8, 4]


def test_the_new_convolution_of_a_convnext_is_initialised_as_its_others() -> None:
    stem = use_cifar_stem(timm.create_model("convnext_tiny", num_classes=0)).stem
    # 2,592 draws: the standard error of their deviation is 1.4 %, so 6 % is four of them.
    assert stem[0].weight.std().item() == pytest.approx(0.02, rel=0.06)
    assert stem[0].bias.abs().max() == 0
