"""The layers of a backbone, and parts of a classifier that are frozen."""

import copy

import pytest
import timm
import torch
from timm.optim._param_groups import param_groups_layer_decay

from automix_cli import build
from automix_cli.method import estimate_batch_norm
from automix_cli.models.backbones import ClassifierSpec
from automix_cli.models.classifier import Classifier, build_classifier
from automix_cli.models.freezing import freeze_batch_norm, freeze_stages
from automix_cli.models.layers import layers_of
from automix_cli.settings import OptimizerSettings


def network(backbone: str, stem: str = "imagenet", size: int = 64, stage: int = 1) -> Classifier:
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        spec = ClassifierSpec(
            backbone=backbone,
            stem=stem,
            num_classes=3,
            in_channels=3,
            image_size=size,
            feature_stage=stage,
            drop_path_rate=0.0,
        )
        return build_classifier(spec)


@pytest.fixture
def tiny() -> Classifier:
    return network("tiny_resnet", "cifar", 16)


def images(n: int = 4) -> torch.Tensor:
    return torch.randn(n, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_blocks_are_layers_the_stem_is_the_first_and_the_heads_the_last(tiny: Classifier) -> None:
    layers = layers_of(tiny, coarse=False)
    assert {
        name.split(".")[1] if "backbone" in name else "head": n for name, n in layers.items()
    } == {
        "conv1": 0,
        "bn1": 0,
        "layer1": 1,
        "layer2": 2,
        "layer3": 3,
        "layer4": 4,
        "head": 5,
    }


@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit", "test_convnext"])
def test_layers_and_their_rates_are_those_of_timm(backbone: str) -> None:
    """Only that timm's head is `fc` or `head`, and that there are two of ours."""
    ours = network(backbone, size=160, stage=0)
    module = torch.nn.Module()
    module.classifier = ours
    settings = OptimizerSettings(
        name="adamw", lr=0.1, layer_decay=0.5, decay_norm_and_bias=False, weight_decay=0.1
    )
    groups = build.optimizer(settings, module).param_groups
    names = {id(each): name for name, each in ours.named_parameters()}
    got = {
        names[id(each)].removeprefix("backbone."): group["lr_scale"]
        for group in groups
        for each in group["params"]
    }
    options = {"img_size": 160} if backbone == "test_vit" else {}
    theirs = timm.create_model(backbone, num_classes=3, **options)
    names = {id(each): name for name, each in theirs.named_parameters()}
    wanted = {
        names[id(each)]: group["lr_scale"]
        for group in param_groups_layer_decay(theirs, layer_decay=0.5)
        for each in group["params"]
    }
    head = f"{theirs.pretrained_cfg['classifier']}."
    heads = {name for name in got if name.startswith("head_")}
    assert {got.pop(name) for name in heads} == {1.0}
    assert got == {name: each for name, each in wanted.items() if not name.startswith(head)}


def test_each_layer_back_has_the_rate_of_the_next_times_the_decay(tiny: Classifier) -> None:
    """By hand: one step of plain SGD moves a weight by its layer's rate times its gradient."""
    module = torch.nn.Module()
    module.classifier = tiny
    settings = OptimizerSettings(lr=0.1, momentum=0.0, weight_decay=0.0, layer_decay=0.5)
    optimizer = build.optimizer(settings, module)
    before = {name: each.detach().clone() for name, each in tiny.named_parameters()}
    for parameter in tiny.parameters():
        parameter.grad = torch.ones_like(parameter)
    for group in optimizer.param_groups:
        group["lr"] = 0.1 * group["lr_scale"]  # as the training step does
    optimizer.step()
    moved = {
        name: float((before[name] - each.detach()).mean()) for name, each in tiny.named_parameters()
    }
    by_hand = {"conv1": 0.1 / 32, "layer1": 0.1 / 16, "layer2": 0.1 / 8}
    by_hand |= {"layer3": 0.1 / 4, "layer4": 0.1 / 2, "bn1": 0.1 / 32}
    for name, distance in moved.items():
        wanted = by_hand[name.split(".")[1]] if name.startswith("backbone.") else 0.1
        assert distance == pytest.approx(wanted, rel=1e-4)


def test_without_layer_decay_groups_are_as_before(tiny: Classifier) -> None:
    module = torch.nn.Module()
    module.classifier = tiny
    (group,) = build.optimizer(OptimizerSettings(), module).param_groups
    assert (group["name"], group["lr_scale"]) == ("classifier", 1.0)


def test_a_backbone_of_ours_says_its_layers_too() -> None:
    wide = network("wide_resnet28_8", "cifar", 16)
    layers = layers_of(wide, coarse=False)
    assert layers["backbone.conv1.weight"] == 0
    assert layers["backbone.stages.1.0.conv1.weight"] == 5
    assert layers["backbone.norm.weight"] == layers["backbone.stages.2.3.conv2.weight"] == 12
    assert layers["head_mixed.bias"] == 13
    assert layers_of(wide, coarse=True)["backbone.stages.1.3.conv1.weight"] == 2


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_frozen_batch_norm_keeps_what_it_is_told_to(
    tiny: Classifier, statistics: bool, affine: bool
) -> None:
    freeze_batch_norm(tiny, statistics=statistics, affine=affine)
    before = copy.deepcopy(tiny.state_dict())
    tiny.train()
    tiny(images()).sum().backward()
    after = tiny.state_dict()
    kept = [torch.equal(before[name], after[name]) for name in before if "running" in name]
    assert set(kept) == {statistics}
    norms = [name for name, _ in tiny.named_parameters() if ".bn" in name]
    assert {dict(tiny.named_parameters())[name].grad is None for name in norms} == {affine}


def test_frozen_statistics_are_what_training_normalises_by(tiny: Classifier) -> None:
    freeze_batch_norm(tiny, statistics=True, affine=False)
    trained, evaluated = tiny.train()(images()), tiny.eval()(images())
    assert torch.equal(trained, evaluated)


def test_a_copy_is_frozen_alike(tiny: Classifier) -> None:
    freeze_batch_norm(tiny, statistics=True, affine=True)
    twin = copy.deepcopy(tiny).train()
    before = copy.deepcopy(twin.state_dict())
    twin(images())
    assert all(torch.equal(before[name], each) for name, each in twin.state_dict().items())


def test_a_frozen_stem_keeps_weights_and_statistics(tiny: Classifier) -> None:
    freeze_stages(tiny, 1)
    before = copy.deepcopy(tiny.state_dict())
    tiny.train()
    tiny(images()).sum().backward()
    after = tiny.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert not [name for name in moved if name.startswith(("backbone.conv1", "backbone.bn1"))]
    frozen = {name for name, each in tiny.named_parameters() if not each.requires_grad}
    assert frozen == {f"backbone.{each}" for each in ("conv1.weight", "bn1.weight", "bn1.bias")}


def test_frozen_statistics_are_not_estimated_anew(tiny: Classifier) -> None:
    freeze_stages(tiny, 1)
    before = copy.deepcopy(tiny.state_dict())
    estimate_batch_norm(tiny, [images()])
    after = tiny.state_dict()
    stem = [name for name in before if name.startswith("backbone.bn1")]
    assert all(torch.equal(before[name], after[name]) for name in stem)
    assert not torch.equal(
        before["backbone.layer1.0.bn1.running_mean"], after["backbone.layer1.0.bn1.running_mean"]
    )


def test_where_all_statistics_are_frozen_no_image_is_looked_at(tiny: Classifier) -> None:
    freeze_batch_norm(tiny, statistics=True, affine=False)
    estimate_batch_norm(tiny, iter(()))  # without a frozen one: an error, there are no batches


def test_more_frozen_stages_than_there_are_are_refused(tiny: Classifier) -> None:
    freeze_stages(tiny, 5)
    assert {name for name, each in tiny.named_parameters() if each.requires_grad} == {
        f"{head}.{kind}" for head in ("head_one_hot", "head_mixed") for kind in ("weight", "bias")
    }
    with pytest.raises(ValueError, match="has 5 stages"):
        freeze_stages(tiny, 6)


def test_a_network_without_batch_norm_has_none_to_freeze() -> None:
    with pytest.raises(ValueError, match="has no batch norm"):
        freeze_batch_norm(network("test_vit", size=160, stage=0), statistics=True, affine=True)
