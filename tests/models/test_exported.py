"""Exported weights: other programs' models that hold them say the same."""

import pytest
import torch
from safetensors.torch import save_file

from automix_cli.models.classifier import Classifier, ClassifierSpec, build_classifier
from automix_cli.models.exported import (
    ExportedClassifier,
    is_plain_timm,
    is_torchvision_resnet,
    load_with_ours,
    load_with_timm,
    load_with_torchvision,
    our_names,
    takes_size,
    timm_names,
)

STAGES = {"test_vit": 5}


def spec_of(backbone: str, stem: str = "imagenet", size: int = 32) -> ClassifierSpec:
    stage = STAGES.get(backbone, 3)
    return ClassifierSpec(backbone, stem, 5, 3, size, stage, 0.0)  # pyright: ignore


def network_of(spec: ClassifierSpec) -> Classifier:
    network = build_classifier(spec).eval()
    torch.nn.init.normal_(network.head_one_hot.bias)
    return network


@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit", "test_convnext"])
def test_plain_timm_loads_the_weights_and_says_the_same(backbone: str, tmp_path) -> None:
    spec = spec_of(backbone, size=160 if backbone == "test_vit" else 64)
    network = network_of(spec)
    path = tmp_path / "weights.safetensors"
    save_file(timm_names(network.state_dict(), backbone), path)
    images = torch.linspace(-1, 1, 2 * 3 * spec.image_size**2).view(2, 3, *2 * [spec.image_size])
    with torch.no_grad():
        torch.testing.assert_close(load_with_timm(str(path), spec)(images), network(images))


def test_torchvision_loads_a_resnet_and_says_the_same() -> None:
    spec = spec_of("resnet18")
    assert is_torchvision_resnet(spec.backbone, spec.stem, 3)
    network = network_of(spec)
    theirs = load_with_torchvision(timm_names(network.state_dict(), "resnet18"), spec)
    images = torch.linspace(-1, 1, 2 * 3 * 32 * 32).view(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(theirs(images), network(images))


def test_networks_that_timm_does_not_build_are_known_and_load_with_ours() -> None:
    assert not is_plain_timm("tiny_resnet", "cifar")
    assert not is_plain_timm("resnet18", "cifar")
    assert not is_torchvision_resnet("resnet18", "cifar", 3)
    assert not is_torchvision_resnet("resnet18", "imagenet", 1)
    spec = spec_of("tiny_resnet", "cifar")
    network = network_of(spec)
    other = load_with_ours(timm_names(network.state_dict(), "tiny_resnet"), spec)
    images = torch.linspace(-1, 1, 2 * 3 * 32 * 32).view(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(other(images), network(images))


def test_names_there_and_back_are_the_same_but_for_the_mixed_head() -> None:
    weights = network_of(spec_of("tiny_resnet", "cifar")).state_dict()
    back = our_names(timm_names(weights, "tiny_resnet"), "tiny_resnet")
    assert back.keys() == {name for name in weights if not name.startswith("head_mixed")}
    assert all(torch.equal(back[name], weights[name]) for name in back)


def test_normalisation_and_softmax_inside_are_those_outside() -> None:
    network = network_of(spec_of("tiny_resnet", "cifar"))
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    pixels = torch.linspace(0, 1, 2 * 3 * 32 * 32).view(2, 3, 32, 32)
    exported = ExportedClassifier(network, mean, std, softmax=True)
    outside = (pixels - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(exported(pixels), network(outside).softmax(dim=1))


def test_a_network_of_one_size_says_so() -> None:
    assert takes_size(network_of(spec_of("tiny_resnet", "cifar")), 3, 48)
    assert not takes_size(network_of(spec_of("test_vit", size=160)), 3, 200)
