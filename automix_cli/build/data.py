"""What is asked of the data, and what is done to an image before a network sees it."""

from __future__ import annotations

from dataclasses import replace

import torch

from automix_cli.data.appearance import Appearance
from automix_cli.data.batch_plan import Batches, BatchPlan
from automix_cli.data.batches import TrainBatches, is_shown_whole
from automix_cli.data.datasets import DataSplits, Images, ImageSet
from automix_cli.data.loading import Loading, PictureSource
from automix_cli.data.memory import read_into_memory
from automix_cli.data.rand_augment import RandAugment
from automix_cli.data.recipe import Recipe, View
from automix_cli.data.request import DataRequest
from automix_cli.data.streaming import StreamedBatches
from automix_cli.errors import SettingsError
from automix_cli.settings import DataSettings


def data_request(data: DataSettings) -> DataRequest:
    """The images that `[data]` describes, and where they are."""
    return DataRequest(
        name=data.name,
        directory=data.dir,
        download=data.download,
        mirror=data.mirror,
        csv=data.csv,
        holdout=data.holdout,
        train_limit=data.train_limit,
        image_size=data.image_size,
    )


def in_storage(data: DataSettings, splits: DataSplits) -> DataSplits:
    """The images where `data.storage` wants them.

    Raises:
        SettingsError: they are an array, of which nothing can be streamed.
        DataError: files cannot be read into memory.
    """
    if data.storage == "stream" and isinstance(splits.train, ImageSet):
        raise SettingsError(
            f"`data.storage` is `stream`, but {splits.name} is an array and has no image files",
            hint="leave it out: the images are in memory",
        )
    if data.storage != "memory":
        return splits
    workers = loading(data, torch.device("cpu"))

    def read(images: Images) -> Images:
        return images if isinstance(images, ImageSet) else read_into_memory(images, workers)

    validation = None if splits.validation is None else read(splits.validation)
    return replace(splits, train=read(splits.train), test=read(splits.test), validation=validation)


def loading(data: DataSettings, device: torch.device) -> Loading:
    """Where batches are left, and who makes them."""
    if data.decode_on == "cpu":
        return Loading(device, data.workers)
    from automix_cli.data.device_decoding import DeviceDecoder  # torchvision takes time to import

    return Loading(device, data.workers, DeviceDecoder(device, data.interpolation))


def view(data: DataSettings, mean: tuple[float, ...], std: tuple[float, ...], size: int) -> View:
    """How images are shown to be judged."""
    return View(
        mean=mean,
        std=std,
        size=size,
        crop_ratio=data.test_crop_ratio,
        interpolation=data.interpolation,
    )


def recipe(data: DataSettings, splits: DataSplits) -> Recipe:
    """What is done to a training image.

    Raises:
        SettingsError: a size does not fit another.
    """
    rand_augment = None
    if data.rand_augment != "none":
        rand_augment = RandAugment(
            operations=data.rand_augment,
            num_operations=data.rand_augment_ops,
            magnitude=data.rand_augment_magnitude,
            std=data.rand_augment_std,
            probability=data.rand_augment_probability,
            fill=tuple(round(255 * each) for each in splits.mean),
            interpolation=data.interpolation,
        )
    try:
        return Recipe(
            size=splits.image_size,
            crop=data.crop or splits.crop,
            crop_padding=data.crop_padding,
            crop_scale_min=data.crop_scale_min,
            resize=data.resize,
            flip=data.flip,
            interpolation=data.interpolation,
            appearance=Appearance(rand_augment, data.three_augment, data.color_jitter),
            erase_probability=data.erase_probability,
            erase_fill=data.erase_fill,
        )
    except ValueError as problem:
        raise SettingsError(f"cannot crop images: {problem}", hint="see `[data]`") from problem


def batches(
    data: DataSettings, splits: DataSplits, plan: BatchPlan, device: torch.device
) -> Batches:
    """Training batches: made whole on the device where that is possible, else image by image.

    Raises:
        SettingsError: images cannot be decoded where they are to be.
    """
    made = recipe(data, splits)
    shown = view(data, splits.mean, splits.std, splits.image_size)
    if data.decode_on == "device":
        _check_decoding_on_the_device(made, splits)
    can_be_whole = made.is_plain and is_shown_whole(splits.train, made.size)
    if can_be_whole and isinstance(splits.train, ImageSet):
        return TrainBatches(splits.train, made, shown, plan, device)
    source = PictureSource(splits.train)
    return StreamedBatches(source, made, shown, plan, loading(data, device))


def _check_decoding_on_the_device(made: Recipe, splits: DataSplits) -> None:
    reasons = {
        f"{splits.name} is an array and has no image files": isinstance(splits.train, ImageSet),
        f"images are cropped by `{made.crop}`": made.crop != "random_resized",
        f"`data.resize` is {made.resize}": made.resize is not None,
        "colours are changed, which Pillow does": not made.appearance.is_plain,
    }
    found = [reason for reason, holds in reasons.items() if holds]
    if found:
        raise SettingsError(
            "`data.decode_on` `device` needs image files, `random_resized` crops of images as they"
            f" are, and no colour operations, but {' and '.join(found)}",
            hint="leave it out: Pillow decodes on the processor",
        )
