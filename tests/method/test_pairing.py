import numpy as np
import pytest
import torch

from automix_cli.method import AutoMixOptions, Draws, sample_draws
from automix_cli.method.pairing import sample_permutation


def draw_many(count: int, n: int, **options: object) -> list[Draws]:
    rng = np.random.default_rng(0)
    return [sample_draws(rng, n, AutoMixOptions(**options)) for _ in range(count)]


def test_the_same_generator_state_gives_the_same_draws() -> None:
    first, second = (sample_draws(np.random.default_rng(3), 8, AutoMixOptions()) for _ in range(2))
    for ours, theirs in zip(first[:2], second[:2], strict=True):
        assert torch.equal(ours.lam, theirs.lam)
        assert torch.equal(ours.perm, theirs.perm)
    assert first[2:] == second[2:]


def test_a_pairing_has_one_ratio_and_each_image_as_partner_once() -> None:
    for draws in draw_many(20, 9):
        for lam, perm in draws[:2]:
            assert lam.shape == (9,)
            assert lam.unique().numel() == 1
            assert 0 <= lam[0] <= 1
            assert perm.sort().values.tolist() == list(range(9))


def test_the_two_pairings_of_a_step_are_drawn_independently() -> None:
    lams = torch.tensor(
        [[d.for_classifier.lam[0], d.for_mix_block.lam[0]] for d in draw_many(2000, 2)]
    )
    # the correlation of n independent pairs has a standard error of 1 / sqrt(n) = 0.022
    assert torch.corrcoef(lams.T)[0, 1].abs() < 0.09
    agree = [torch.equal(d.for_classifier.perm, d.for_mix_block.perm) for d in draw_many(50, 9)]
    assert sum(agree) == 0


@pytest.mark.parametrize("alpha", [0.5, 2.0])
def test_ratios_follow_beta_alpha_alpha(alpha: float) -> None:
    lams = torch.stack([d.for_classifier.lam[0] for d in draw_many(3000, 1, alpha=alpha)])
    variance = 1 / (4 * (2 * alpha + 1))
    assert lams.mean() == pytest.approx(0.5, abs=4 * (variance / 3000) ** 0.5)
    assert lams.var() == pytest.approx(variance, rel=0.1)


def test_with_alpha_2_the_fallback_margin_is_hit_by_3_64_percent_of_the_ratios() -> None:
    pairings = [pairing for draws in draw_many(4000, 1) for pairing in draws[:2]]
    lams = torch.cat([pairing.lam for pairing in pairings])
    rate = (torch.minimum(lams, 1 - lams) <= 0.08).double().mean()
    assert rate == pytest.approx(0.0364, abs=4 * (0.0364 * 0.9636 / 8000) ** 0.5)


@pytest.mark.parametrize("n", [2, 3, 4, 7])
def test_without_self_pairs_nobody_meets_himself(n: int, rng: np.random.Generator) -> None:
    for _ in range(200):
        perm = sample_permutation(rng, n, avoid_self_pairs=True)
        assert sorted(perm) == list(range(n))
        assert not (perm == np.arange(n)).any()


def test_self_pairs_are_allowed_unless_asked_otherwise(rng: np.random.Generator) -> None:
    perms = [sample_permutation(rng, 2, avoid_self_pairs=False).tolist() for _ in range(50)]
    assert [0, 1] in perms
    assert [1, 0] in perms


def test_of_two_images_each_gets_the_other_and_one_keeps_itself(rng: np.random.Generator) -> None:
    assert sample_permutation(rng, 2, avoid_self_pairs=True).tolist() == [1, 0]
    assert sample_permutation(rng, 1, avoid_self_pairs=True).tolist() == [0]


class StubbornGenerator(np.random.Generator):
    """Never finds anything but the identity."""

    num_permutations = 0

    def permutation(self, x, axis=0):  # the signature of numpy
        self.num_permutations += 1
        return np.arange(x)


@pytest.mark.parametrize("n", [2, 3, 8])
def test_after_ten_redraws_a_cyclic_shift_replaces_the_permutation(n: int) -> None:
    rng = StubbornGenerator(np.random.PCG64(0))
    perm = sample_permutation(rng, n, avoid_self_pairs=True)
    assert rng.num_permutations == 1 + 10
    shifts = {int(shift) for shift in (np.arange(n) - perm) % n}
    assert len(shifts) == 1
    assert shifts != {0}


def test_coin_flips_come_up_as_often_as_asked() -> None:
    many = draw_many(1000, 1, mask_adjust_probability=0.25, skip_mix_block_probability=0.6)
    # four standard errors of 1000 flips: 4 sqrt(p (1 - p) / 1000) <= 0.063
    assert np.mean([d.adjust_mask for d in many]) == pytest.approx(0.25, abs=0.063)
    assert np.mean([d.skip_mix_block for d in many]) == pytest.approx(0.6, abs=0.063)


def test_probabilities_zero_and_one_are_certain() -> None:
    assert not any(d.adjust_mask or d.skip_mix_block for d in draw_many(100, 1))
    assert all(d.adjust_mask for d in draw_many(100, 1, mask_adjust_probability=1.0))


def test_random_upsampling_is_resolved_for_each_mask_by_itself() -> None:
    modes = {
        (d.upsampling_for_classifier, d.upsampling_for_mix_block)
        for d in draw_many(50, 1, upsampling="random")
    }
    both = ("nearest", "bilinear")
    assert modes == {(first, second) for first in both for second in both}


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_a_fixed_upsampling_is_passed_on(mode: str) -> None:
    for d in draw_many(5, 1, upsampling=mode):
        assert (d.upsampling_for_classifier, d.upsampling_for_mix_block) == (mode, mode)


@pytest.mark.parametrize("is_shared", [True, False])
def test_ranks_share_ratios_if_asked_and_never_permutations(is_shared: bool) -> None:
    options = AutoMixOptions(share_lam_across_ranks=is_shared)
    ranks = [
        sample_draws(np.random.default_rng(rank), 9 - rank, options, np.random.default_rng(99))
        for rank in (0, 1)
    ]
    for ours, theirs in zip(ranks[0][:2], ranks[1][:2], strict=True):
        assert (ours.lam[0] == theirs.lam[0]) == is_shared
        assert ours.perm[:8].tolist() != theirs.perm.tolist()


def test_sharing_ratios_without_a_shared_generator_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="`share_lam_across_ranks` needs a `shared_rng`"):
        sample_draws(rng, 4, AutoMixOptions(share_lam_across_ranks=True))


def test_an_empty_batch_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="`n` must be at least 1, got `0`"):
        sample_draws(rng, 0, AutoMixOptions())


def test_to_moves_every_tensor_and_keeps_the_coin_flips(draws: Draws) -> None:
    moved = draws.to("meta")
    assert all(each.device.type == "meta" for pairing in moved[:2] for each in pairing)
    assert moved[2:] == draws[2:]
