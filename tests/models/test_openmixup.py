"""Weights of OpenMixup under our names: the networks that hold them say what theirs say."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from automix_cli.method import (
    AutoMix,
    AutoMixOptions,
    Draws,
    MixBlock,
    MixBlockOptions,
    Pairing,
    SAMixBlock,
    SAMixBlockOptions,
)
from automix_cli.models.classifier import ClassifierSpec, build_classifier
from automix_cli.models.openmixup import Converted, converted
from tests.method.conftest import ToyClassifier

FILES = Path(__file__).parent.parent / "golden"
THEIR_PARTS = {
    "classifier.backbone.": ("backbone_q.",),
    "momentum_classifier.backbone.": ("backbone_k.", "backbone."),
    "classifier.head_one_hot.": ("head_one_q.fc.",),
    "momentum_classifier.head_one_hot.": ("head_one_k.fc.", "head.fc."),
    "classifier.head_mixed.": ("head_mix_q.fc.",),
    "momentum_classifier.head_mixed.": ("head_mix_k.fc.",),
    "mix_block.": ("mix_block.",),
}
"""The parts of the golden files, and what `AutoMixup` calls them: two have two names."""


class Golden:
    """A file of recorded steps of the reference, with its state under the reference's names."""

    def __init__(self, name: str) -> None:
        with np.load(FILES / f"{name}.npz") as file:
            self.hyper: dict[str, Any] = json.loads(str(file["hyper"]))
            self.recorded = {n: torch.from_numpy(file[n]) for n in file.files if n != "hyper"}
        self.state: dict[str, Tensor] = {}
        for name_, tensor in self.recorded.items():
            if name_.startswith("initial/"):
                ours = name_.removeprefix("initial/")
                part = next(each for each in THEIR_PARTS if ours.startswith(each))
                for theirs in THEIR_PARTS[part]:
                    inside = ours.removeprefix(part)
                    if inside.startswith(("query.", "key.")):  # as version 0.2.8 and later write it
                        inside = inside.replace(".", ".conv.", 1)
                    self.state[theirs + inside] = tensor

    def method(self) -> AutoMix:
        """AutoMix or SAMix on the toy networks of the file, as it starts."""
        block = self.hyper["mix_block"]
        made: MixBlock | SAMixBlock
        if block["lam_mul"]:
            samix = SAMixBlockOptions(lam_embedding="multiply", lam_rescale=block["lam_mul_k"])
            made = SAMixBlock(16, samix)
        else:
            embedding = "concat" if block["lam_concat"] else "none"
            made = MixBlock(16, MixBlockOptions(lam_embedding=embedding))
        return AutoMix(ToyClassifier(), ToyClassifier(), made, AutoMixOptions(lam_margin=0.0))

    def pairing(self, which: str) -> Pairing:
        lam, perm = (self.recorded[f"step0/{which}/{name}"] for name in ("lam", "perm"))
        return Pairing(lam.float().expand(len(perm)), perm)


@pytest.mark.parametrize("name", ["cifar", "lam_concat_bilinear", "samix"])
def test_taken_over_weights_make_the_masks_and_losses_that_the_reference_recorded(
    name: str,
) -> None:
    golden = Golden(name)
    method = golden.method()
    method.load_state_dict(converted(golden.state, "resnet18").state)
    images, labels = golden.recorded["step0/images"], golden.recorded["step0/labels"]
    upsampling = golden.hyper["mix_block"]["unsampling_mode"][0]
    draws = Draws(
        for_classifier=golden.pairing("for_classifier"),
        for_mix_block=golden.pairing("for_mix_block"),
        upsampling_for_classifier=upsampling,
        upsampling_for_mix_block=upsampling,
    )
    masks = method.masks(images, draws)
    exact = {"rtol": 1e-5, "atol": 1e-6}
    wanted = golden.recorded["step0/for_mix_block/mask"]
    torch.testing.assert_close(masks.for_mix_block, wanted, **exact)
    wanted = golden.recorded["step0/for_classifier/mask_before_fallback"]
    torch.testing.assert_close(masks.for_classifier, wanted, **exact)
    loss = F.cross_entropy(method.classifier(images), labels)
    torch.testing.assert_close(loss, golden.recorded["step0/loss/one_hot"], **exact)


def test_both_spellings_and_a_wrapper_give_the_same() -> None:
    golden = Golden("cifar")
    old = {
        f"module.{name.replace('query.conv.', 'query.').replace('.fc.', '.fc_cls.')}": each
        for name, each in golden.state.items()
    }
    new = converted(golden.state, "resnet18").state
    assert converted(old, "resnet18").state == new
    assert len(new) == sum(name.startswith("initial/") for name in golden.recorded)


def spec_of(backbone: str, stem: str, size: int = 32) -> ClassifierSpec:
    stage = 2 if backbone.startswith("wide") else 3
    return ClassifierSpec(backbone, stem, 5, 3, size, stage, 0.0)  # pyright: ignore


def some_images(size: int = 32) -> Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1)) - 0.5


def stirred(network: nn.Module) -> nn.Module:
    """Give statistics and norms values of a network that was trained."""
    rng = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and tensor.ndim == 1:
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=rng) * ("bias" not in name))
    return network.eval()


def put_in(found: Converted, spec: ClassifierSpec) -> nn.Module:
    """Our network with the weights of a rival's momentum classifier; all of it from the file."""
    network = build_classifier(spec)
    prefix = "momentum_classifier."
    own = {
        name.removeprefix(prefix): each
        for name, each in found.state.items()
        if name.startswith(prefix)
    }
    head = network.head_mixed.state_dict()
    network.load_state_dict({**own, **{f"head_mixed.{name}": head[name] for name in head}})
    return network.eval()


@pytest.mark.parametrize(
    ("backbone", "stem"),
    [
        pytest.param("resnet18", "imagenet", id="ResNet-18"),
        pytest.param("resnet18", "cifar", id="ResNet-18 for CIFAR"),
        pytest.param("resnext50_32x4d", "imagenet", id="ResNeXt-50", marks=pytest.mark.slow),
        pytest.param("resnet50", "imagenet", id="ResNet-50", marks=pytest.mark.slow),
        pytest.param("resnext50_32x4d", "cifar", id="RX50 for CIFAR", marks=pytest.mark.slow),
    ],
)
def test_a_resnet_says_what_torchvisions_says_whose_layer_names_the_reference_has(
    backbone: str, stem: str
) -> None:
    theirs: Any = torchvision.models.get_model(backbone, num_classes=5)
    if stem == "cifar":  # `ResNet_CIFAR._make_stem_layer`
        theirs.conv1 = nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
        theirs.maxpool = nn.Identity()
    stirred(theirs)
    state = {
        f"head.{name}" if name.startswith("fc.") else f"backbone.{name}": each
        for name, each in theirs.state_dict().items()
    }
    found = converted(state, backbone)
    assert not found.has_mix_block
    ours = put_in(found, spec_of(backbone, stem))
    with torch.no_grad():
        wanted = theirs(some_images())
        assert wanted.std() > 1e-3
        torch.testing.assert_close(ours(some_images()), wanted, rtol=1e-4, atol=1e-5)


def wide_resnet_of_the_reference(weights: dict[str, Tensor], images: Tensor) -> Tensor:
    """The forward of OpenMixup's `WideResNet` with head, written from its definition."""

    def conv(name: str, x: Tensor, stride: int = 1) -> Tensor:
        kernel = weights[f"{name}.weight"]
        padding = kernel.shape[2] // 2
        return F.conv2d(x, kernel, weights[f"{name}.bias"], stride=stride, padding=padding)

    def activated(name: str, x: Tensor) -> Tensor:
        kinds = ("running_mean", "running_var", "weight", "bias")
        normed = F.batch_norm(x, *(weights[f"{name}.{kind}"] for kind in kinds), eps=1e-3)
        return F.leaky_relu(normed, 0.1)

    x = conv("backbone.conv1", images)
    for block in (1, 2, 3):
        for number in range(4):
            name = f"backbone.block{block}.layer.{number}"
            stride = 2 if block > 1 and number == 0 else 1
            before = activated(f"{name}.bn1", x)
            inner = activated(f"{name}.bn2", conv(f"{name}.conv1", before, stride))
            shortcut = x
            if f"{name}.convShortcut.weight" in weights:
                shortcut = conv(f"{name}.convShortcut", before if block == 1 else x, stride)
            x = shortcut + conv(f"{name}.conv2", inner)
    pooled = activated("backbone.bn1", x).mean(dim=(2, 3))
    return F.linear(pooled, weights["head.fc.weight"], weights["head.fc.bias"])


def test_a_wide_resnet_says_what_the_references_says() -> None:
    ours = stirred(build_classifier(spec_of("wide_resnet28_8", "cifar", 16)))
    renamed = {
        "backbone.stages.": "backbone.block",
        "backbone.norm.": "backbone.bn1.",
        "head_one_hot.": "head.fc.",
        "backbone.conv1.": "backbone.conv1.",
    }
    state: dict[str, Tensor] = {}
    for name, tensor in ours.state_dict().items():
        if name.startswith("head_mixed."):
            continue
        start = next(each for each in renamed if name.startswith(each))
        inside = name.removeprefix(start)
        if start == "backbone.stages.":
            stage, inside = inside.split(".", 1)
            inside = f"{int(stage) + 1}.layer.{inside}"
            for our, their in {"norm": "bn", "shortcut": "convShortcut"}.items():
                inside = inside.replace(our, their)
        state[renamed[start] + inside] = tensor.clone()
    found = put_in(converted(state, "wide_resnet28_8"), spec_of("wide_resnet28_8", "cifar", 16))
    with torch.no_grad():
        wanted = wide_resnet_of_the_reference(state, some_images(16))
        assert wanted.std() > 1e-3
        torch.testing.assert_close(found(some_images(16)), wanted, rtol=1e-4, atol=1e-4)


def test_adautomix_and_normed_queries_have_their_places() -> None:
    one = torch.zeros(1)
    names = ("conv_q.conv.weight", "conv_q.bn.bias", "conv_k.conv.weight", "conv_v.bias")
    state = {f"mix_block.{name}": one for name in names} | {"mix_block.query.ln.weight": one}
    ours = ("query.weight", "query_norm.bias", "key.weight", "value.bias", "query_norm.norm.weight")
    found = converted(state, "resnet18").state
    assert set(found) == {f"mix_block.{name}" for name in ours}


def test_unknown_names_are_all_listed_and_nothing_is_dropped_in_silence() -> None:
    golden = Golden("cifar")
    odd = {**golden.state, "neck.0.weight": torch.zeros(1), "decoder.bias": torch.zeros(1)}
    with pytest.raises(ValueError, match=r"`neck\.0\.weight`, `decoder\.bias`"):
        converted(odd, "resnet18")
    rival = {"backbone.conv1.weight": torch.zeros(1), "head.fc.bias": torch.zeros(1)}
    more = {"backbone_k.conv1.weight": torch.zeros(1), "ema_head_fc_bias": torch.zeros(1)}
    found = converted({**rival, **more}, "resnet18")
    assert set(found.left_out) == set(more)
    assert "AttentiveMix+" in found.left_out["backbone_k.conv1.weight"]


def test_a_second_name_that_holds_something_else_is_refused() -> None:
    golden = Golden("cifar")
    golden.state["head.fc.bias"] = golden.state["head.fc.bias"] + 1
    with pytest.raises(ValueError, match=r"`head\.fc\.bias` should be the same"):
        converted(golden.state, "resnet18")


@pytest.mark.parametrize(
    ("weights", "backbone", "words"),
    [
        ({"backbone.conv1.weight": torch.zeros(1)}, "deit_small_patch16_224", "are not known here"),
        ({}, "resnet18", "no classifier of OpenMixup has: all"),
        ({"fc.weight": torch.zeros(1)}, "resnet18", r"`fc\.weight`"),
    ],
)
def test_what_is_no_classifier_of_the_reference_is_refused(
    weights: dict[str, Tensor], backbone: str, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        converted(weights, backbone)
