"""What is left of the method when a part of it is left out."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from automix_cli.method import (
    AdAutoMix,
    AdAutoMixOptions,
    AutoMix,
    Draws,
    MixBlock,
    MixBlockOptions,
    Pairing,
    SAMixBlock,
    SAMixBlockOptions,
    mix_images,
    mixed_cross_entropy,
    sample_adautomix_draws,
)

Make = Callable[..., AutoMix]
SIZE = (16, 16)


def gradients(module: torch.nn.Module) -> set[str]:
    """Names of the parameters that a gradient has reached."""
    named = module.named_parameters()
    return {name for name, each in named if each.grad is not None and each.grad.abs().sum() > 0}


@pytest.mark.parametrize("lam_embedding", ["concat", "none"])
def test_without_cross_attention_the_mask_is_the_second_images_own_value(
    pairing: Pairing, lam_embedding: str
) -> None:
    options = MixBlockOptions(cross_attention=False, lam_embedding=lam_embedding)
    block, features = MixBlock(8, options), torch.randn(6, 8, 4, 4)
    torch.nn.init.normal_(block.value.weight)
    second, share = features[pairing.perm], (1 - pairing.lam).view(-1, 1, 1, 1)
    if lam_embedding == "concat":
        second = torch.cat([second, share.expand(-1, 1, 4, 4)], dim=1)
    expected = 1 - block.value(second).sigmoid()
    torch.testing.assert_close(block(features, pairing, (4, 4)), expected)


def test_samix_without_cross_attention_the_same(pairing: Pairing) -> None:
    block = SAMixBlock(8, SAMixBlockOptions(cross_attention=False)).eval()
    torch.nn.init.normal_(block.value_hidden.weight)
    torch.nn.init.normal_(block.value_output.weight)
    features = torch.randn(6, 8, 4, 4)
    second = features[pairing.perm] * (2 - pairing.lam).view(-1, 1, 1, 1)
    hidden = torch.nn.functional.elu(block.value_norm(block.value_hidden(second)))
    expected = 1 - block.value_output(hidden).sigmoid()
    torch.testing.assert_close(block(features, pairing, (4, 4)), expected)


@pytest.mark.parametrize("name", ["make_automix", "make_samix"])
def test_without_cross_attention_all_that_is_left_of_the_mix_block_learns(
    request: pytest.FixtureRequest, name: str, images: Tensor, labels: Tensor, draws: Draws
) -> None:
    training: AutoMix = request.getfixturevalue(name)(cross_attention=False)
    training(images, labels, draws, 0.1).total.backward()
    block = training.mix_block
    assert gradients(block) == {name for name, _ in block.named_parameters()}
    assert not any("query" in each or "key" in each for each in gradients(block))


def test_without_lam_embedding_the_mask_does_not_depend_on_lam(pairing: Pairing) -> None:
    features, other = torch.randn(6, 16, 4, 4), pairing._replace(lam=pairing.lam.flip(0))
    for block in (
        MixBlock(16, MixBlockOptions(lam_embedding="none")),
        SAMixBlock(16, SAMixBlockOptions(lam_embedding="none")),
    ):
        assert torch.equal(block(features, pairing, SIZE), block(features, other, SIZE))


def test_without_the_area_loss_the_mix_block_learns_from_the_classification_alone(
    make_automix: Make, images: Tensor, labels: Tensor, draws: Draws
) -> None:
    training = make_automix()
    losses = training(images, labels, draws, 0.0)
    assert losses.mask_area > 0
    torch.testing.assert_close(losses.total, losses.one_hot + losses.mixed + losses.mix_block)


def test_without_momentum_masks_come_from_the_classifier_itself(
    make_automix: Make, images: Tensor, draws: Draws
) -> None:
    training = make_automix()
    with torch.no_grad():
        for each in training.classifier.parameters():
            each.add_(torch.randn_like(each))
    training.update_momentum(0.0)
    projection = training.mix_block.project(training.classifier.features(images))
    expected = training.mix_block.mask(projection, draws.for_mix_block, SIZE)
    torch.testing.assert_close(training.masks(images, draws).for_mix_block, expected)


def test_without_clean_images_there_is_one_head_and_one_pass(
    make_automix: Make, images: Tensor, labels: Tensor, draws: Draws
) -> None:
    training = make_automix(one_hot_weight=0.0)
    batches_seen = int(training.classifier.backbone.bn1.num_batches_tracked)
    losses = training(images, labels, draws, 0.1)
    losses.total.backward()
    assert training.classifier.backbone.bn1.num_batches_tracked == batches_seen + 1
    assert losses.one_hot == 0
    expected = {name for name, _ in training.classifier.named_parameters()}
    assert gradients(training.classifier) == expected - {"head_mixed.weight", "head_mixed.bias"}
    assert not any(each.requires_grad for each in training.classifier.head_mixed.parameters())
    assert not any(each.requires_grad for each in training.momentum_classifier.parameters())


def test_without_clean_images_both_networks_judge_mixtures_by_the_one_hot_head(
    make_automix: Make, images: Tensor, labels: Tensor, draws: Draws
) -> None:
    training = make_automix(one_hot_weight=0.0)
    losses, masks = training(images, labels, draws, 0.1), training.masks(images, draws)
    for network, mask, pairing, loss in (
        (training.classifier, masks.for_classifier, draws.for_classifier, losses.mixed),
        (training.momentum_classifier, masks.for_mix_block, draws.for_mix_block, losses.mix_block),
    ):
        logits = network(mix_images(images, mask, pairing.perm))
        torch.testing.assert_close(loss, mixed_cross_entropy(logits, labels, pairing))


@pytest.mark.parametrize("num_images", [2, 3])
def test_adautomix_without_clean_images_has_one_head_too(
    make_adautomix: Callable[..., AdAutoMix],
    images: Tensor,
    labels: Tensor,
    num_images: int,
    rng: np.random.Generator,
) -> None:
    training = make_adautomix(one_hot_weight=0.0, num_images=num_images)
    draws = sample_adautomix_draws(rng, 6, AdAutoMixOptions(num_images=num_images), step=0)
    losses = training(images, labels, draws)
    losses.total.backward()
    assert (losses.one_hot, losses.mixup) == (0, 0)
    expected = {name for name, _ in training.classifier.named_parameters()}
    assert gradients(training.classifier) == expected - {"head_mixed.weight", "head_mixed.bias"}
