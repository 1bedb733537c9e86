import pytest
import torch
from torch import Tensor

from automix_cli.method import (
    Pairing,
    area_ratio,
    fall_back_to_mixup,
    mask_area,
    mix_images,
    rescale_to_lam,
    upsample,
)


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize(
    ("feature_size", "image_size"),
    [(8, 32), (16, 64), (16, 32), (14, 224), (7, 224), (4, 32)],
    ids=["cifar-resnet", "tiny-resnet", "wide-resnet", "imagenet-resnet", "swin", "digits"],
)
def test_a_map_reaches_the_size_of_the_image(feature_size: int, image_size: int, mode: str) -> None:
    maps = torch.rand(2, 1, feature_size, feature_size)
    assert upsample(maps, (image_size, image_size), mode).shape == (2, 1, image_size, image_size)


def test_height_and_width_may_grow_by_different_factors() -> None:
    assert upsample(torch.rand(1, 1, 2, 3), (8, 6), "nearest").shape == (1, 1, 8, 6)


def test_nearest_upsampling_repeats_each_value_in_a_block() -> None:
    maps = torch.rand(2, 1, 3, 3)
    blocks = maps.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    assert torch.equal(upsample(maps, (12, 12), "nearest"), blocks)


def test_an_image_that_is_no_multiple_of_the_feature_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of the feature size `8 x 8`, got `32 x 30`"):
        upsample(torch.rand(1, 1, 8, 8), (32, 30), "nearest")


def test_squashing_commutes_with_nearest_upsampling_and_not_with_bilinear() -> None:
    logits = 3 * torch.randn(2, 1, 4, 4)
    for mode, commutes in (("nearest", True), ("bilinear", False)):
        after = upsample(logits, (16, 16), mode).sigmoid()
        before = upsample(logits.sigmoid(), (16, 16), mode)
        assert torch.equal(after, before) == commutes


def test_a_mask_of_ones_shows_the_first_image_and_of_zeros_the_second(
    images: Tensor, pairing: Pairing
) -> None:
    ones = torch.ones(6, 1, 16, 16)
    assert torch.equal(mix_images(images, ones, pairing.perm), images)
    assert torch.equal(mix_images(images, 0 * ones, pairing.perm), images[pairing.perm])


def test_swapping_the_pair_and_complementing_the_mask_changes_nothing(images: Tensor) -> None:
    mask, swap = torch.rand(6, 1, 16, 16), torch.tensor([1, 0, 3, 2, 5, 4])
    swapped = mix_images(images, 1 - mask[swap], swap)[swap]
    torch.testing.assert_close(swapped, mix_images(images, mask, swap))


def test_the_area_is_the_share_of_each_picture() -> None:
    mask = torch.zeros(3, 1, 4, 4)
    mask[1, :, :2], mask[2] = 1, 1
    assert mask_area(mask).tolist() == [0, 0.5, 1]


def test_the_area_ratio_is_one_if_the_labels_tell_the_truth_and_finite_for_lam_zero() -> None:
    mask = torch.full((2, 1, 4, 4), 0.25)
    assert area_ratio(mask, torch.tensor([0.25, 0.25])) == 1
    assert area_ratio(mask, torch.tensor([0.0, 1.0])) == 0.5
    assert area_ratio(mask, torch.zeros(2)).isfinite()


@pytest.mark.parametrize("n", [1, 6])
def test_a_rescaled_mask_has_the_area_lam_and_stays_in_range(n: int) -> None:
    mask = torch.rand(n, 1, 16, 16) ** torch.linspace(0.1, 5, n).view(-1, 1, 1, 1)
    lam = torch.linspace(0, 1, n)
    rescaled = rescale_to_lam(mask, lam)
    torch.testing.assert_close(mask_area(rescaled), lam, rtol=0, atol=1e-6)
    assert rescaled.min() >= 0
    assert rescaled.max() <= 1


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_rescaling_a_mask_without_any_of_one_image_gives_lam(value: float, lam: float) -> None:
    rescaled = rescale_to_lam(torch.full((1, 1, 4, 4), value), torch.tensor([lam]))
    torch.testing.assert_close(rescaled, torch.full((1, 1, 4, 4), lam))


def test_rescaling_uses_the_formula_of_the_side_that_is_too_large() -> None:
    mask = torch.tensor([0.2, 0.6]).view(1, 1, 1, 2)  # area 0.4
    torch.testing.assert_close(rescale_to_lam(mask, torch.tensor([0.2])), mask * 0.2 / 0.4)
    expected = 1 - (1 - mask) * (1 - 0.7) / (1 - 0.4)
    torch.testing.assert_close(rescale_to_lam(mask, torch.tensor([0.7])), expected)


def test_nearly_unmixed_pairs_fall_back_to_mixup_and_the_others_keep_their_mask(
    images: Tensor,
) -> None:
    lam = torch.tensor([0.05, 0.95, 0.08, 0.09, 0.5, 0.91])
    perm = torch.tensor([3, 0, 5, 1, 4, 2])
    mask = torch.rand(6, 1, 16, 16)
    mixed = mix_images(images, fall_back_to_mixup(mask, lam, 0.08), perm)

    shares = lam.view(-1, 1, 1, 1)
    mixup = shares * images + (1 - shares) * images[perm]
    torch.testing.assert_close(mixed[:3], mixup[:3])
    assert torch.equal(mixed[3:], mix_images(images, mask, perm)[3:])


def test_with_margin_zero_no_mask_falls_back(pairing: Pairing) -> None:
    mask = torch.rand(6, 1, 4, 4)  # `pairing` has ratios 0 and 1
    assert torch.equal(fall_back_to_mixup(mask, pairing.lam, 0.0), mask)
