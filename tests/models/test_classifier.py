"""A classifier shows an early feature and an embedding, of any timm backbone."""

from dataclasses import replace
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

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
RESNET = replace(TINY, backbone="resnet18")
WIDE = replace(TINY, backbone="wide_resnet28_8", feature_stage=2, image_size=8)
VIT = replace(TINY, backbone="vit_tiny_patch16_224", stem="imagenet", image_size=64)
IF_DENSENETS_SHOW_FEATURES = pytest.mark.skipif(
    not hasattr(timm.models.DenseNet, "forward_intermediates"), reason="timm 1.0.31 and later"
)
FAMILIES = [  # small members of unlike families; stage, and the shape of its feature at 64 pixels
    ("tiny_resnet", "imagenet", 3, (64, 16, 16)),
    ("resnet18", "cifar", 2, (128, 32, 32)),
    ("resnet18", "imagenet", 3, (256, 4, 4)),
    ("resnetv2_18", "imagenet", 3, (256, 4, 4)),
    ("convnext_atto", "imagenet", 2, (160, 4, 4)),
    ("vit_tiny_patch16_224", "imagenet", 5, (192, 4, 4)),
    ("deit_tiny_distilled_patch16_224", "imagenet", 0, (192, 4, 4)),
    ("swin_tiny_patch4_window7_224", "imagenet", 2, (384, 4, 4)),
    ("mobilenetv3_small_050", "imagenet", 3, (24, 4, 4)),
    ("efficientnet_lite0", "imagenet", 2, (40, 8, 8)),
    ("regnetx_002", "imagenet", 1, (24, 16, 16)),
    pytest.param("densenet121", "imagenet", 2, (512, 8, 8), marks=IF_DENSENETS_SHOW_FEATURES),
    ("convnext_atto", "cifar", 2, (160, 16, 16)),
    ("pvt_v2_b0", "imagenet", 2, (160, 4, 4)),
]
families = pytest.mark.parametrize(
    ("backbone", "stem", "stage", "shape"),
    FAMILIES,
    ids=lambda value: value if isinstance(value, str) else "",
)


def images(spec: ClassifierSpec, num_images: int = 2) -> Tensor:
    shape = (num_images, spec.in_channels, spec.image_size, spec.image_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def modules_that_run(classifier: Classifier, method: str, batch: Tensor) -> set[str]:
    """Names of the backbone's innermost modules that compute something."""
    seen: set[str] = set()
    hooks = [
        module.register_forward_hook(lambda *_, name=name: seen.add(name))
        for name, module in classifier.backbone.named_modules()
        if not list(module.children())
    ]
    with torch.no_grad():
        getattr(classifier, method)(batch)
    for hook in hooks:
        hook.remove()
    return seen


@families
def test_one_pass_gives_what_the_separate_passes_give(
    backbone: str, stem: str, stage: int, shape: tuple[int, ...]
) -> None:
    spec = replace(TINY, backbone=backbone, stem=stem, feature_stage=stage, image_size=64)
    classifier = build_classifier(spec).eval()
    batch = images(spec)
    with torch.no_grad():
        feature, embedding = classifier.features_and_embed(batch)
        assert feature.shape[1:] == shape
        assert classifier.feature_channels == shape[0]
        assert torch.equal(classifier.features(batch), feature)
        assert torch.equal(classifier.embed(batch), embedding)
        one_hot, mixed = classifier.forward_heads(batch)
        assert torch.equal(one_hot, classifier.head_one_hot(embedding))
        assert torch.equal(mixed, classifier.head_mixed(embedding))
        assert torch.equal(classifier(batch), one_hot)
    assert one_hot.shape == mixed.shape == (2, 10)


@families
def test_features_alone_run_nothing_behind_their_stage(
    backbone: str, stem: str, stage: int, shape: tuple[int, ...]
) -> None:
    spec = replace(TINY, backbone=backbone, stem=stem, feature_stage=stage, image_size=64)
    classifier = build_classifier(spec)
    early = modules_that_run(classifier, "features", images(spec))
    whole = modules_that_run(classifier, "features_and_embed", images(spec))
    assert early < whole


@pytest.mark.parametrize("stage", range(5))
def test_a_resnet_runs_exactly_the_stages_up_to_the_feature(stage: int) -> None:
    spec = replace(RESNET, feature_stage=stage)
    early = modules_that_run(build_classifier(spec), "features", images(spec))
    layers = {name.split(".")[0] for name in early if name.startswith("layer")}
    assert layers == {f"layer{each}" for each in range(1, stage + 1)}
    assert not any(name.startswith("global_pool") for name in early)


@pytest.mark.parametrize("stage", [0, 5, 11])
def test_a_transformer_runs_exactly_the_blocks_up_to_the_feature(stage: int) -> None:
    spec = replace(VIT, feature_stage=stage)
    early = modules_that_run(build_classifier(spec), "features", images(spec))
    blocks = {int(name.split(".")[1]) for name in early if name.startswith("blocks")}
    assert blocks == set(range(stage + 1))
    assert "norm" not in early


def test_a_transformers_feature_is_its_patches_without_class_token_and_final_norm() -> None:
    spec = replace(VIT, feature_stage=5)
    classifier = build_classifier(spec).eval()
    vit, batch = classifier.backbone, images(spec)
    nn.init.normal_(vit.norm.weight)  # so that it would be noticed
    with torch.no_grad():
        tokens = vit.blocks[:6](vit.norm_pre(vit._pos_embed(vit.patch_embed(batch))))
        feature = classifier.features(batch)
    assert vit.num_prefix_tokens == 1
    for row, column in ((0, 0), (1, 2), (3, 3)):  # row by row
        assert torch.equal(feature[:, :, row, column], tokens[:, 1 + 4 * row + column])


def test_a_resnets_feature_is_its_stage_after_the_last_relu() -> None:
    classifier = build_classifier(RESNET).eval()
    resnet, batch = classifier.backbone, images(RESNET)
    with torch.no_grad():
        stem = resnet.act1(resnet.bn1(resnet.conv1(batch)))
        wanted = resnet.layer3(resnet.layer2(resnet.layer1(stem)))
        assert torch.equal(classifier.features(batch), wanted)
    assert wanted.min() == 0


@pytest.mark.parametrize(("num_classes", "parameters"), [(10, 11_173_962), (100, 11_220_132)])
def test_cifar_resnet18_with_one_head_has_the_parameters_of_the_literature(
    num_classes: int, parameters: int
) -> None:
    classifier = build_classifier(replace(RESNET, num_classes=num_classes))
    used = [*classifier.backbone.parameters(), *classifier.head_one_hot.parameters()]
    assert sum(parameter.numel() for parameter in used) == parameters


def test_heads_of_a_convolutional_network_start_as_narrow_normals() -> None:
    classifier = build_classifier(replace(RESNET, num_classes=1000))
    for head in (classifier.head_one_hot, classifier.head_mixed):
        assert head.weight.std().item() == pytest.approx(0.01, rel=0.01)
        assert head.weight.abs().max() > 0.03
        assert head.bias.abs().max() == 0
    assert not torch.equal(classifier.head_one_hot.weight, classifier.head_mixed.weight)


def test_heads_of_a_transformer_start_as_its_other_weights() -> None:
    """Seeded: torch's truncated normal gives the limit itself, -2, once in 16 million numbers."""
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        classifier = build_classifier(replace(VIT, num_classes=1000))
    for head in (classifier.head_one_hot, classifier.head_mixed):
        assert head.weight.std().item() == pytest.approx(0.02, rel=0.01)
        assert head.bias.abs().max() == 0


def test_the_same_global_seed_builds_the_same_classifier() -> None:
    def build(seed: int) -> dict[str, Tensor]:
        with torch.random.fork_rng():
            torch.random.manual_seed(seed)
            return build_classifier(TINY).state_dict()

    first, again, other = build(1), build(1), build(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head_mixed.weight"], other["head_mixed.weight"])


def test_looking_at_a_backbone_leaves_no_trace() -> None:
    classifier = build_classifier(TINY)
    assert classifier.training
    assert all(module.training for module in classifier.modules())
    norms = [each for each in classifier.modules() if isinstance(each, nn.BatchNorm2d)]
    assert all(norm.num_batches_tracked == 0 for norm in norms)
    assert all(norm.running_mean.abs().max() == 0 for norm in norms)


def test_every_parameter_learns_from_the_embedding() -> None:
    classifier = build_classifier(RESNET)
    for logits in classifier.forward_heads(images(RESNET)):
        logits.square().sum().backward(retain_graph=True)
    assert all(parameter.grad is not None for parameter in classifier.parameters())


def test_no_stochastic_depth_is_none_even_where_timm_defaults_to_some() -> None:
    spec = replace(TINY, backbone="swin_tiny_patch4_window7_224", stem="imagenet", feature_stage=2)
    default = timm.create_model(spec.backbone, num_classes=0)

    def rates(module: nn.Module) -> list[float]:
        return [each.drop_prob for each in module.modules() if hasattr(each, "drop_prob")]

    assert max(rates(default)) > 0
    assert max(rates(build_classifier(spec)), default=0) == 0
    assert max(rates(build_classifier(replace(spec, drop_path_rate=0.3)))) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"backbone": "resnet81"}, r"got `resnet81`; did you mean `resnet18`"),
        ({"backbone": "tiny_resnet18"}, r"did you mean .*`tiny_resnet`"),
        ({"backbone": "zzzzzzz"}, r"got `zzzzzzz`; `timm\.list_models\(\)` has all"),
        ({"backbone": "hf-hub:timm/resnet18"}, r"must be one of timm's models"),
        ({"feature_stage": 5}, r"feature_stage must be in \[0, 4\], got 5"),
        ({"feature_stage": -1}, r"feature_stage must be in \[0, 4\], got -1"),
        ({"image_size": 30}, r"8 x 8 cells of 4 x 4 pixels, which do not fill such an image"),
        ({"backbone": "regnetx_002"}, "stem `cifar` fits timm's ResNet, ResNeXt and ConvNeXt"),
        ({"merged_feature": True}, "for timm's SwinTransformer, not for a ResNet"),
        ({"backbone": "wide_resnet28_8", "drop_path_rate": 0.1}, "has no stochastic depth"),
        ({"backbone": "vgg11", "stem": "imagenet", "drop_path_rate": 0.1}, "no stochastic depth"),
        ({"backbone": "inception_v3", "stem": "imagenet"}, "`inception_v3`"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_what_cannot_be_built_is_refused_with_a_reason(
    changes: dict[str, object], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        build_classifier(replace(RESNET, **changes))


def test_a_transformer_does_not_drop_pixels_that_fill_no_patch() -> None:
    with pytest.raises(ValueError, match="cells of 16 x 16 pixels, which do not fill"):
        build_classifier(replace(VIT, image_size=40))


def test_a_backbone_without_features_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("timm.models.resnet.ResNet.forward_intermediates")
    with pytest.raises(ValueError, match="backbone must show its features"):
        build_classifier(RESNET)


def test_a_backbone_whose_early_feature_is_another_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one_pass = timm.models.ResNet.forward_intermediates

    def altered(self: nn.Module, image: Tensor, *, stop_early: bool = False, **options: Any) -> Any:
        return one_pass(self, image + stop_early, stop_early=stop_early, **options)

    monkeypatch.setattr(timm.models.ResNet, "forward_intermediates", altered)
    with pytest.raises(ValueError, match="other features early than on the way to its embedding"):
        build_classifier(RESNET)


def test_a_backbone_that_cannot_give_both_in_one_pass_is_refused() -> None:
    # In timm, this one stops at the wanted stage even when it is not asked to.
    spec = replace(VIT, backbone="hiera_tiny_224", image_size=224, feature_stage=1)
    with pytest.raises(ValueError, match="`hiera_tiny_224` for images of 3 x 224 x 224"):
        build_classifier(spec)


@pytest.mark.parametrize("spec", [TINY, WIDE], ids=["tiny", "wide"])
def test_the_mean_of_the_last_map_of_a_resnet_is_the_embedding(spec: ClassifierSpec) -> None:
    classifier = build_classifier(spec).eval()
    images = torch.randn(2, spec.in_channels, spec.image_size, spec.image_size)
    mean = classifier.last_map(images).mean(dim=(2, 3))
    torch.testing.assert_close(mean, classifier.embed(images))


@pytest.mark.parametrize("spec", [VIT], ids=["tokens"])
def test_a_backbone_that_ends_in_tokens_has_no_last_map(spec: ClassifierSpec) -> None:
    classifier = build_classifier(spec)
    images = torch.randn(2, spec.in_channels, spec.image_size, spec.image_size)
    with pytest.raises(ValueError, match="must end in a feature map"):
        classifier.last_map(images)
