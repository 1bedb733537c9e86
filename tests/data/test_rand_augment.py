"""RandAugment does timm's operations with timm's strengths, drawn from the sample's stream."""

from collections import Counter

import numpy as np
import pytest
from pictures import smooth_pixels
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from timm.data import auto_augment
from torchvision.transforms.v2 import functional as transforms

from automix_cli.data.appearance import Appearance, color_jitter, three_augment
from automix_cli.data.rand_augment import LISTS, Operation, RandAugment

IMAGE = Image.fromarray(smooth_pixels(40, 48))
FILL = (124, 116, 104)
TIMM = RandAugment("timm", 2, 9, 0.5, 0.5, FILL, "bicubic")
OPENMIXUP = RandAugment("openmixup", 2, 7, 0.5, 0.5, FILL, "bicubic")
INCREASING = {
    "Posterize": "PosterizeIncreasing",
    "Solarize": "SolarizeIncreasing",
    "Color": "ColorIncreasing",
    "Contrast": "ContrastIncreasing",
    "Brightness": "BrightnessIncreasing",
    "Sharpness": "SharpnessIncreasing",
}


def arguments(name: str, share: float, sign: int) -> tuple[float, ...]:
    operation = next(each for each in LISTS["timm"] if each.name == name)
    return () if operation.argument is None else (operation.argument(share, sign),)


def test_the_list_is_timms() -> None:
    ours = [INCREASING.get(str(each.name), each.name) for each in LISTS["timm"]]
    assert ours == auto_augment._RAND_INCREASING_TRANSFORMS


@pytest.mark.parametrize("operation", LISTS["timm"], ids=lambda each: str(each.name))
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("level", [0.0, 3.7, 9.0, 9.8])
def test_strengths_are_timms(
    operation: Operation, sign: int, level: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = str(operation.name)
    make = auto_augment.LEVEL_TO_ARG[INCREASING.get(name, name)]
    monkeypatch.setattr(auto_augment.random, "random", lambda: 0.25 + 0.5 * (sign < 0))
    wanted = () if make is None else make(level, {})
    assert arguments(name, level / 10, sign) == pytest.approx(wanted)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_an_image_is_timms_with_the_same_draws(interpolation: str) -> None:
    ours = RandAugment("timm", 3, 9, 0.5, 0.9, FILL, interpolation)
    resample = Image.Resampling[interpolation.upper()]
    for number in range(30):
        wanted = IMAGE
        for operation, argument in ours.draw(np.random.default_rng(number)):
            change = auto_augment.NAME_TO_OP[str(operation.name)]
            given = () if argument is None else (argument,)
            wanted = change(wanted, *given, fillcolor=FILL, resample=resample)
        assert ours(IMAGE, np.random.default_rng(number)) == wanted


AGAINST_PILLOW = {
    "AutoContrast": ImageOps.autocontrast,
    "Equalize": ImageOps.equalize,
    "Invert": ImageOps.invert,
    "Rotate": lambda image: transforms.rotate(
        image, 27.0, transforms.InterpolationMode.BICUBIC, fill=list(FILL)
    ),
    "Posterize": lambda image: transforms.posterize(image, 1),
    "Solarize": lambda image: transforms.solarize(image, 26),
    "Color": lambda image: transforms.adjust_saturation(image, 1.81),
    "Contrast": lambda image: transforms.adjust_contrast(image, 1.81),
    "Brightness": lambda image: transforms.adjust_brightness(image, 1.81),
    "Sharpness": lambda image: ImageEnhance.Sharpness(image).enhance(1.81),
}


@pytest.mark.parametrize("name", AGAINST_PILLOW)
def test_an_operation_of_strength_nine_is_pillows_or_torchvisions(name: str) -> None:
    found = auto_augment.NAME_TO_OP[name](
        IMAGE, *arguments(name, 0.9, 1), fillcolor=FILL, resample=Image.Resampling.BICUBIC
    )
    assert found == AGAINST_PILLOW[name](IMAGE)


def test_the_strongest_posterize_keeps_a_bit() -> None:
    assert arguments("Posterize", 1.0, 1) == (1,)


def test_the_references_list_for_cifar_has_its_ranges() -> None:
    names = [each.name for each in LISTS["openmixup"]]
    assert len(names) == 14
    assert names.count(None) == 1
    by_name = {each.name: each.argument for each in LISTS["openmixup"] if each.argument}
    # at strength 7 of 10: 0.05 + 0.7 * 0.9 = 0.68 away from no change
    assert by_name["Brightness"](0.7, 1) == pytest.approx(1.68)
    assert by_name["Sharpness"](0.7, -1) == pytest.approx(0.32)
    assert by_name["Posterize"](0.7, 1) == 6
    assert by_name["Solarize"](0.7, 1) == pytest.approx(76.8)
    assert by_name["Rotate"](0.7, -1) == pytest.approx(-21)
    assert by_name["TranslateXRel"](0.7, 1) == pytest.approx(0.21)


def test_the_references_increasing_list_has_its_ranges() -> None:
    assert len(LISTS["openmixup_increasing"]) == 15
    by_name = {each.name: each.argument for each in LISTS["openmixup_increasing"] if each.argument}
    assert by_name["Color"](0.9, 1) == pytest.approx(1.81)
    assert by_name["Solarize"](0.9, 1) == pytest.approx(25.6)
    assert by_name["SolarizeAdd"](0.9, 1) == 99
    assert by_name["ShearX"](0.9, -1) == pytest.approx(-0.27)
    assert by_name["TranslateYRel"](0.9, 1) == pytest.approx(0.405)


@pytest.mark.parametrize("rand_augment", [TIMM, OPENMIXUP], ids=["timm", "openmixup"])
def test_operations_are_as_likely_as_they_should_be(rand_augment: RandAugment) -> None:
    rng = np.random.default_rng(0)
    drawn = [rand_augment.draw(rng) for _ in range(3000)]
    counts = Counter(operation.name for each in drawn for operation, _ in each)
    choices = LISTS[rand_augment.operations]
    assert len(counts) == len(choices)
    expected = 3000 * 2 * 0.5 / len(choices)
    assert max(abs(count - expected) for count in counts.values()) < 5 * expected**0.5


def test_strengths_vary_by_the_standard_deviation() -> None:
    rng = np.random.default_rng(0)
    only = RandAugment("timm", 1, 5, 0.5, 1.0, FILL, "bicubic")
    drawn = [only.draw(rng)[0] for _ in range(3000)]
    angles = np.array([argument for operation, argument in drawn if operation.name == "Rotate"])
    assert np.abs(angles).mean() == pytest.approx(15, abs=0.5)
    assert np.abs(angles).std() == pytest.approx(1.5, abs=0.4)
    assert (angles > 0).mean() == pytest.approx(0.5, abs=0.2)


def test_gray_images_stay_gray() -> None:
    gray = IMAGE.convert("L")
    appearance = Appearance(
        RandAugment("timm", 4, 9, 0.5, 1.0, (78,), "bilinear"), three_augment=True, color_jitter=0.4
    )
    for number in range(40):
        assert appearance(gray, np.random.default_rng(number)).mode == "L"


def test_three_augment_does_one_of_three_things_as_torchvision_does_it() -> None:
    kinds: Counter[str] = Counter()
    for number in range(150):
        rng = np.random.default_rng(number)
        found = three_augment(IMAGE, np.random.default_rng(number))
        rng.integers(3)
        radius = rng.uniform(0.1, 2)
        if found == transforms.rgb_to_grayscale(IMAGE, num_output_channels=3):
            kinds["gray"] += 1
        elif found == transforms.solarize(IMAGE, 128):
            kinds["solarized"] += 1
        else:
            assert found == IMAGE.filter(ImageFilter.GaussianBlur(radius))
            kinds["blurred"] += 1
    assert min(kinds.values()) > 30
    assert len(kinds) == 3


def test_colour_jitter_is_torchvisions_with_the_same_factors_and_order() -> None:
    changes = (
        transforms.adjust_brightness,
        transforms.adjust_contrast,
        transforms.adjust_saturation,
    )
    for number in range(10):
        rng = np.random.default_rng(number)
        factors, order = rng.uniform(0.6, 1.4, size=3), rng.permutation(3)
        wanted = IMAGE
        for each in order:
            wanted = changes[each](wanted, float(factors[each]))
        assert color_jitter(IMAGE, np.random.default_rng(number), 0.4) == wanted
