"""The pretrained network that AttentiveMix+ looks at images with."""

import pytest
import timm
import torch
import torch.nn.functional as F

from automix_cli.models.attender import Attender, grid_for

PLAIN = {"mean": (0.5,), "std": (0.25,), "image_size": 32}


@pytest.fixture(scope="module")
def pretrained() -> torch.nn.Module:
    return timm.create_model("test_resnet").eval()


@pytest.mark.parametrize(
    ("size", "cells"), [(224, 7), (32, 8), (64, 8), (28, 7), (96, 8), (18, 6), (15, 5), (13, 13)]
)
def test_the_grid_is_the_divisor_nearest_to_seven(size: int, cells: int) -> None:
    assert grid_for(size) == cells


@pytest.mark.parametrize("size", [3, 31, 34])
def test_a_size_without_a_grid_of_whole_pixels_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"must have a divisor from 4 to 16.*got `{size}`"):
        grid_for(size)


def test_it_sees_what_the_network_sees_of_enlarged_images_as_it_was_trained_with_them(
    pretrained: torch.nn.Module,
) -> None:
    attend = Attender("test_resnet", pretrained.state_dict(), **PLAIN)
    pixels = torch.rand(2, 1, 32, 32)
    seen = attend((pixels - 0.5) / 0.25)
    config = pretrained.pretrained_cfg
    mean, std = (torch.tensor(config[name]).view(-1, 1, 1) for name in ("mean", "std"))
    shown = F.interpolate((pixels.expand(-1, 3, -1, -1) - mean) / std, size=256, mode="bilinear")
    with torch.no_grad():
        torch.testing.assert_close(seen, pretrained.forward_features(shown), rtol=1e-3, atol=1e-4)
    assert seen.shape[2:] == (8, 8)
    assert not seen.requires_grad


def test_weights_without_their_classification_head_serve_too(pretrained: torch.nn.Module) -> None:
    weights = {n: each for n, each in pretrained.state_dict().items() if not n.startswith("fc.")}
    assert len(weights) < len(pretrained.state_dict())
    Attender("test_resnet", weights, **PLAIN)


@pytest.mark.parametrize("change", ["missing", "unknown", "shape"])
def test_weights_of_another_network_are_refused(pretrained: torch.nn.Module, change: str) -> None:
    weights = dict(pretrained.state_dict())
    name = "layer1.0.conv1.weight"
    if change == "missing":
        del weights[name]
    elif change == "unknown":
        weights = {**weights, "layer9.weight": torch.zeros(1)}
        name = "layer9.weight"
    else:
        weights[name] = torch.zeros(1)
    with pytest.raises(ValueError, match=f"of another network: they differ in `{name}`"):
        Attender("test_resnet", weights, **PLAIN)


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(ValueError, match="one of timm's models, got `resnet1`"):
        Attender("resnet1", {}, **PLAIN)


def test_a_network_without_a_last_map_is_refused() -> None:
    weights = timm.create_model("test_vit").state_dict()
    attend = Attender("test_vit", weights, **{**PLAIN, "image_size": 40})  # 10 x 10 of 16 pixels
    with pytest.raises(ValueError, match="must end in a feature map"):
        attend(torch.zeros(1, 3, 40, 40))
