import math

import numpy as np
import pytest
import torch
from torch import Tensor

from automix_cli.method import fmix
from automix_cli.method.mixers.fourier import low_frequency_field


def mask_of(images: Tensor, rng: np.random.Generator, **constants: float) -> Tensor:
    mask = fmix(images, rng, **constants).mask
    assert mask is not None
    return mask


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (32, 20), (1, 6)], ids=str)
@pytest.mark.parametrize("lam", [0.0, 0.3, 0.5, 0.901, 1.0])
def test_the_area_is_the_ratio_rounded_to_a_pixel(
    size: tuple[int, int], lam: float, fixed_ratio: type[np.random.Generator]
) -> None:
    pixels, areas = math.prod(size), set()
    for seed in range(10):
        mask = mask_of(torch.randn(2, 1, *size), fixed_ratio(lam, seed))
        assert ((mask == 0) | (mask == 1)).all()
        areas.add(round(mask[0].sum().item()))
    assert areas == {math.floor(lam * pixels), math.ceil(lam * pixels)}


def test_the_first_image_gets_the_highest_places_of_the_field(
    fixed_ratio: type[np.random.Generator],
) -> None:
    field = low_frequency_field(np.random.default_rng(4), (12, 10), 3.0)
    mask = mask_of(torch.randn(2, 1, 12, 10), fixed_ratio(0.4, 4))[0, 0]
    assert field[mask == 1].min() > field[mask == 0].max()


@pytest.mark.parametrize("size", [(16, 16), (15, 20)], ids=str)
def test_the_power_of_each_frequency_falls_with_the_decay(size: tuple[int, int]) -> None:
    height, width = size
    rng, power = np.random.default_rng(0), np.zeros(size)
    for _ in range(400):
        field = low_frequency_field(rng, size, 1.5).numpy()
        power += np.abs(np.fft.fft2(field)) ** 2 / 400
    down = np.minimum(np.arange(height), height - np.arange(height)) / height
    right = np.minimum(np.arange(width), width - np.arange(width)) / width
    frequency = np.maximum(np.sqrt(down[:, None] ** 2 + right**2), 1 / max(size))
    flat = power * frequency**3  # amplitude falls with f^1.5, power with f^3
    assert flat.mean() == pytest.approx(1, rel=0.02)
    assert flat.std() < 0.1  # of 400 draws: 5 % by chance, 7 % where values are real


def test_patches_are_as_wide_as_they_are_high() -> None:
    """The official code knows no horizontal frequency above one; see the docstring of `fmix`."""
    rng, across, along = np.random.default_rng(0), 0.0, 0.0
    for _ in range(200):
        mask = mask_of(torch.randn(1, 1, 32, 32), rng, alpha=4.0)[0, 0]
        across += mask.diff(dim=1).abs().sum().item()
        along += mask.diff(dim=0).abs().sum().item()
    assert across == pytest.approx(along, rel=0.1)


def test_a_larger_decay_makes_larger_patches(fixed_ratio: type[np.random.Generator]) -> None:
    def border(decay: float) -> float:
        masks = [
            mask_of(torch.randn(1, 1, 32, 32), fixed_ratio(0.5, seed), decay_power=decay)
            for seed in range(20)
        ]
        return torch.stack(masks).diff(dim=-1).abs().sum().item()

    assert border(0.0) > 1.5 * border(1.0) > 3 * border(3.0)


def test_the_mean_area_is_one_half() -> None:
    rng, images = np.random.default_rng(0), torch.randn(2, 1, 8, 8)
    areas = [fmix(images, rng, alpha=1.0).first_weight[0].item() for _ in range(1000)]
    assert np.mean(areas) == pytest.approx(0.5, abs=4 * math.sqrt(1 / 12 / 1000))
