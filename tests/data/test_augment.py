"""Whole batches are cropped, mirrored and normalised like single images."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as transforms

from automix_cli.data.augment import (
    Augmentation,
    Normalization,
    crop_and_flip,
    draw_augmentation,
)

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


def random_images(num_images: int, height: int = 32, width: int = 32) -> Tensor:
    rng = np.random.default_rng(0)
    pixels = rng.integers(256, size=(num_images, 3, height, width), dtype=np.uint8)
    return torch.from_numpy(pixels)


def draws(num_images: int, padding: int = 4, *, flip: bool = True) -> Augmentation:
    rng = np.random.default_rng(1)
    return draw_augmentation(rng, num_images, crop_padding=padding, flip=flip)


def cropped(images: Tensor, padding: int, indices: Tensor, drawn: Augmentation) -> Tensor:
    return crop_and_flip(images, padding, indices, drawn.offsets[indices], drawn.flips[indices])


@pytest.mark.parametrize("padding", [-1, 8])
def test_padding_beyond_what_can_be_mirrored_is_refused(padding: int) -> None:
    with pytest.raises(ValueError, match=rf"padding must be in \[0, 8\), got {padding}"):
        cropped(random_images(1, height=8, width=11), padding, torch.arange(1), draws(1))


@pytest.mark.parametrize(
    ("height", "width", "padding"), [(32, 32, 4), (9, 12, 2), (8, 8, 0), (8, 11, 7)]
)
def test_a_batch_is_cropped_like_its_images_one_by_one(
    height: int, width: int, padding: int
) -> None:
    images = random_images(40, height, width)
    drawn = draws(40, padding)
    indices = torch.from_numpy(np.random.default_rng(2).permutation(40)[:25])
    batch = cropped(images, padding, indices, drawn)
    for found, index in zip(batch, indices.tolist(), strict=True):
        top, left = drawn.offsets[index].tolist()
        padded = F.pad(images[index, None].float(), (padding,) * 4, mode="reflect")[0]
        wanted = padded[:, top : top + height, left : left + width]
        wanted = wanted.flip(2) if drawn.flips[index] else wanted
        assert torch.equal(found.float(), wanted)


def test_the_whole_path_agrees_with_torchvision_on_the_same_draws() -> None:
    images, drawn = random_images(20), draws(20)
    batch = Normalization(MEAN, STD, "cpu")(cropped(images, 4, torch.arange(20), drawn))
    for index in range(20):
        top, left = drawn.offsets[index].tolist()
        wanted = transforms.pad(images[index], [4], padding_mode="reflect")
        wanted = transforms.crop(wanted, top, left, 32, 32)
        wanted = transforms.horizontal_flip(wanted) if drawn.flips[index] else wanted
        wanted = transforms.to_dtype(wanted, torch.float32, scale=True)
        wanted = transforms.normalize(wanted, list(MEAN), list(STD))
        # One multiplication and one addition instead of two divisions: float32 rounding.
        torch.testing.assert_close(batch[index], wanted, rtol=1e-6, atol=1e-6)


def test_half_of_the_images_are_mirrored() -> None:
    rate = draws(20_000).flips.double().mean().item()
    assert rate == pytest.approx(0.5, abs=4 * 0.5 / 20_000**0.5)  # four standard errors


def test_every_offset_is_as_likely_in_both_directions() -> None:
    offsets = draws(81_000, padding=4).offsets
    counts = torch.bincount(offsets[:, 0] * 9 + offsets[:, 1], minlength=81)
    assert len(counts) == 81
    # 1,000 expected in each cell; five standard deviations allow for 81 looks.
    assert (counts - 1000).abs().max() < 5 * 1000**0.5


def test_without_mirroring_the_crops_stay_the_same() -> None:
    plain, mirrored = draws(50, flip=False), draws(50, flip=True)
    assert torch.equal(plain.offsets, mirrored.offsets)
    assert not plain.flips.any()
    assert mirrored.flips.any()


def test_without_padding_the_images_stay_whole() -> None:
    images = random_images(10)
    drawn = draws(10, padding=0, flip=False)
    assert torch.equal(cropped(images, 0, torch.arange(10), drawn), images)


@pytest.mark.parametrize(
    ("mean", "std"), [((0.5,), (0.2, 0.2)), ((0.5,), (0.0,))], ids=["lengths", "zero"]
)
def test_a_normalisation_that_cannot_be_is_refused(
    mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match="mean and std must be as long, and std > 0"):
        Normalization(mean, std, "cpu")


def test_images_of_other_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="images must have 1 channels, got 3"):
        Normalization((0.5,), (0.2,), "cpu")(random_images(2))
