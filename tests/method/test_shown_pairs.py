"""Chosen pairs at a chosen ratio: what is decided, and what is still drawn."""

import numpy as np
import pytest
import torch
from torch import Tensor

from automix_cli.method import (
    AdaptiveMask,
    AdaptiveMaskOptions,
    AdAutoMixOptions,
    AutoMixOptions,
    MixBlock,
    MixBlockOptions,
    SAMixBlock,
    SAMixBlockOptions,
    mix_images,
)
from automix_cli.method.learned_pairs import LearnedPairs, fall_back_share
from automix_cli.method.mixers import MIXERS
from automix_cli.method.pairing import Pairing
from automix_cli.method.shown_pairs import DRAW_NO_RATIO, ChosenDraws, RivalPairs, neighbours

LABELS = torch.tensor([0, 1, 2, 3])


class Features(torch.nn.Module):
    """Images in blocks of 4 pixels, as a feature map with 3 channels."""

    def features(self, images: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(images, 4)


def some_images(n: int = 4) -> Tensor:
    return torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(3))


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def blocks() -> dict[str, LearnedPairs]:
    with torch.random.fork_rng():
        torch.manual_seed(0)  # noqa: TID251 - weights of a mix block have no other source
        made = {
            "automix": MixBlock(3, MixBlockOptions()),
            "samix": SAMixBlock(3, SAMixBlockOptions()),
            "adautomix": AdaptiveMask(3, AdaptiveMaskOptions()),
        }
        for block in made.values():
            for parameter in block.parameters():
                torch.nn.init.normal_(parameter)
    options = {"adautomix": AdAutoMixOptions()}
    return {
        name: LearnedPairs(name, Features(), block.eval(), options.get(name, AutoMixOptions()))
        for name, block in made.items()
    }


BLOCKS = blocks()


def test_neighbours_exchange_places() -> None:
    assert neighbours(6).tolist() == [1, 0, 3, 2, 5, 4]


def test_only_ratio_and_partners_are_decided() -> None:
    chosen, other = ChosenDraws(rng(), 0.3), rng()
    assert chosen.beta(2, 2) == 0.3
    assert chosen.permutation(4).tolist() == [1, 0, 3, 2]
    assert chosen.random() == other.random()


@pytest.mark.parametrize("method", [name for name in MIXERS if name not in DRAW_NO_RATIO])
def test_larger_ratios_show_more_of_the_first_image(method: str) -> None:
    mixer = RivalPairs(method, None)
    weights = [
        float(mixer(some_images(), LABELS, lam, rng()).first_weight.mean())
        for lam in (0.05, 0.5, 1.0)
    ]
    assert weights[0] < weights[1] < weights[2]
    assert weights[2] == pytest.approx(1, abs=0.06)  # GridMix leaves holes of a pixel


def test_mixup_has_the_chosen_ratio_and_fmix_has_it_to_a_pixel() -> None:
    for method, tolerance in (("mixup", 1e-6), ("fmix", 1 / 32**2)):
        weight = RivalPairs(method, None)(some_images(), LABELS, 0.3, rng()).first_weight
        torch.testing.assert_close(weight, torch.full((2,), 0.3), atol=tolerance, rtol=0)


def test_resizemix_pastes_a_picture_of_the_chosen_area() -> None:
    """Where it is not cut off: of many places, the largest area is the chosen one."""
    mixer = RivalPairs("resizemix", None)
    shares = [
        1 - float(mixer(some_images(), LABELS, 0.75, np.random.default_rng(seed)).first_weight[0])
        for seed in range(40)
    ]
    assert max(shares) == pytest.approx(0.25)


def test_each_mixture_is_of_its_own_pair() -> None:
    images = some_images()
    mixture = RivalPairs("cutmix", None)(images, LABELS, 0.5, rng())
    assert mixture.perm.tolist() == [1, 3]
    mask = mixture.mask
    assert mask is not None
    wanted = mask * images[::2] + (1 - mask) * images[1::2]
    torch.testing.assert_close(mixture.images, wanted)


def test_methods_that_mix_feature_maps_are_refused() -> None:
    with pytest.raises(ValueError, match="no image to show"):
        RivalPairs("alignmix", None)


@pytest.mark.parametrize("method", ["automix", "samix"])
def test_a_learned_mask_is_the_mix_blocks_own(method: str) -> None:
    shown, images = BLOCKS[method], some_images()
    pairing = Pairing(torch.full((4,), 0.3), torch.tensor([1, 0, 3, 2]))
    features = shown.classifier.features(images)
    mask = shown.mix_block(features, pairing, (32, 32), shown.upsampling)
    mixture = shown(images, LABELS, 0.3, rng())
    assert mixture.mask is not None
    torch.testing.assert_close(mixture.mask, mask[::2])
    torch.testing.assert_close(mixture.images, mix_images(images, mask, pairing.perm)[::2])


@pytest.mark.parametrize("method", BLOCKS)
def test_a_pair_is_shown_the_same_alone_and_among_others(method: str) -> None:
    images = some_images()
    both, alone = (
        BLOCKS[method](each, LABELS[: len(each)], 0.4, rng()) for each in (images, images[2:])
    )
    torch.testing.assert_close(both.images[1:], alone.images)


@pytest.mark.parametrize("method", BLOCKS)
def test_maps_are_shares_and_attention_adds_up_to_one(method: str) -> None:
    maps = BLOCKS[method].maps(some_images())
    assert maps.value.shape == (2, 8, 8)
    assert 0 <= float(maps.value.min()) <= float(maps.value.max()) <= 1
    for each in (maps.mean_attention, maps.attention):
        assert each is not None
        torch.testing.assert_close(each.sum(dim=(1, 2)), torch.ones(2))


def test_values_and_attention_give_the_mask() -> None:
    """At the framed position: the attention's mean of the values is the second image's share."""
    shown, images = BLOCKS["automix"], some_images()
    maps, mask = shown.maps(images, 0.5), shown(images, LABELS, 0.5, rng()).mask
    assert maps.attention is not None
    assert mask is not None
    collected = (maps.attention * maps.value.logit()).sum(dim=(1, 2)).sigmoid()
    for pair in range(2):
        row, column = maps.position[pair].tolist()
        assert float(mask[pair, 0, 4 * row, 4 * column]) == pytest.approx(
            1 - float(collected[pair]), abs=1e-5
        )


def test_without_cross_attention_there_is_none_to_show() -> None:
    block = MixBlock(3, MixBlockOptions(cross_attention=False)).eval()
    maps = LearnedPairs("automix", Features(), block, AutoMixOptions()).maps(some_images())
    assert (maps.mean_attention, maps.attention) == (None, None)


def test_the_share_of_fall_backs_is_the_probability_of_an_extreme_ratio() -> None:
    """Of Beta(2, 2), whose distribution function is 3 x^2 - 2 x^3."""
    share = fall_back_share(AutoMixOptions(alpha=2.0, lam_margin=0.08), rng())
    assert share == pytest.approx(2 * (3 * 0.08**2 - 2 * 0.08**3), abs=0.003)
    assert fall_back_share(AutoMixOptions(lam_margin=0.0), rng()) == 0


def test_the_share_of_fall_backs_of_pairs_is_that_of_a_uniform_ratio() -> None:
    options = AdAutoMixOptions(alpha=1.0, num_images=2, lam_margin=0.03)
    assert fall_back_share(options, rng()) == pytest.approx(0.06, abs=0.003)
    slip = AdAutoMixOptions(num_images=3, lam_margin_test="reference")
    assert fall_back_share(slip, rng()) > 0.99


def test_a_pair_falls_back_where_training_would() -> None:
    shown = BLOCKS["automix"]
    assert [shown.falls_back(lam) for lam in (0.0, 0.08, 0.3, 0.95)] == [True, True, False, True]
