"""JPEG files decoded on the training device show what Pillow shows, and fail as clearly."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import smooth_pixels, write_folder
from PIL import Image
from torch import Tensor

from automix_cli.data.batch_plan import BatchPlan
from automix_cli.data.batches import evaluation_batches
from automix_cli.data.decoding import PictureFile
from automix_cli.data.device_decoding import DeviceDecoder, shown
from automix_cli.data.image_files import ImageFiles
from automix_cli.data.loading import Loading, PictureSource
from automix_cli.data.recipe import Interpolation, Recipe, Sample, View
from automix_cli.data.streaming import StreamedBatches
from automix_cli.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")

CPU = torch.device("cpu")
VIEW = View((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), size=32, crop_ratio=0.8)
RECIPE = Recipe(size=32, crop="random_resized", erase_probability=0.5)
PLAN = BatchPlan(
    num_images=12,
    batch_size=6,
    accumulation_steps=1,
    drop_last=False,
    seed=0,
    rank=0,
    num_ranks=1,
)


@pytest.fixture
def files(tmp_path: Path) -> ImageFiles:
    return write_folder(tmp_path, 12)


def loading(workers: int, *, on_device: bool, interpolation: Interpolation = "bicubic") -> Loading:
    return Loading(CPU, workers, DeviceDecoder(CPU, interpolation) if on_device else None)


def trained_on(files: ImageFiles, loading: Loading, recipe: Recipe = RECIPE) -> Tensor:
    batches = StreamedBatches(PictureSource(files), recipe, VIEW, PLAN, loading)
    try:
        return torch.cat([batches.at(step)[0].images for step in range(2)])
    finally:
        batches.close()


def judged_on(files: ImageFiles, loading: Loading) -> Tensor:
    batches = evaluation_batches(files, VIEW, loading, batch_size=5, rank=0, num_ranks=1)
    return torch.cat([images for images, _ in batches])


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_training_shows_the_pixels_of_pillow_within_two_levels(
    files: ImageFiles, interpolation: Interpolation
) -> None:
    recipe = replace(RECIPE, interpolation=interpolation)
    here = trained_on(files, loading(2, on_device=True, interpolation=interpolation), recipe)
    pillow = trained_on(files, loading(2, on_device=False), recipe)
    assert 0 < (here - pillow).abs().max() <= 2 / 255


def test_an_evaluation_shows_the_pixels_of_pillow_within_two_levels(files: ImageFiles) -> None:
    here, pillow = (judged_on(files, loading(2, on_device=each)) for each in (True, False))
    assert 0 < (here - pillow).abs().max() <= 2 / 255


def test_any_number_of_workers_makes_the_same_bytes(files: ImageFiles) -> None:
    alone, many = (trained_on(files, loading(workers, on_device=True)) for workers in (0, 3))
    assert torch.equal(alone, many)


def test_a_part_is_cut_resized_cut_and_mirrored() -> None:
    pixels = torch.from_numpy(smooth_pixels(40, 50)).permute(2, 0, 1)
    geometry = RECIPE.geometry(40, 50, next(each for each in samples() if mirrors(each)))
    plain = geometry._replace(is_mirrored=False)
    found = shown(pixels, geometry, "bicubic")
    assert torch.equal(found, shown(pixels, plain, "bicubic").flip(2))
    assert not torch.equal(found, shown(pixels, plain, "bicubic"))
    assert found.dtype == torch.uint8


def samples() -> list[Sample]:
    return [Sample(0, 0, image, 0) for image in range(20)]


def mirrors(sample: Sample) -> bool:
    return RECIPE.geometry(40, 50, sample).is_mirrored


def saved_as(path: Path, kind: str) -> Path:
    image = Image.fromarray(smooth_pixels(40, 50))
    if kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(path, "jpeg", exif=exif)
    elif kind == "cmyk":
        image.convert("CMYK").save(path, "jpeg")
    elif kind == "png":
        image.save(path, "png")
    elif kind == "cut short":
        image.save(path, "jpeg")
        path.write_bytes(path.read_bytes()[:-400])
    return path


@pytest.mark.parametrize("kind", ["turned", "cmyk", "png", "cut short"])
def test_what_decoders_read_differently_is_left_to_pillow(tmp_path: Path, kind: str) -> None:
    assert PictureFile(saved_as(tmp_path / "a.jpg", kind)).jpeg() is None


@pytest.mark.parametrize("kind", ["turned", "cmyk", "png"])
def test_files_left_to_pillow_are_in_the_batch_with_the_others(
    files: ImageFiles, kind: str
) -> None:
    saved_as(files.root / files.paths[3], kind)
    here, pillow = (judged_on(files, loading(2, on_device=each)) for each in (True, False))
    assert torch.equal(here[3], pillow[3])
    assert not torch.equal(here[4], pillow[4])


def test_a_gray_jpeg_is_shown_in_three_equal_channels(files: ImageFiles) -> None:
    gray = Image.fromarray(smooth_pixels(40, 50, channels=1)[:, :, 0])
    gray.save(files.root / files.paths[0], "jpeg")
    image = judged_on(files, loading(0, on_device=True))[0]
    assert torch.equal(image[0], image[1])
    assert torch.equal(image[0], image[2])


def test_a_file_broken_in_the_middle_is_named_among_good_ones(files: ImageFiles) -> None:
    broken = files.root / files.paths[2]
    content = bytearray(broken.read_bytes())
    start = content.index(b"\xff\xda")  # the image's data: everything before it is still a header
    broken.write_bytes(bytes(content[: content.index(b"\xff\xc0") + 1]) + bytes(content[start:]))
    with pytest.raises(DataError, match=broken.name):
        judged_on(files, loading(2, on_device=True))


def test_a_file_the_device_cannot_decode_is_read_by_pillow(
    files: ImageFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = (files.root / files.paths[1]).read_bytes()
    decode = DeviceDecoder._together

    def refusing(decoder: DeviceDecoder, contents: list[Tensor]) -> list[Tensor]:
        if any(bytes(each.numpy()) == refused for each in contents):
            raise RuntimeError("not supported here")
        return decode(decoder, contents)

    monkeypatch.setattr(DeviceDecoder, "_together", refusing)
    found = judged_on(files, loading(0, on_device=True))
    pillow = judged_on(files, loading(0, on_device=False))
    assert torch.equal(found[1], pillow[1])
    assert np.count_nonzero((found != pillow).flatten(1).any(1)) == len(files) - 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.accelerator.is_available(), reason="no accelerator on this machine")
def test_a_gpu_decodes_nearly_what_pillow_does(files: ImageFiles) -> None:
    device = torch.accelerator.current_accelerator()
    assert device is not None
    there = Loading(device, 2, DeviceDecoder(device, "bicubic"))
    difference = (trained_on(files, there).cpu() - trained_on(files, Loading(CPU, 2))).abs()
    assert difference.mean() <= 1 / 255  # chroma is brought to full size in another way
