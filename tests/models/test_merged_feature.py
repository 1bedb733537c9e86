"""A Swin transformer shows its feature behind the patch merging, as the reference does."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from automix_cli.models.classifier import ClassifierSpec, build_classifier

SWIN = ClassifierSpec(
    backbone="swin_tiny_patch4_window7_224",
    stem="imagenet",
    num_classes=10,
    in_channels=3,
    image_size=64,
    feature_stage=2,
    drop_path_rate=0.0,
    merged_feature=True,
)


def images() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_it_is_the_input_of_the_next_stage_normalised_over_channels() -> None:
    classifier = build_classifier(SWIN).eval()
    seen: list[Tensor] = []
    classifier.backbone.layers[3].blocks.register_forward_pre_hook(
        lambda _, inputs: seen.append(*inputs)
    )
    with torch.no_grad():
        feature, embedding = classifier.features_and_embed(images())
        assert torch.equal(classifier.features(images()), feature)
    assert feature.shape == (2, 768, 2, 2)
    assert classifier.feature_channels == 768
    tokens = seen[0]
    mean = tokens.mean(dim=-1, keepdim=True)
    deviation = (tokens.var(dim=-1, correction=0, keepdim=True) + 1e-5).sqrt()
    wanted = ((tokens - mean) / deviation).permute(0, 3, 1, 2)
    torch.testing.assert_close(feature, wanted)
    assert embedding.shape == (2, 768)


def test_looking_at_it_runs_no_block_of_the_next_stage() -> None:
    classifier = build_classifier(SWIN)
    ran: list[bool] = []
    classifier.backbone.layers[3].blocks.register_forward_pre_hook(lambda *_: ran.append(True))
    with torch.no_grad():
        classifier.features(images())
    assert ran == []


def test_it_adds_no_parameter_and_renames_none() -> None:
    plain = build_classifier(replace(SWIN, merged_feature=False)).state_dict()
    assert build_classifier(SWIN).state_dict().keys() == plain.keys()


def test_behind_the_last_stage_there_is_no_merging() -> None:
    with pytest.raises(ValueError, match=r"feature_stage must be in \[0, 2\], got 3"):
        build_classifier(replace(SWIN, feature_stage=3))
