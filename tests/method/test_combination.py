import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from automix_cli.method import (
    AdAutoMixOptions,
    Combination,
    Pairing,
    combine_images,
    combined_cross_entropy,
    fall_back_to_mixup,
    fall_back_to_shares,
    mix_images,
    mixed_cross_entropy,
    sample_adautomix_draws,
)


@pytest.fixture
def triples() -> Combination:
    """Six mixtures of three images, each with its own shares."""
    lam = torch.rand(6, 3).softmax(dim=1)
    return Combination(lam, torch.stack([torch.randperm(6) for _ in range(3)], dim=1))


def test_a_pairing_is_the_combination_of_each_image_with_its_partner(
    pairing: Pairing, images: Tensor, labels: Tensor
) -> None:
    pairs, logits = Combination.of_pairs(pairing), torch.randn(6, 7)
    mask = torch.rand(6, 1, 16, 16)
    combined = combine_images(images, torch.cat([mask, 1 - mask], dim=1), pairs.sources)
    torch.testing.assert_close(combined, mix_images(images, mask, pairing.perm))
    torch.testing.assert_close(
        combined_cross_entropy(logits, labels, pairs, 0.1),
        mixed_cross_entropy(logits, labels, pairing, 0.1),
    )
    assert not pairs.is_beyond_pairs


def test_each_mixture_is_the_sum_of_its_masked_images(triples: Combination, images: Tensor) -> None:
    masks = torch.rand(6, 3, 16, 16)
    combined = combine_images(images, masks, triples.sources)
    for i in range(6):
        expected = torch.zeros(3, 16, 16)
        for j in range(3):
            expected += masks[i, j] * images[int(triples.sources[i, j])]
        torch.testing.assert_close(combined[i], expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_cross_entropy_of_the_soft_label(
    triples: Combination, labels: Tensor, smoothing: float
) -> None:
    logits, soft = torch.randn(6, 7), torch.zeros(6, 7)
    for i in range(6):
        for j in range(3):
            soft[i, labels[triples.sources[i, j]]] += triples.lam[i, j]
    expected = F.cross_entropy(logits, soft, label_smoothing=smoothing)
    loss = combined_cross_entropy(logits, labels, triples, smoothing)
    torch.testing.assert_close(loss, expected)


def test_with_all_of_the_share_one_image_is_alone(images: Tensor, labels: Tensor) -> None:
    sources = torch.stack([torch.arange(6), torch.arange(6).flip(0), torch.randperm(6)], dim=1)
    alone = Combination(torch.tensor([[0.0, 1.0, 0.0]]).expand(6, 3), sources)
    combined = combine_images(images, alone.lam[..., None, None], sources)
    assert torch.equal(combined, images.flip(0))
    logits = torch.randn(6, 7)
    expected = F.cross_entropy(logits, labels.flip(0))
    torch.testing.assert_close(combined_cross_entropy(logits, labels, alone), expected)


def masks_and_shares(first: list[float]) -> tuple[Tensor, Tensor]:
    """Masks of thirds, and shares of which the first is given and the others are equal."""
    share = torch.tensor(first)
    lam = torch.stack([share, (1 - share) / 2, (1 - share) / 2], dim=1)
    return torch.full((len(first), 3, 4, 4), 1 / 3), lam


@pytest.mark.parametrize(
    ("test", "falls_back"),
    [("corrected", [True, False, False, True]), ("reference", [True, True, True, False])],
)
def test_the_test_of_the_margin_is_right_or_the_references(
    test: str, falls_back: list[bool]
) -> None:
    masks, lam = masks_and_shares([0.02, 0.1, 0.9, 0.98])
    result = fall_back_to_shares(masks, lam, 0.03, test=test)
    for i, fell in enumerate(falls_back):
        expected = lam[i].view(3, 1, 1).expand(3, 4, 4) if fell else masks[i]
        assert torch.equal(result[i], expected)


@pytest.mark.parametrize("test", ["corrected", "reference"])
@pytest.mark.parametrize("lam_margin", [0.0, 0.08])
def test_pairs_fall_back_as_in_automix_with_either_test(
    pairing: Pairing, test: str, lam_margin: float
) -> None:
    lam = Combination.of_pairs(pairing).lam
    mask = torch.rand(6, 1, 4, 4)
    result = fall_back_to_shares(torch.cat([mask, 1 - mask], dim=1), lam, lam_margin, test=test)
    torch.testing.assert_close(
        result[:, :1], fall_back_to_mixup(mask, pairing.lam, lam_margin), rtol=0, atol=1e-6
    )


def draws_of(n: int, seed: int = 0, step: int = 0, **options: object):
    generator = np.random.default_rng(seed)
    return sample_adautomix_draws(generator, n, AdAutoMixOptions(**options), step=step)


@pytest.mark.parametrize("num_images", [2, 3, 5])
@pytest.mark.parametrize("avoid_self_pairs", [False, True])
@pytest.mark.parametrize("n", [1, 2, 6])
def test_shares_add_up_to_one_and_each_image_is_once_in_each_place(
    n: int, num_images: int, avoid_self_pairs: bool
) -> None:
    draws = draws_of(n, num_images=num_images, avoid_self_pairs=avoid_self_pairs)
    for each in (draws.for_classifier, draws.for_mix_block):
        assert each.lam.shape == each.sources.shape == (n, num_images)
        assert (each.lam >= 0).all()
        torch.testing.assert_close(each.lam.sum(dim=1), torch.ones(n))
        expected = torch.arange(n)[:, None].expand(n, num_images)
        assert torch.equal(each.sources.sort(dim=0).values, expected)


def test_pairs_keep_the_image_in_its_place_and_have_two_ratios() -> None:
    draws = draws_of(6, num_images=2)
    for each in (draws.for_classifier, draws.for_mix_block):
        assert torch.equal(each.sources[:, 0], torch.arange(6))
    assert draws.for_classifier.lam[0, 0] != draws.for_mix_block.lam[0, 0]


def test_triples_have_one_set_of_ratios_for_both() -> None:
    draws = draws_of(6, num_images=3)
    assert torch.equal(draws.for_classifier.lam, draws.for_mix_block.lam)
    assert not torch.equal(draws.for_classifier.sources, draws.for_mix_block.sources)


@pytest.mark.parametrize("num_images", [2, 3, 6])
def test_no_image_is_twice_in_a_mixture_if_so_wished(num_images: int) -> None:
    for seed in range(20):
        draws = draws_of(6, seed, num_images=num_images, avoid_self_pairs=True)
        for each in (draws.for_classifier, draws.for_mix_block):
            assert all(len(set(row)) == num_images for row in each.sources.tolist())


def test_every_second_step_is_adversarial_beginning_with_the_first() -> None:
    flags = [draws_of(4, step=step).is_adversarial for step in range(4)]
    assert flags == [True, False, True, False]
    assert [draws_of(4, step=s, adversarial_interval=3).is_adversarial for s in (0, 2, 3)] == [
        *(True, False, True)
    ]


def test_the_number_of_images_varies_from_two_to_the_largest() -> None:
    numbers = [
        draws_of(4, seed, num_images=4, vary_num_images=True).for_classifier.sources.shape[1]
        for seed in range(40)
    ]
    assert set(numbers) == {2, 3, 4}


def test_with_a_tiny_alpha_shares_still_add_up_to_one() -> None:
    for seed in range(40):
        lam = draws_of(2, seed, alpha=1e-3).for_classifier.lam
        torch.testing.assert_close(lam.sum(dim=1), torch.ones(2))


def test_the_mix_block_rests_as_often_as_asked() -> None:
    rests = [draws_of(1, s, skip_mix_block_probability=0.2).skip_mix_block for s in range(1000)]
    assert 0.15 < sum(rests) / 1000 < 0.25
    assert not any(draws_of(1, seed).skip_mix_block for seed in range(50))


def test_ranks_share_ratios_and_not_images_if_so_wished() -> None:
    options = AdAutoMixOptions(share_lam_across_ranks=True)
    ours, theirs = (
        sample_adautomix_draws(
            np.random.default_rng(rank), 6, options, step=0, shared_rng=np.random.default_rng(9)
        ).for_classifier
        for rank in (1, 2)
    )
    assert torch.equal(ours.lam, theirs.lam)
    assert not torch.equal(ours.sources, theirs.sources)
    with pytest.raises(ValueError, match="`share_lam_across_ranks` needs a `shared_rng`"):
        sample_adautomix_draws(np.random.default_rng(0), 6, options, step=0)


def test_draws_move_to_a_device_with_all_that_is_on_it() -> None:
    draws = draws_of(3).to("meta")
    for each in (draws.for_classifier, draws.for_mix_block):
        assert (each.lam.device.type, each.sources.device.type) == ("meta", "meta")


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="`n` must be at least 1, got `0`"):
        draws_of(0)
