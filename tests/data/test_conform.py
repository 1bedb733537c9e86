"""Images of another data set fit a network."""

import pytest
import torch

from automix_cli.data.conform import conform
from automix_cli.data.image_set import ImageSet


def images(channels: int, size: int, value: int = 120) -> ImageSet:
    pixels = torch.full((3, channels, size, size), value, dtype=torch.uint8)
    pixels[0, :, : size // 2] = 10
    return ImageSet(pixels, torch.arange(3), ("a", "b", "c"))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 16, 20])
@pytest.mark.parametrize("found", [1, 3])
def test_size_and_channels_become_those_wanted(found: int, size: int, channels: int) -> None:
    made = conform(images(found, 16), channels=channels, size=size)
    assert made.images.shape == (3, channels, size, size)
    assert made.images[1].unique().tolist() == [120]  # one colour stays one colour
    assert made.images[0, :, 0].unique().tolist() == [10]
    assert made.labels.tolist() == [0, 1, 2]


def test_what_fits_is_not_touched() -> None:
    given = images(3, 16)
    assert torch.equal(conform(given, channels=3, size=16).images, given.images)


def test_grey_is_the_luma() -> None:
    colours = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    colours[:, 1] = 200
    made = conform(ImageSet(colours, torch.zeros(1).long(), ("a",)), channels=1, size=4)
    assert made.images.unique().tolist() == [round(0.587 * 200)]


def test_other_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="4 channels into 3"):
        conform(images(4, 8), channels=3, size=8)
