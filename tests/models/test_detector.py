"""A detector on the backbone of a classifier."""

import copy
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from automix_cli.models.backbones import ClassifierSpec, build_backbone
from automix_cli.models.detector import (
    DetectorSpec,
    DetectorTraining,
    Pyramid,
    stages_of,
    try_detector,
)
from automix_cli.models.freezing import freeze_batch_norm, freeze_stages

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.3)
SPEC = DetectorSpec(
    num_classes=2, mean=MEAN, std=STD, channels=16, head_width=24, regions=16, anchor_scale=6.0
)


def backbone(name: str = "tiny_resnet", stem: str = "cifar") -> nn.Module:
    return build_backbone(ClassifierSpec(name, stem, 0, 3, 64, 1, 0.0))


@pytest.fixture
def training() -> DetectorTraining:
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        return DetectorTraining(backbone(), SPEC)


def images(*sizes: tuple[int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(3, height, width, generator=generator) for height, width in sizes]


def found(*boxes: list[float]) -> tuple[Tensor, Tensor]:
    corners = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return corners, torch.ones(len(boxes), dtype=torch.int64)


@pytest.mark.parametrize(
    ("name", "stages", "strides"),
    [
        ("resnet18", (1, 2, 3, 4), (4, 8, 16, 32)),
        ("test_convnext", (0, 1, 2, 3), (4, 8, 16, 32)),
        ("test_efficientnet", (1, 2, 3, 4), (4, 8, 16, 32)),
    ],
)
def test_a_pyramid_stands_on_the_last_stage_of_each_scale(
    name: str, stages: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    network = backbone(name, "imagenet")
    assert (stages_of(network)[0], stages_of(network)[2]) == (stages, strides)
    pyramid = Pyramid(network, 8).eval()
    with torch.no_grad():
        maps = pyramid(torch.zeros(1, 3, 64, 64))
    shapes = {level: tuple(each.shape[1:]) for level, each in maps.items()}
    wanted = [(8, 64 // stride, 64 // stride) for stride in strides]
    assert list(shapes.values()) == [*wanted, (8, 1, 1)]


@pytest.mark.parametrize("name", ["test_vit", "wide_resnet28_8"])
def test_a_backbone_without_stages_of_several_scales_is_refused(name: str) -> None:
    with torch.device("meta"):
        network = timm.create_model(name) if name == "test_vit" else backbone(name)
    with pytest.raises(ValueError, match="needs a backbone with stages of two or more scales"):
        stages_of(network)


def test_maps_of_another_scale_than_stated_are_refused() -> None:
    network: Any = backbone()
    network.feature_info[4]["reduction"] = 16
    with pytest.raises(ValueError, match="pixels a cell"):
        try_detector(DetectorTraining(network, SPEC), 3)


def test_images_are_normalised_and_neither_resized_nor_moved(training: DetectorTraining) -> None:
    shown = images((40, 56))
    batch, _ = training.detector.transform(shown)
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (MEAN, STD))
    torch.testing.assert_close(batch.tensors[0, :, :40, :56], (shown[0] - mean) / std)
    assert batch.image_sizes == [(40, 56)]


def test_the_total_is_the_sum_and_its_gradient_reaches_backbone_and_heads(
    training: DetectorTraining,
) -> None:
    shown = images((48, 64), (64, 40))
    losses = training(shown, [found([4, 4, 40, 40]), found([2, 8, 30, 60])], None)
    torch.testing.assert_close(losses.total, torch.stack(losses[1:]).sum())
    losses.total.backward()
    without = [name for name, each in training.named_parameters() if each.grad is None]
    assert without == []


def test_what_is_found_lies_in_the_image_in_its_own_pixels(training: DetectorTraining) -> None:
    training.eval()
    for image, each in zip(
        images((48, 64), (64, 40)), training.detect(images((48, 64), (64, 40))), strict=True
    ):
        height, width = image.shape[1:]
        x0, y0, x1, y1 = each["boxes"].unbind(1)
        assert bool((x0 >= 0).all() and (y0 >= 0).all())
        assert bool((x1 <= width).all() and (y1 <= height).all())
        assert set(each["labels"].tolist()) <= {1, 2}
        assert bool((each["scores"].diff() <= 0).all())


def test_frozen_parts_stay_where_they_are_in_training(training: DetectorTraining) -> None:
    freeze_stages(training.pyramid, 2)
    freeze_batch_norm(training.pyramid, statistics=True, affine=True)
    training.train()
    before = copy.deepcopy(training.state_dict())
    optimizer = torch.optim.SGD([p for p in training.parameters() if p.requires_grad], lr=0.1)
    training(images((48, 64)), [found([4, 4, 40, 40])], None).total.backward()
    optimizer.step()
    moved = {n for n, each in training.state_dict().items() if not torch.equal(before[n], each)}
    assert any("backbone.backbone.layer2" in name for name in moved)
    assert any("fpn" in name for name in moved)
    frozen = ("backbone.backbone.conv1", "backbone.backbone.bn1", "backbone.backbone.layer1")
    assert not [name for name in moved if any(part in name for part in (*frozen, ".bn"))]
