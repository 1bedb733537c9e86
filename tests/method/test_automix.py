"""What AutoMix adds up, and from which masks."""

import copy
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from automix_cli.method import AutoMix, Draws, Losses, Pairing, mask_area, mix_images, sample_draws

MakeAutoMix = Callable[..., AutoMix]
WEIGHT = 0.1  # of the mask-area loss


def with_ratios(draws: Draws, lam: float) -> Draws:
    """The same draws with another ratio in both pairings."""
    ratios = torch.full_like(draws.for_classifier.lam, lam)
    return draws._replace(
        for_classifier=draws.for_classifier._replace(lam=ratios),
        for_mix_block=draws.for_mix_block._replace(lam=ratios),
    )


def test_the_total_is_the_weighted_sum(
    make_automix: MakeAutoMix, images: Tensor, labels: Tensor, draws: Draws
) -> None:
    automix = make_automix(
        one_hot_weight=2.0, mixed_weight=3.0, mix_block_weight=5.0, mask_area_margin=0.0
    )
    losses = automix(images, labels, draws, 7.0)
    expected = 2 * losses.one_hot + 3 * losses.mixed + 5 * losses.mix_block + 7 * losses.mask_area
    torch.testing.assert_close(losses.total, expected)
    assert all(loss != 0 for loss in losses)


def test_each_network_and_head_judges_what_it_should(
    make_automix: MakeAutoMix, images: Tensor, labels: Tensor, draws: Draws
) -> None:
    """All losses, written out with an ordinary soft-label cross-entropy."""
    automix = make_automix(label_smoothing=0.1).eval()
    draws = with_ratios(draws, 0.3)
    masks, losses = automix.masks(images, draws), automix(images, labels, draws, WEIGHT)
    one_hot = F.one_hot(labels, 7).float()

    def soft_loss(network: nn.Module, mask: Tensor, pairing: Pairing) -> Tensor:
        mixed = mix_images(images, mask, pairing.perm)
        soft = 0.3 * one_hot + 0.7 * one_hot[pairing.perm]
        logits = network.head_mixed(network.embed(mixed))
        return F.cross_entropy(logits, soft, label_smoothing=0.1)

    classifier = automix.classifier
    clean = F.cross_entropy(classifier(images), labels, label_smoothing=0.1)
    torch.testing.assert_close(losses.one_hot, clean)
    mixed = soft_loss(classifier, masks.for_classifier, draws.for_classifier)
    torch.testing.assert_close(losses.mixed, mixed)
    judged = soft_loss(automix.momentum_classifier, masks.for_mix_block, draws.for_mix_block)
    torch.testing.assert_close(losses.mix_block, judged)


def test_the_same_seed_gives_the_same_losses(
    make_automix: MakeAutoMix, images: Tensor, labels: Tensor
) -> None:
    automix = make_automix()
    runs: list[Losses] = []
    for _ in range(2):
        draws = sample_draws(np.random.default_rng(5), 6, automix.options)
        runs.append(copy.deepcopy(automix)(images, labels, draws, WEIGHT))
    assert all(map(torch.equal, *runs))


def test_with_lam_one_the_classifier_learns_from_clean_images_and_labels(
    make_automix: MakeAutoMix, images: Tensor, labels: Tensor, draws: Draws
) -> None:
    automix = make_automix().eval()
    losses = automix(images, labels, with_ratios(draws, 1.0), WEIGHT)
    logits = automix.classifier.head_mixed(automix.classifier.embed(images))
    torch.testing.assert_close(losses.mixed, F.cross_entropy(logits, labels))


def test_the_area_ratio_is_reported_without_a_graph(
    make_automix: MakeAutoMix, images: Tensor, labels: Tensor, draws: Draws
) -> None:
    automix = make_automix().eval()
    ratio = automix(images, labels, draws, WEIGHT).area_ratio
    area = automix.masks(images, draws).for_mix_block.mean()
    torch.testing.assert_close(ratio, (area / draws.for_mix_block.lam.mean()).detach())
    assert not ratio.requires_grad


def test_a_nan_is_not_swallowed(
    make_automix: MakeAutoMix, images: Tensor, labels: Tensor, draws: Draws
) -> None:
    images[0] = math.nan
    assert make_automix()(images, labels, draws, WEIGHT).total.isnan()


def test_each_pair_is_mixed_by_its_own_ratio_as_if_all_pairs_had_it(
    make_automix: MakeAutoMix, images: Tensor, pairing: Pairing
) -> None:
    automix = make_automix().eval()
    masks = automix.masks(images, Draws(pairing, pairing))
    for i, lam in enumerate(pairing.lam):
        uniform = pairing._replace(lam=lam.expand(6))
        expected = automix.masks(images, Draws(uniform, uniform))
        for mask, of_uniform in zip(masks, expected, strict=True):
            torch.testing.assert_close(mask[i], of_uniform[i])


def test_the_classifier_gets_mixup_where_lam_is_extreme_and_the_mix_block_does_not(
    make_automix: MakeAutoMix, images: Tensor, draws: Draws
) -> None:
    masks = make_automix().masks(images, with_ratios(draws, 0.05))
    assert (masks.for_classifier == torch.tensor(0.05)).all()
    assert masks.for_mix_block.std() > 0


@pytest.mark.parametrize("n", [1, 6])
def test_an_adjusted_mask_has_the_area_of_the_classifiers_own_ratio(
    make_automix: MakeAutoMix, images: Tensor, n: int
) -> None:
    mine, other = torch.full((n,), 0.3), torch.full((n,), 0.6)
    perm = torch.arange(n).flip(0)
    draws = Draws(Pairing(mine, perm), Pairing(other, perm), adjust_mask=True)
    masks = make_automix().masks(images[:n], draws)
    area = mask_area(masks.for_classifier)
    torch.testing.assert_close(area, mine, rtol=0, atol=1e-6)
    assert masks.for_classifier.std() > 0
    assert (mask_area(masks.for_mix_block) - other).abs().max() > 1e-3


def test_each_mask_has_its_own_upsampling(
    make_automix: MakeAutoMix, images: Tensor, draws: Draws
) -> None:
    draws = with_ratios(draws, 0.5)._replace(upsampling_for_classifier="bilinear")
    masks = make_automix().masks(images, draws)
    for mask, is_blocky in zip(masks, (False, True), strict=True):
        blocks = mask[..., ::4, ::4].repeat_interleave(4, 2).repeat_interleave(4, 3)
        assert torch.equal(mask, blocks) == is_blocky


def two_class_batch(n: int) -> tuple[Tensor, Tensor]:
    """Noise with a bright spot: left and red for one class, right and blue for the other."""
    images, labels = 0.3 * torch.randn(n, 3, 16, 16), torch.arange(n) % 2
    images[labels == 0, 0, 4:12, 1:7] += 2
    images[labels == 1, 2, 4:12, 9:15] += 2
    return images, labels


def test_the_mix_block_learns_to_please_a_trained_momentum_classifier(
    make_automix: MakeAutoMix,
) -> None:
    automix = make_automix()
    images, labels = two_class_batch(32)
    rng = np.random.default_rng(0)
    optimizer = torch.optim.SGD(automix.classifier.parameters(), lr=0.1, momentum=0.9)
    for _ in range(30):  # only the classifier learns, and the momentum classifier follows
        optimizer.zero_grad()
        automix(images, labels, sample_draws(rng, 32, automix.options), 0.0).total.backward()
        optimizer.step()
        automix.update_momentum(0.5)

    half_and_half = Pairing(torch.full((32,), 0.5), torch.arange(32) ^ 1)  # of different classes
    draws = Draws(half_and_half, half_and_half)
    optimizer = torch.optim.SGD(automix.mix_block.parameters(), lr=0.1)
    excess: list[float] = []  # over the entropy of the labels, below which no loss can be
    for _ in range(30):  # only the mix block learns
        loss = automix(images, labels, draws, 0.0).mix_block
        excess.append(loss.item() - math.log(2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert 0 < excess[-1] < 0.8 * excess[0]
