"""Hidden patches: how many, whose, and where."""

import numpy as np
import pytest
import torch

from automix_cli.evaluation.occlusion import SHARES, hide_patches, patch_orders, patch_size


def orders(n: int, num_patches: int = 16) -> np.ndarray:
    return patch_orders([np.random.default_rng(number) for number in range(n)], num_patches)


@pytest.mark.parametrize(
    ("image_size", "patch"), [(224, 16), (384, 16), (32, 4), (64, 8), (8, 1)], ids=str
)
def test_patches_are_those_of_the_reference_at_224_and_an_eighth_below(
    image_size: int, patch: int
) -> None:
    assert patch_size(image_size) == patch


@pytest.mark.parametrize("image_size", [7, 28 + 3, 225])
def test_images_that_do_not_divide_are_refused(image_size: int) -> None:
    with pytest.raises(ValueError, match="do not divide"):
        patch_size(image_size)


@pytest.mark.parametrize("share", SHARES)
def test_so_many_whole_patches_become_the_mean_colour(share: float) -> None:
    images = torch.ones(5, 3, 8, 8)
    hidden = hide_patches(images, orders(5), share) == 0
    cells = hidden.view(5, 3, 4, 2, 4, 2).permute(0, 2, 4, 1, 3, 5).reshape(5, 16, 12)
    assert torch.equal(cells.all(2), cells.any(2))  # a patch is hidden whole, in all channels
    assert cells.any(2).sum(1).tolist() == [round(share * 16)] * 5


def test_a_larger_share_hides_the_same_patches_and_more() -> None:
    images = torch.ones(5, 1, 8, 8)
    less, more = (hide_patches(images, orders(5), share) == 0 for share in (0.3, 0.6))
    assert torch.equal(less & more, less)


def test_images_have_patches_of_their_own() -> None:
    hidden = hide_patches(torch.ones(5, 1, 8, 8), orders(5), 0.5)
    assert len({tuple(image.flatten().tolist()) for image in hidden}) == 5


def test_a_share_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"share must be in \[0, 1\]"):
        hide_patches(torch.ones(1, 1, 8, 8), orders(1), 1.5)
