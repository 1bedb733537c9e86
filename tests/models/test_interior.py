"""What can be done inside a backbone: exchange a map on its way, see the class token attend."""

from dataclasses import replace

import pytest
import timm
import torch
from torch import Tensor

from automix_cli.models.classifier import Classifier, ClassifierSpec, build_classifier

TINY = ClassifierSpec(
    backbone="tiny_resnet",
    stem="cifar",
    num_classes=10,
    in_channels=3,
    image_size=32,
    feature_stage=3,
    drop_path_rate=0.0,
)
VIT = replace(TINY, backbone="test_vit", stem="imagenet", feature_stage=1)
STAGED = {  # timm's counting of maps has the stem in it, or not
    "tiny_resnet": (1, 2),
    "test_resnet": (1, 2),
    "test_convnext": (0, 1),
    "mobilenetv3_small_050": (1, 2),
}


def built(backbone: str, **changes: object) -> Classifier:
    spec = replace(TINY, backbone=backbone, stem="imagenet", feature_stage=1, image_size=64)
    return build_classifier(replace(spec, **changes)).eval()


def images(size: int = 64, channels: int = 3) -> Tensor:
    return torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("backbone", STAGED)
def test_the_stages_to_mix_are_the_first_two_behind_the_stem(backbone: str) -> None:
    assert built(backbone).mixing_stages() == STAGED[backbone]


@pytest.mark.parametrize("backbone", STAGED)
@torch.no_grad()
def test_a_map_that_stays_gives_the_embedding_and_one_that_changes_another(backbone: str) -> None:
    classifier, batch = built(backbone), images()
    for stage in classifier.mixing_stages():
        same = classifier.embed_changed(batch, stage, lambda features: features)
        assert torch.equal(same, classifier.embed(batch))
        other = classifier.embed_changed(batch, stage, lambda features: features.flip(0))
        torch.testing.assert_close(other, classifier.embed(batch.flip(0)))
        assert not torch.equal(other, same)


@torch.no_grad()
def test_the_map_that_is_shown_is_the_stages() -> None:
    classifier, batch = built("test_resnet", feature_stage=2), images()
    shown: list[Tensor] = []
    classifier.embed_changed(batch, 2, lambda features: shown.append(features) or features)
    assert torch.equal(shown[0], classifier.features(batch))


def test_the_gradient_flows_through_the_change_to_both_sides_of_it() -> None:
    classifier = built("tiny_resnet")
    classifier.embed_changed(images(), 2, lambda features: 2 * features).sum().backward()
    backbone = classifier.backbone
    for parameter in (backbone.conv1.weight, backbone.layer4[0].downsample[1].weight):
        assert parameter.grad.abs().sum() > 0


@torch.no_grad()
def test_nothing_is_left_in_the_backbone_after_a_pass_that_fails() -> None:
    classifier, batch = built("tiny_resnet"), images()
    before = classifier.embed(batch)

    def fail(_: Tensor) -> Tensor:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        classifier.embed_changed(batch, 1, fail)
    assert torch.equal(classifier.embed(batch), before)


def test_a_vision_transformer_has_no_maps_to_go_on_from() -> None:
    with pytest.raises(ValueError, match="must have feature maps of three stages or more"):
        build_classifier(VIT).mixing_stages()


def test_maps_with_channels_last_are_no_such_maps() -> None:
    spec = replace(VIT, backbone="swin_tiny_patch4_window7_224", image_size=64)
    classifier = build_classifier(spec)
    with pytest.raises(ValueError, match=r"no feature map `\(n, c, h, w\)` behind `layers.0`"):
        classifier.embed_changed(images(), 0, lambda features: features)


def test_a_map_that_is_not_on_the_way_is_refused() -> None:
    classifier = built("tiny_resnet")
    classifier.backbone.feature_info[1]["module"] = "global_pool"
    classifier.backbone.forward_head = lambda last, pre_logits: last.mean(dim=(2, 3))
    with pytest.raises(ValueError, match="must run `global_pool` once in a pass, it did 0 times"):
        classifier.embed_changed(images(), 1, lambda features: features)


@pytest.mark.parametrize("backbone", ["test_vit", "deit_tiny_distilled_patch16_224"])
@torch.no_grad()
def test_class_attention_is_the_one_the_last_block_computes(backbone: str) -> None:
    """Which it shows only without fused kernels, to a hook on the dropout of the attention."""
    classifier = build_classifier(replace(VIT, backbone=backbone)).eval()
    vit, batch = classifier.backbone, images(32)
    last = vit.blocks[-1].attn
    last.fused_attn = False
    seen: list[Tensor] = []
    last.attn_drop.register_forward_hook(lambda *parts: seen.append(parts[2]))
    embedding, attention, grid = classifier.embed_and_attend(batch)
    assert torch.equal(embedding, classifier.embed(batch))
    assert grid == (2, 2)
    torch.testing.assert_close(attention, seen[0][:, :, 0, vit.num_prefix_tokens :])
    assert attention.shape == (2, last.num_heads, 4)
    assert not attention.requires_grad


@pytest.mark.parametrize("spec", [TINY, replace(VIT, backbone="test_vit2")], ids=["CNN", "pooled"])
def test_what_has_no_class_token_cannot_attend(spec: ClassifierSpec) -> None:
    if spec.backbone == "test_vit2":  # classifies by the mean of its patches
        assert timm.create_model("test_vit2").global_pool != "token"
    with pytest.raises(ValueError, match="must be a vision transformer that classifies by a class"):
        build_classifier(spec).embed_and_attend(images(32))


@torch.no_grad()
def test_the_embedding_is_pooled_from_the_last_map() -> None:
    classifier, batch = built("tiny_resnet"), images()
    assert torch.equal(classifier.pool(classifier.last_map(batch)), classifier.embed(batch))
