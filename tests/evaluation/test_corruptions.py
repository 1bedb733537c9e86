"""The corruptions against the published script's recorded results, and against other programs."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from published_draws import Draws, published_draws

from automix_cli.evaluation.corruptions import (
    CORRUPTIONS,
    SEVERITIES,
    corrupt,
    draw_all,
    frost_draw,
)
from automix_cli.evaluation.corruptions.constants import CIFAR

GOLDEN = Path(__file__).parents[1] / "golden" / "cifar_c.npz"
FROST_DIR = os.environ.get("FROST_DIR")
PHOTOGRAPHS = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")
WITHOUT_FROST = [name for name in CORRUPTIONS if name != "frost"]
RANDOM = [name for name, each in CORRUPTIONS.items() if each.draw is not None]


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN, allow_pickle=False) as recorded:
        return dict(recorded)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)


def replay(golden: dict[str, np.ndarray], name: str, *, is_exact: bool) -> np.ndarray:
    """The golden images, corrupted by us with the published draws, as differences."""
    images = golden["images"]
    found = [
        corrupt(name, severity, images, published_draws(name, severity, images), is_exact=is_exact)
        for severity in SEVERITIES
    ]
    return np.abs(np.stack(found).astype(int) - golden[name])


@pytest.mark.parametrize("name", WITHOUT_FROST)
def test_exact_values_are_those_of_the_published_script(
    golden: dict[str, np.ndarray], name: str
) -> None:
    assert replay(golden, name, is_exact=True).max() == 0


@pytest.mark.parametrize("name", WITHOUT_FROST)
def test_fast_values_are_within_one_level_of_the_published_script(
    golden: dict[str, np.ndarray], name: str
) -> None:
    differences = replay(golden, name, is_exact=False)
    assert differences.max() <= 1
    assert (differences > 0).mean() < 0.03


@pytest.mark.skipif(FROST_DIR is None, reason="FROST_DIR does not name the frost photographs")
def test_frost_is_that_of_the_published_script(golden: dict[str, np.ndarray]) -> None:
    folder = Path(FROST_DIR or "")
    photographs = [np.array(Image.open(folder / name).convert("RGB")) for name in PHOTOGRAPHS]
    images = golden["images"]
    for severity in SEVERITIES:
        draws = published_draws("frost", severity, images, photographs)
        found = corrupt("frost", severity, images, draws)
        assert np.array_equal(found, golden["frost"][severity - 1])


def test_every_recorded_corruption_is_there(golden: dict[str, np.ndarray]) -> None:
    assert set(golden) - {"images"} == set(CORRUPTIONS)


def draws_for(name: str, images: np.ndarray, first: int = 0) -> Draws:
    draw = CORRUPTIONS[name].draw
    if draw is None:
        return ()
    generators = [np.random.default_rng(first + each) for each in range(len(images))]
    return draw_all(draw, CIFAR.parameters[name][4 - 1], images, generators)


@pytest.mark.parametrize("is_exact", [True, False], ids=["exact", "fast"])
@pytest.mark.parametrize("name", WITHOUT_FROST)
def test_an_image_does_not_depend_on_its_batch(
    images: np.ndarray, name: str, is_exact: bool
) -> None:
    whole = corrupt(name, 4, images, draws_for(name, images), is_exact=is_exact)
    parts = [
        corrupt(name, 4, images[part], draws_for(name, images[part], part.start), is_exact=is_exact)
        for part in (slice(0, 1), slice(1, 4), slice(4, 7))
    ]
    assert np.array_equal(whole, np.concatenate(parts))


@pytest.mark.parametrize("name", WITHOUT_FROST)
def test_the_clean_images_stay_as_they_are(images: np.ndarray, name: str) -> None:
    before = images.copy()
    corrupted = corrupt(name, 5, images, draws_for(name, images))
    assert np.array_equal(images, before)
    assert corrupted.dtype == np.uint8
    assert not np.array_equal(corrupted, before)


def test_frost_is_a_weighted_sum_with_a_piece_of_a_shrunk_photograph(images: np.ndarray) -> None:
    photograph = np.random.default_rng(1).integers(0, 256, (201, 333, 3), dtype=np.uint8)
    draw = frost_draw([photograph])
    generators = [np.random.default_rng(each) for each in range(len(images))]
    draws = draw_all(draw, None, images, generators)
    found = corrupt("frost", 3, images, draws)
    small = photograph[2::5, 2::5]
    assert small.shape == (40, 67, 3)
    for image, piece, result in zip(images, draws[0], found, strict=True):
        places = [
            (top, left)
            for top in range(40 - 32)
            for left in range(67 - 32)
            if np.array_equal(piece, small[top : top + 32, left : left + 32])
        ]
        assert len(places) == 1
        blended = 0.9 * image.astype(float) + 0.4 * piece.astype(float)
        assert np.array_equal(result, np.clip(blended, 0, 255).astype(np.uint8))


def test_frost_refuses_photographs_without_room_for_an_image() -> None:
    with pytest.raises(ValueError, match="larger than 32 x 32"):
        frost_draw([np.zeros((160, 400, 3), np.uint8)])
    with pytest.raises(ValueError, match="got sizes"):
        frost_draw([])


@pytest.mark.parametrize("severity", SEVERITIES)
def test_pixelate_is_pillows_box_filter(images: np.ndarray, severity: int) -> None:
    size = CIFAR.parameters["pixelate"][severity - 1]
    expected = [
        np.array(
            Image.fromarray(image)
            .resize((size, size), Image.Resampling.BOX)
            .resize((32, 32), Image.Resampling.BOX)
        )
        for image in images
    ]
    assert np.array_equal(corrupt("pixelate", severity, images), np.stack(expected))


@pytest.mark.parametrize("severity", SEVERITIES)
def test_grey_jpeg_is_that_of_todays_library(images: np.ndarray, severity: int) -> None:
    # libjpeg 9 and libjpeg-turbo treat colour differently, brightness alike
    grey = np.repeat(images[..., :1], 3, axis=3)
    expected = []
    for image in grey:
        file = io.BytesIO()
        Image.fromarray(image[..., 0]).save(
            file, "JPEG", quality=CIFAR.parameters["jpeg_compression"][severity - 1]
        )
        expected.append(np.array(Image.open(file).convert("RGB")))
    assert np.array_equal(corrupt("jpeg_compression", severity, grey), np.stack(expected))


@pytest.mark.parametrize("severity", SEVERITIES)
def test_colour_jpeg_is_near_that_of_todays_library(severity: int) -> None:
    coarse = np.random.default_rng(2).integers(0, 256, (8, 3, 3, 3), dtype=np.uint8)
    smooth = [Image.fromarray(each).resize((32, 32), Image.Resampling.BICUBIC) for each in coarse]
    images = np.stack([np.array(each) for each in smooth])
    expected = []
    for image in smooth:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=CIFAR.parameters["jpeg_compression"][severity - 1])
        expected.append(np.array(Image.open(file).convert("RGB")))
    found = corrupt("jpeg_compression", severity, images).astype(int)
    # colours of half the resolution, made by another filter: 1.2 to 1.4 levels were measured
    assert np.abs(found - np.stack(expected)).mean() < 2


def test_zoom_factors_are_as_many_as_rounding_gives() -> None:
    assert [len(factors) for factors in CIFAR.parameters["zoom_blur"]] == [7, 12, 16, 21, 26]


def test_flat_images_stay_flat_under_blurs_and_resampling() -> None:
    levels = np.array([0, 1, 77, 128, 254, 255], np.uint8)
    flat = np.broadcast_to(levels[:, None, None, None], (6, 32, 32, 3)).copy()
    for name in ("motion_blur", "zoom_blur", "elastic_transform", "pixelate", "jpeg_compression"):
        for severity in SEVERITIES:
            found = corrupt(name, severity, flat, published_draws(name, severity, flat))
            # a sum of shares may fall one level short when the fraction is cut off
            assert np.abs(found.astype(int) - flat).max() <= 1


def test_noise_has_the_strength_it_says() -> None:
    grey = np.full((40, 32, 32, 3), 128, np.uint8)
    generators = [np.random.default_rng(each) for each in range(40)]
    numbers = {}
    for name in ("gaussian_noise", "shot_noise", "speckle_noise"):
        draw = CORRUPTIONS[name].draw
        assert draw is not None
        noisy = corrupt(
            name, 3, grey, draw_all(draw, CIFAR.parameters[name][3 - 1], grey, generators)
        )
        numbers[name] = (noisy.mean(), noisy.std())
    share = 128 / 255
    # cutting the fraction off takes half a level away on average; 40 x 3072 values
    expected = {
        "gaussian_noise": 255 * 0.08,
        "shot_noise": 255 * (share / 100) ** 0.5,
        "speckle_noise": 255 * share * 0.12,
    }
    for name, deviation in expected.items():
        assert numbers[name][0] == pytest.approx(127.5, abs=0.5), name
        assert numbers[name][1] == pytest.approx(deviation, rel=0.01), name


def test_impulse_noise_replaces_its_share_half_of_it_by_white() -> None:
    grey = np.full((40, 32, 32, 3), 128, np.uint8)
    draw = CORRUPTIONS["impulse_noise"].draw
    assert draw is not None
    generators = [np.random.default_rng(each) for each in range(40)]
    noisy = corrupt("impulse_noise", 5, grey, draw_all(draw, None, grey, generators))
    assert set(np.unique(noisy)) == {0, 128, 255}
    assert (noisy != 128).mean() == pytest.approx(0.07, abs=0.003)
    assert (noisy == 255).mean() == pytest.approx(0.035, abs=0.002)


@pytest.mark.parametrize("name", RANDOM)
def test_draws_are_those_of_the_images_own_generator(images: np.ndarray, name: str) -> None:
    together = draws_for(name, images)
    alone = draws_for(name, images[3:4], 3)
    for all_rows, row in zip(together, alone, strict=True):
        assert np.array_equal(all_rows[3], row[0])


def test_unknown_names_severities_and_sizes_are_refused(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"name must be one of gaussian_noise.*got 'rain'"):
        corrupt("rain", 1, images)
    with pytest.raises(ValueError, match="severity must be in 1 to 5, got 6"):
        corrupt("pixelate", 6, images)
    with pytest.raises(ValueError, match=r"images must be \(n, 32, 32, 3\)"):
        corrupt("pixelate", 1, images[:, :16])
