"""Mixup, CutMix and its kin against loops over pixels that make the same draws."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from automix_cli.method import (
    cutmix,
    gridmix,
    mixup,
    mixup_or_cutmix,
    resizemix,
    smoothmix,
    vanilla,
)
from automix_cli.method.mixers.boxes import sample_box
from automix_cli.method.pairing import sample_permutation

SEEDS = range(8)


@pytest.fixture
def batch() -> Tensor:
    return torch.randn(4, 2, 11, 16)


def clipped_box(rng: np.random.Generator, height: int, width: int, scale: float) -> np.ndarray:
    """Whether each pixel is in the box, from the definition."""
    tall, wide = int(height * scale), int(width * scale)
    row, column = rng.integers(height), rng.integers(width)
    inside = np.zeros((height, width), dtype=bool)
    for i in range(height):
        for j in range(width):
            inside[i, j] = (
                row - tall // 2 <= i < row + tall // 2
                and column - wide // 2 <= j < column + wide // 2
            )
    return inside


def test_vanilla_gives_the_batch_itself(batch: Tensor) -> None:
    mixture = vanilla(batch, np.random.default_rng(0))
    assert mixture.images is batch
    assert mixture.perm.tolist() == [0, 1, 2, 3]
    assert mixture.first_weight.tolist() == [1, 1, 1, 1]


def test_mixup_blends_by_a_ratio_of_the_right_distribution(batch: Tensor) -> None:
    lam = torch.stack(
        [mixup(batch, np.random.default_rng(seed), alpha=2.0).first_weight for seed in range(2000)]
    )
    assert (lam == lam[:, :1]).all()  # one ratio for the batch
    deviation = math.sqrt(1 / 20)  # of Beta(2, 2)
    assert lam[:, 0].mean().item() == pytest.approx(0.5, abs=4 * deviation / math.sqrt(2000))
    assert lam[:, 0].std().item() == pytest.approx(deviation, rel=0.06)


@pytest.mark.parametrize("seed", SEEDS)
def test_cutmix_pastes_the_box_of_the_definition(seed: int, batch: Tensor) -> None:
    mixture = cutmix(batch, np.random.default_rng(seed), alpha=1.0)
    rng = np.random.default_rng(seed)
    inside = clipped_box(rng, 11, 16, math.sqrt(1 - rng.beta(1.0, 1.0)))
    perm = sample_permutation(rng, 4, avoid_self_pairs=True)
    expected = np.where(inside, batch[perm].numpy(), batch.numpy())
    assert np.array_equal(mixture.images.numpy(), expected)
    assert mixture.perm.tolist() == perm.tolist()
    torch.testing.assert_close(
        mixture.first_weight, torch.full((4,), float(1 - inside.mean())), rtol=0, atol=1e-6
    )


def test_cutmix_avoids_self_pairs_only_if_asked(batch: Tensor) -> None:
    def meets_itself(seed: int, *, avoid: bool) -> bool:
        perm = cutmix(batch, np.random.default_rng(seed), avoid_self_pairs=avoid).perm
        return bool((perm == torch.arange(4)).any())

    assert not any(meets_itself(seed, avoid=True) for seed in range(200))
    assert any(meets_itself(seed, avoid=False) for seed in range(20))


def test_the_coin_of_deit_is_fair_and_each_side_has_its_own_concentration(batch: Tensor) -> None:
    mixtures = [mixup_or_cutmix(batch, np.random.default_rng(seed)) for seed in range(2000)]
    masks = torch.stack([mixture.mask[0, 0] for mixture in mixtures if mixture.mask is not None])
    boxes = ((masks == 0) | (masks == 1)).all(dim=2).all(dim=1)
    assert boxes.float().mean().item() == pytest.approx(0.5, abs=0.045)  # four deviations
    blended = masks[~boxes][:, 0, 0]
    assert blended.var().item() == pytest.approx(1 / (4 * (2 * 0.8 + 1)), rel=0.1)


@pytest.mark.parametrize("seed", SEEDS)
def test_smoothmix_weighs_the_first_label_by_what_the_spot_leaves(seed: int, batch: Tensor) -> None:
    mixture = smoothmix(batch, np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    spread, row, column = (
        rng.uniform(0.25, 0.5) * 11,
        rng.integers(11) - 0.5,
        rng.integers(16) - 0.5,
    )
    spot = np.zeros((11, 16))
    for i in range(11):
        for j in range(16):
            spot[i, j] = math.exp(-((i - row) ** 2 + (j - column) ** 2) / (2 * spread**2))
    perm = rng.permutation(4)
    expected = batch.numpy() * (1 - spot) + batch[perm].numpy() * spot
    np.testing.assert_allclose(mixture.images.numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(mixture.first_weight.numpy(), 1 - spot.mean(), atol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scale", ["beta", "uniform"])
def test_resizemix_pastes_the_whole_second_image(seed: int, scale: str, batch: Tensor) -> None:
    mixture = resizemix(batch, np.random.default_rng(seed), scale=scale)
    rng = np.random.default_rng(seed)
    side = rng.beta(1.0, 1.0) if scale == "beta" else rng.uniform(0.1, 0.8)
    if not 0.1 <= side <= 0.8:
        side = rng.uniform(0.1, 0.8)
    rows, columns = np.nonzero(clipped_box(rng, 11, 16, side))
    perm, expected = rng.permutation(4), batch.clone()
    if len(rows):
        tall, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
        for i, j in zip(rows, columns, strict=True):
            source = ((i - rows.min()) * 11 // tall, (j - columns.min()) * 16 // wide)
            expected[:, :, i, j] = batch[perm][:, :, source[0], source[1]]
    assert torch.equal(mixture.images, expected)
    expected_weight = torch.full((4,), 1 - len(rows) / (11 * 16))
    torch.testing.assert_close(mixture.first_weight, expected_weight)


def test_resizemix_refuses_scales_beyond_the_image(batch: Tensor) -> None:
    with pytest.raises(ValueError, match=r"`scale_range` must be an interval in \[0, 1\], got"):
        resizemix(batch, np.random.default_rng(0), scale_range=(0.5, 1.2))


def test_resizemix_can_shrink_smoothly(batch: Tensor) -> None:
    mixture = resizemix(batch, np.random.default_rng(1), interpolation="bilinear", scale="uniform")
    rng = np.random.default_rng(1)
    box = sample_box(rng, (11, 16), rng.uniform(0.1, 0.8))
    expected = F.interpolate(batch[mixture.perm], size=box.size, mode="bilinear")
    assert box.area > 1
    torch.testing.assert_close(mixture.images[..., *box.inside], expected)


def test_the_holes_of_gridmix_are_a_lattice_of_squares_of_the_drawn_size(
    fixed_ratio: type[np.random.Generator],
) -> None:
    images = torch.randn(3, 1, 64, 64)
    for seed in range(12):
        mixture = gridmix(
            images,
            fixed_ratio(0.75, seed),
            num_holes=(4, 4),
            crop_area=(1.0, 1.0),
            crop_aspect=(1.0, 1.0),
        )
        assert mixture.mask is not None
        # the crop is the image, its cells have 16 pixels, and holes sqrt(1 - 0.75) of that
        expected = torch.ones(64, 64)
        for i in range(64):
            for j in range(64):
                expected[i, j] = float(i % 16 >= 8 or j % 16 >= 8)
        assert torch.equal(mixture.mask[1, 0], expected)
        assert mixture.first_weight.tolist() == [0.75] * 3


def test_gridmix_keeps_its_holes_inside_the_crop(fixed_ratio: type[np.random.Generator]) -> None:
    images = torch.randn(2, 1, 40, 40)
    for seed in range(50):
        mixture = gridmix(images, fixed_ratio(0.2, seed), crop_area=(0.5, 0.5))
        assert mixture.mask is not None
        hole_rows = (mixture.mask[0, 0] == 0).any(dim=1).nonzero()
        hole_columns = (mixture.mask[0, 0] == 0).any(dim=0).nonzero()
        spanned = (hole_rows.max() - hole_rows.min() + 1) * (
            hole_columns.max() - hole_columns.min() + 1
        )
        assert spanned <= 0.5 * 1600


def test_gridmix_shows_at_least_a_pixel_and_at_most_all_but_a_line_of_each_cell() -> None:
    images = torch.randn(2, 1, 32, 32)
    for seed in range(50):
        weight = gridmix(images, np.random.default_rng(seed), alpha=0.05).first_weight
        assert (weight < 1).all()
        assert (weight > 0).all()
