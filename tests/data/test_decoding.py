"""Every kind of image file becomes the same upright RGB, and large ones are decoded cheaply."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import smooth_pixels
from PIL import Image
from torchvision.transforms.v2 import functional as transforms

from automix_cli.data.boxes import Box
from automix_cli.data.decoding import PictureFile, resize
from automix_cli.errors import DataError

COLOURS = smooth_pixels(20, 30)


def decoded(path: Path, factor: int = 1) -> np.ndarray:
    picture = PictureFile(path)
    return picture.part(Box(0, 0, picture.height, picture.width), factor)


def save(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


KINDS: dict[str, tuple[Callable[[], Image.Image], str]] = {
    "rgb png": (lambda: Image.fromarray(COLOURS), "png"),
    "rgb jpeg": (lambda: Image.fromarray(COLOURS), "jpg"),
    "webp": (lambda: Image.fromarray(COLOURS), "webp"),
    "gray png": (lambda: Image.fromarray(COLOURS).convert("L"), "png"),
    "gray jpeg": (lambda: Image.fromarray(COLOURS).convert("L"), "jpg"),
    "black and white": (lambda: Image.fromarray(COLOURS).convert("1"), "png"),
    "palette": (lambda: Image.fromarray(COLOURS).quantize(16), "png"),
    "gif": (lambda: Image.fromarray(COLOURS).quantize(16), "gif"),
    "cmyk jpeg": (lambda: Image.fromarray(COLOURS).convert("CMYK"), "jpg"),
    "rgba": (lambda: Image.fromarray(COLOURS).convert("RGBA"), "png"),
    "gray with alpha": (lambda: Image.fromarray(COLOURS).convert("LA"), "png"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_what_imagefolder_makes_of_it(kind: str, tmp_path: Path) -> None:
    make, suffix = KINDS[kind]
    path = save(make(), tmp_path / f"a picture, {kind}.{suffix}")
    with Image.open(path) as image:
        wanted = np.asarray(image.convert("RGB"))
    assert wanted.shape == (20, 30, 3)
    assert np.array_equal(decoded(path), wanted)


def test_transparency_is_dropped_and_the_colours_under_it_stay(tmp_path: Path) -> None:
    image = Image.fromarray(COLOURS).convert("RGBA")
    image.putalpha(Image.fromarray(smooth_pixels(20, 30, seed=1)[:, :, 0]))
    assert np.array_equal(decoded(save(image, tmp_path / "a.png")), COLOURS)


def test_gray_of_16_bits_is_scaled_to_8(tmp_path: Path) -> None:
    gray = COLOURS[:, :, 0].astype(np.uint16) * 257
    found = decoded(save(Image.fromarray(gray), tmp_path / "a.png"))
    assert np.array_equal(found, np.repeat(COLOURS[:, :, :1], 3, axis=2))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_stored_on_its_side_is_turned_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(Image.fromarray(COLOURS), tmp_path / "a.png", exif=exif)
    turned = COLOURS.transpose(1, 0, 2)
    wanted = {
        1: COLOURS,
        2: COLOURS[:, ::-1],
        3: COLOURS[::-1, ::-1],
        4: COLOURS[::-1],
        5: turned,
        6: turned[:, ::-1],
        7: turned[::-1, ::-1],
        8: turned[::-1],
    }[orientation]
    picture = PictureFile(path)
    assert (picture.height, picture.width) == wanted.shape[:2]
    assert np.array_equal(decoded(path), wanted)


def test_a_part_is_cut_from_the_upright_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(Image.fromarray(COLOURS), tmp_path / "a.png", exif=exif)
    found = PictureFile(path).part(Box(3, 4, 10, 8))
    assert np.array_equal(found, np.rot90(COLOURS, -1)[3:13, 4:12])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "found 0 bytes that cannot be decoded"),
        (b"hello", "found 5 bytes that cannot be decoded"),
        (None, "found 0 bytes .*No such file"),
    ],
    ids=["empty", "text", "missing"],
)
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "b\u00fcro photo.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=f"b\u00fcro photo.jpg`, {reason}"):
        decoded(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_a_truncated_file_is_named(tmp_path: Path, suffix: str) -> None:
    path = save(Image.fromarray(smooth_pixels(200, 200)), tmp_path / f"a.{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"a\.{suffix}.*cannot be decoded"):
        decoded(path)


def test_an_image_too_large_to_be_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(Image.fromarray(COLOURS), tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match=r"a\.png.*exceeds limit"):
        decoded(path)


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_reduced_jpeg_shows_the_same_picture(
    tmp_path: Path, factor: int, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(Image.fromarray(smooth_pixels(512, 768)), tmp_path / "a.jpg", quality=95, exif=exif)
    box = Box(64, 128, 320, 256)
    whole = resize(PictureFile(path).part(box), 32, 32, "bicubic").astype(int)
    reduced = resize(PictureFile(path).part(box, factor), 32, 32, "bicubic").astype(int)
    assert PictureFile(path).part(box, factor).shape == (320 // factor, 256 // factor, 3)
    assert np.abs(whole - reduced).mean() < 1.5  # levels of 255


def test_a_jpeg_is_reduced_only_where_enough_is_left(tmp_path: Path) -> None:
    path = save(Image.fromarray(smooth_pixels(60, 60)), tmp_path / "a.jpg")
    picture = PictureFile(path)
    assert [picture.factor(side, 2 * side, 100) for side in (299, 300, 599, 600, 1200)] == [
        *(1, 2, 2, 4, 8)
    ]
    assert (
        PictureFile(save(Image.fromarray(COLOURS), tmp_path / "a.png")).factor(9000, 9000, 9) == 1
    )


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("height", "width"), [(50, 40), (9, 13), (20, 7)])
def test_resizing_is_torchvisions_and_pillows_within_one_level(
    interpolation: str, height: int, width: int
) -> None:
    found = resize(COLOURS, height, width, interpolation)
    mode = transforms.InterpolationMode(interpolation)
    tensor = torch.from_numpy(COLOURS.copy()).permute(2, 0, 1)
    theirs = transforms.resize(tensor, [height, width], mode, antialias=True)
    assert np.array_equal(found, theirs.permute(1, 2, 0).numpy())
    resample = Image.Resampling[interpolation.upper()]
    pillows = np.asarray(Image.fromarray(COLOURS).resize((width, height), resample))
    assert np.abs(found.astype(int) - pillows).max() <= 1
