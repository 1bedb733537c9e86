"""Area, entropy and total variation of masks that can be measured by hand."""

import math

import pytest
import torch

from automix_cli.evaluation.masks import (
    areas,
    entropies,
    identity_error,
    measures,
    summary,
    total_variations,
)


def half(size: int) -> torch.Tensor:
    """The left half is the first image's."""
    mask = torch.zeros(1, 1, size, size)
    mask[..., : size // 2] = 1
    return mask


def test_a_straight_cut_is_one_side_long_at_every_size() -> None:
    assert total_variations(half(8)).item() == pytest.approx(1)
    assert total_variations(half(64)).item() == pytest.approx(1)


def test_a_box_is_as_long_as_its_perimeter() -> None:
    mask = torch.ones(1, 1, 10, 10)
    mask[..., 2:6, 3:8] = 0
    assert total_variations(mask).item() == pytest.approx((2 * 4 + 2 * 5) / 10)


def test_decided_pixels_have_no_entropy_and_halves_a_bit() -> None:
    masks = torch.cat([half(4), torch.full((1, 1, 4, 4), 0.5), torch.full((1, 1, 4, 4), 0.25)])
    quarter = -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75))
    torch.testing.assert_close(entropies(masks), torch.tensor([0.0, 1.0, quarter]))


def test_exchanging_the_images_changes_the_area_only() -> None:
    mask = torch.rand(3, 1, 6, 5, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(areas(1 - mask), 1 - areas(mask))
    torch.testing.assert_close(measures(1 - mask)[:, 1:], measures(mask)[:, 1:])


def test_blocks_sum_up_to_what_all_masks_give_at_once() -> None:
    mask = torch.rand(7, 1, 4, 4, generator=torch.Generator().manual_seed(2))
    assert summary([measures(mask[:3]), measures(mask[3:])]) == summary([measures(mask)])
    assert summary([measures(mask)]).area_std == pytest.approx(float(areas(mask).double().std()))


def test_no_mask_has_no_summary() -> None:
    with pytest.raises(ValueError, match="at least one mask"):
        summary([])


def test_the_distance_from_the_identity_is_a_mean() -> None:
    assert identity_error([0.0, 1.0], [0.2, 0.9]) == pytest.approx(0.15)
    with pytest.raises(ValueError, match="as many areas"):
        identity_error([0.0], [])
