"""From the settings to a detector and its images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from automix_cli.build.data import loading
from automix_cli.build.starting import Start, freeze
from automix_cli.build.training import batch_plan, learning_rate_schedule
from automix_cli.data.boxed_batches import BoxedBatches, Sizes
from automix_cli.data.catalogue import IMAGENET_MEAN, IMAGENET_STD
from automix_cli.data.coco import BoxedImages, read_boxed_images
from automix_cli.engine.checkpoint import load_weights
from automix_cli.engine.step import StepValues
from automix_cli.errors import DataError, SettingsError
from automix_cli.method import schedules
from automix_cli.models.backbones import ClassifierSpec, build_backbone
from automix_cli.models.detector import DetectorSpec, DetectorTraining, try_detector
from automix_cli.settings import Settings

CHANNELS = 3
BACKBONE = "backbone."


@dataclass(frozen=True)
class BoxedSplits:
    """The images of a detection run, and how they are normalised.

    Attributes:
        train: To learn from.
        test: To be judged on.
        mean: What is subtracted from each channel of images in [0, 1].
        std: What each channel is then divided by.
    """

    train: BoxedImages
    test: BoxedImages
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def class_names(self) -> tuple[str, ...]:
        """What is to be found."""
        return self.train.class_names

    def description(self) -> dict[str, object]:
        """What checkpoints say of the data."""
        return {
            "name": "coco",
            "task": "detection",
            "class_names": list(self.class_names),
            "category_ids": list(self.train.category_ids),
            "mean": list(self.mean),
            "std": list(self.std),
            "in_channels": CHANNELS,
        }


def boxed_splits(
    settings: Settings, normalization: tuple[tuple[float, ...], tuple[float, ...]] | None
) -> BoxedSplits:
    """Read the annotations that `[detection]` names.

    Args:
        settings: Of the whole run.
        normalization: Mean and standard deviation of the images that the starting weights come
            from, by channel; None: ImageNet's.

    Raises:
        DataError: they are missing, of another format, or not what they should be; or the two parts
            have other categories.
        SettingsError: the starting weights are for images of other channels.
    """
    detection = settings.detection
    train = _boxed_part(settings, detection.train, detection.train_images)
    test = test_images(settings)
    if (train.category_ids, train.class_names) != (test.category_ids, test.class_names):
        raise DataError(
            f"`{train.annotations}` and `{test.annotations}` have other categories",
            hint="ids and names must be the same in both files",
        )
    mean, std = normalization or (IMAGENET_MEAN, IMAGENET_STD)
    if len(mean) != CHANNELS:
        raise SettingsError(
            f"`{settings.model.init}` was trained with images of {len(mean)} channel(s)",
            hint="a detector sees red, green and blue; begin with a network that does, too",
        )
    return BoxedSplits(train, test, mean, std)


def test_images(settings: Settings) -> BoxedImages:
    """Read the annotations to be judged on.

    Raises:
        DataError: they are missing, of another format, or not what they should be.
    """
    return _boxed_part(settings, settings.detection.test, settings.detection.test_images)


def _boxed_part(settings: Settings, annotations: Path, images: Path) -> BoxedImages:
    root, repair = settings.data.dir, settings.detection.bad_boxes == "repair"
    return read_boxed_images(root / annotations, root / images, repair=repair)


def detector(
    settings: Settings,
    num_classes: int,
    normalization: tuple[tuple[float, ...], tuple[float, ...]],
    start: Start | None = None,
) -> DetectorTraining:
    """The detector that `[model]` and `[detection]` describe.

    Args:
        settings: Of the whole run.
        num_classes: Without the background.
        normalization: Mean and standard deviation of the images, by channel.
        start: What its backbone begins with; None: random weights.

    Raises:
        SettingsError: the backbone does not serve, or has no part that is to be frozen.
        CheckpointError: the weights to start with do not fit.
    """
    model, detection = settings.model, settings.detection
    try:
        training = DetectorTraining(
            build_backbone(backbone_spec(settings)),
            DetectorSpec(
                num_classes=num_classes,
                mean=normalization[0],
                std=normalization[1],
                channels=detection.channels,
                head_width=detection.head_width,
                regions=detection.regions,
                anchor_scale=detection.anchor_scale,
            ),
        )
        try_detector(training, CHANNELS)
    except ValueError as problem:
        raise SettingsError(
            f"cannot build a detector on `{model.backbone}`: {problem}",
            hint="`model.backbone` must be a network with stages, not a plain transformer",
        ) from problem
    if start is not None:
        weights = {
            name.removeprefix(BACKBONE): each
            for name, each in start.weights.items()
            if name.startswith(BACKBONE)
        }
        load_weights(training.pyramid.backbone, weights, start.path)
    freeze(training.pyramid, model)
    return training


def backbone_spec(settings: Settings) -> ClassifierSpec:
    """What the backbone is built from; the head does not matter."""
    model = settings.model
    return ClassifierSpec(
        backbone=model.backbone,
        stem=model.stem,
        num_classes=0,
        in_channels=CHANNELS,
        image_size=settings.detection.short_side,
        feature_stage=model.feature_stage,
        drop_path_rate=model.drop_path_rate,
    )


def sizes(settings: Settings) -> Sizes:
    """How large images are shown."""
    detection = settings.detection
    least = detection.short_side_min
    return Sizes(
        detection.short_side,
        detection.long_side,
        detection.short_side if least is None else least,
    )


def boxed_batches(
    settings: Settings, splits: BoxedSplits, *, rank: int, num_ranks: int, device: torch.device
) -> BoxedBatches:
    """The training batches of one process, by step.

    Raises:
        SettingsError: the batch does not fit the processes and images.
        DataError: there is no box to learn from.
    """
    images = splits.train.with_boxes()
    plan = batch_plan(settings, len(images), rank, num_ranks)
    workers = loading(settings.data, device)
    root = splits.train.root
    return BoxedBatches(root, images, sizes(settings), plan, workers, flip=settings.data.flip)


def detector_values_at(settings: Settings, steps_per_epoch: int) -> Callable[[int], StepValues]:
    """The learning rate as a function of the step; nothing else changes over a run."""
    rate = learning_rate_schedule(settings.optimizer, settings.train.epochs, steps_per_epoch)
    return lambda step: StepValues(schedules.learning_rate(step, rate), None, None, {})
