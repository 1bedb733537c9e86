"""A training image is what torchvision makes of it with the same parameters."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pictures import smooth_pixels
from PIL import Image
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as transforms

from automix_cli.data.boxes import central_box, erased_box, random_resized_box
from automix_cli.data.decoding import StoredPicture
from automix_cli.data.recipe import ERASING, GEOMETRY, Recipe, Sample, View

PIXELS = torch.from_numpy(smooth_pixels(50, 80)).permute(2, 0, 1).contiguous()
PICTURE = StoredPicture(PIXELS)
SAMPLES = [Sample(0, 1, image, 0) for image in range(12)]
RANDOM_RESIZED = Recipe(size=32, crop="random_resized")


def as_tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_a_random_resized_crop_is_torchvisions_with_the_same_box(
    sample: Sample, interpolation: str
) -> None:
    recipe = replace(RANDOM_RESIZED, interpolation=interpolation)
    rng = sample.rng(GEOMETRY)
    is_mirrored = bool(rng.integers(2))
    box = random_resized_box(rng, 50, 80, scale_min=0.08)
    mode = transforms.InterpolationMode(interpolation)
    wanted = transforms.resized_crop(PIXELS, *box, [32, 32], mode, antialias=True)
    wanted = transforms.horizontal_flip(wanted) if is_mirrored else wanted
    found = as_tensor(recipe.pixels(PICTURE, sample))
    assert torch.equal(found, wanted)
    pillow = transforms.resized_crop(
        Image.fromarray(PIXELS.permute(1, 2, 0).numpy()), *box, [32, 32], mode
    )
    pillow = transforms.horizontal_flip(pillow) if is_mirrored else pillow
    assert (found.int() - transforms.pil_to_tensor(pillow).int()).abs().max() <= 1


@pytest.mark.parametrize(
    ("height", "width", "scale_min"), [(50, 80, 0.08), (20, 200, 0.5), (64, 64, 0.9)]
)
def test_boxes_are_distributed_as_torchvisions(height: int, width: int, scale_min: float) -> None:
    rng = np.random.default_rng(0)
    ours = np.array(
        [random_resized_box(rng, height, width, scale_min=scale_min) for _ in range(1000)]
    )
    theirs_of = v2.RandomResizedCrop(8, scale=(scale_min, 1.0))
    image = torch.zeros(3, height, width)
    torch.manual_seed(0)  # noqa: TID251 - torchvision draws from the global generator
    names = ("top", "left", "height", "width")
    drawn = [theirs_of.make_params([image]) for _ in range(1000)]
    theirs = np.array([[each[name] for name in names] for each in drawn])
    assert (ours[:, :2] >= 0).all()
    assert (ours[:, 0] + ours[:, 2] <= height).all()
    assert (ours[:, 1] + ours[:, 3] <= width).all()
    spread = np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / 1000)
    # five standard errors: 12 looks
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) <= 5 * spread).all()
    assert np.allclose(ours.std(axis=0), theirs.std(axis=0), rtol=0.12, atol=0.1)


@pytest.mark.parametrize("sample", SAMPLES[:6], ids=str)
def test_a_padded_crop_is_torchvisions_with_the_same_offsets(sample: Sample) -> None:
    recipe = Recipe(size=40, crop="pad", crop_padding=6, interpolation="bilinear")
    rng = sample.rng(GEOMETRY)
    is_mirrored = bool(rng.integers(2))
    shown = transforms.resize(PIXELS, [40], transforms.InterpolationMode.BILINEAR, antialias=True)
    padded = transforms.pad(shown, [6], padding_mode="reflect")
    top, left = (int(rng.integers(side - 40 + 1)) for side in padded.shape[1:])
    wanted = transforms.crop(padded, top, left, 40, 40)
    wanted = transforms.horizontal_flip(wanted) if is_mirrored else wanted
    assert torch.equal(as_tensor(recipe.pixels(PICTURE, sample)), wanted)


def test_resizing_first_changes_what_a_random_resized_crop_is_cut_from() -> None:
    sample = SAMPLES[0]
    recipe = replace(RANDOM_RESIZED, resize=36, interpolation="bilinear")
    rng = sample.rng(GEOMETRY)
    is_mirrored = bool(rng.integers(2))
    mode = transforms.InterpolationMode.BILINEAR
    shown = transforms.resize(PIXELS, [36], mode, antialias=True)
    box = random_resized_box(rng, *shown.shape[1:], scale_min=0.08)
    wanted = transforms.resized_crop(shown, *box, [32, 32], mode, antialias=True)
    wanted = transforms.horizontal_flip(wanted) if is_mirrored else wanted
    assert torch.equal(as_tensor(recipe.pixels(PICTURE, sample)), wanted)


@pytest.mark.parametrize(
    ("size", "ratio", "side"), [(32, 1.0, 32), (28, 0.875, 32), (48, 0.96, 50)]
)
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_a_view_is_torchvisions_resize_and_centre_crop(
    size: int, ratio: float, side: int, interpolation: str
) -> None:
    view = View((0.5,) * 3, (0.5,) * 3, size, ratio, interpolation)
    mode = transforms.InterpolationMode(interpolation)
    for pixels in (PIXELS, PIXELS.transpose(1, 2).contiguous(), PIXELS[:, :33, :33].contiguous()):
        shown = transforms.resize(pixels, [side], mode, antialias=True)
        wanted = transforms.center_crop(shown, [size, size])
        assert torch.equal(as_tensor(view.pixels(StoredPicture(pixels))), wanted)


def test_224_of_0875_is_256() -> None:
    assert View((0.5,), (0.5,), 224, 0.875).short_side == 256


def test_mirroring_or_not_does_not_change_the_box() -> None:
    plain = replace(RANDOM_RESIZED, flip=False)
    pairs = [
        (RANDOM_RESIZED.pixels(PICTURE, each), plain.pixels(PICTURE, each)) for each in SAMPLES
    ]
    same = [np.array_equal(one, other) for one, other in pairs]
    mirrored = [np.array_equal(one[:, ::-1], other) for one, other in pairs]
    assert all(one or other for one, other in zip(same, mirrored, strict=True))
    assert 0 < sum(mirrored) < len(mirrored)


def test_gray_images_keep_one_channel() -> None:
    gray = StoredPicture(PIXELS[:1].contiguous())
    assert RANDOM_RESIZED.pixels(gray, SAMPLES[0]).shape == (32, 32, 1)


def test_erased_boxes_are_as_likely_and_as_large_as_timms() -> None:
    rng = np.random.default_rng(0)
    boxes = [erased_box(rng, 64, 64) for _ in range(1500)]
    shares = np.array([each.height * each.width / 64**2 for each in boxes if each is not None])
    assert len(shares) > 1490
    # uniform in [0.02, 1/3], up to rounding to pixels and the boxes that do not fit
    assert shares.mean() == pytest.approx((0.02 + 1 / 3) / 2, abs=0.01)
    assert 0.015 < shares.min() < shares.max() < 0.345
    recipe = replace(RANDOM_RESIZED, erase_probability=0.25)
    drawn = [recipe.erasure(3, Sample(0, 0, image, 0)) for image in range(2000)]
    rate = sum(each is not None for each in drawn) / len(drawn)
    assert rate == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / 2000) ** 0.5)  # 4 standard errors


def test_a_box_is_timms_with_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    from timm.data import random_erasing

    for image in range(20):
        rng = Sample(0, 0, image, 0).rng(ERASING)
        box = erased_box(rng, 48, 40)
        again = Sample(0, 0, image, 0).rng(ERASING)
        monkeypatch.setattr(random_erasing.random, "random", lambda: 0.0)
        monkeypatch.setattr(random_erasing.random, "uniform", again.uniform)
        monkeypatch.setattr(
            random_erasing.random, "randint", lambda low, high, g=again: int(g.integers(high + 1))
        )
        erased = torch.ones(3, 48, 40)
        random_erasing.RandomErasing(1.0, mode="const", device="cpu")(erased)
        rows, columns = (torch.nonzero(erased[0] == 0)[:, axis] for axis in (0, 1))
        assert box is not None
        assert (int(rows.min()), int(columns.min())) == (box.top, box.left)
        assert len(rows) == box.height * box.width


@pytest.mark.parametrize("sides", [(7, 10, 4, 5), (10, 7, 5, 4), (9, 9, 9, 2)])
def test_the_middle_is_where_torchvision_has_it(sides: tuple[int, int, int, int]) -> None:
    height, width, box_height, box_width = sides
    numbers = torch.arange(height * width).view(1, height, width)
    box = central_box(height, width, box_height, box_width)
    wanted = transforms.center_crop(numbers, [box_height, box_width])
    assert torch.equal(transforms.crop(numbers, *box), wanted)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"crop_padding": 32}, r"padding must be in \[0, 32\), got 32"),
        ({"resize": 16, "crop_padding": 2}, "resize must be at least 32 to crop that, got 16"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, int], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Recipe(size=32, crop="pad", **changes)
