"""What a detector finds in images: as COCO writes results, as AP, and drawn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from automix_cli import build
from automix_cli.build.detection import sizes
from automix_cli.commands.judging import looked_at
from automix_cli.data.boxed_batches import images_in_order, shown_pixels
from automix_cli.data.coco import BoxedImage, BoxedImages, read_annotations
from automix_cli.engine.runtime import Accelerator, gathered
from automix_cli.evaluation.detection import average_precision
from automix_cli.models.detector import DetectorTraining
from automix_cli.reporting import records
from automix_cli.reporting.detection_figure import Drawn, detection_figure
from automix_cli.reporting.figures import save_figure
from automix_cli.settings import Settings

PREDICTIONS, PAGE = "predictions.json", "boxes"
"""Files of a run, and of an evaluation: the second is a picture, without its ending."""

Prediction = dict[str, Any]


def found_boxes(
    detector: DetectorTraining, images: BoxedImages, settings: Settings, accelerator: Accelerator
) -> list[Prediction]:
    """What is found in images, each looked at by one process, as COCO writes results.

    Args:
        detector: In evaluation mode.
        images: In whose order the results are.
        settings: Say at what size images are shown, and how many at a time.
        accelerator: Knows which process this is.

    Returns:
        The same on every process.

    Raises:
        NotFiniteError: a head of the detector answers with NaN or infinity.
    """
    plain: Any = detector.detector
    with looked_at(plain.rpn.head, plain.roi_heads.box_predictor):
        own = _own_part(detector, images, settings, accelerator)
    return gathered(accelerator, own)


def _own_part(
    detector: DetectorTraining, images: BoxedImages, settings: Settings, accelerator: Accelerator
) -> list[Prediction]:
    """What this process finds in its part of the images."""
    ends = (accelerator.process_index, accelerator.process_index + 1)
    begin, end = (len(images) * each // accelerator.num_processes for each in ends)
    workers = build.loading(settings.data, accelerator.device)
    found: list[Prediction] = []
    part, batch_size = images.images[begin:end], settings.evaluation.batch_size
    for batch, shown in images_in_order(images.root, part, sizes(settings), workers, batch_size):
        for image, pixels, each in zip(batch, shown, detector.detect(shown), strict=True):
            height, width = pixels.shape[1:]
            scale = (image.width / width, image.height / height)
            named = {name: tensor.cpu().numpy() for name, tensor in each.items()}
            found += as_coco(image, named, scale, images.category_ids)
    return found


def as_coco(
    image: BoxedImage,
    found: dict[str, np.ndarray],
    scale: tuple[float, float],
    category_ids: Sequence[int],
) -> list[Prediction]:
    """What was found in an image, in its own pixels and under the ids of its annotations."""
    corners = found["boxes"].astype(np.float64) * np.array([*scale, *scale])
    predictions: list[Prediction] = []
    for (x0, y0, x1, y1), label, score in zip(
        corners, found["labels"], found["scores"], strict=True
    ):
        predictions.append(
            {
                "image_id": image.id,
                "category_id": category_ids[int(label) - 1],
                "bbox": [round(float(each), 3) for each in (x0, y0, x1 - x0, y1 - y0)],
                "score": round(float(score), 6),
            }
        )
    return predictions


def measured_precision(
    images: BoxedImages, predictions: Sequence[Prediction]
) -> dict[str, float | None]:
    """COCO's twelve numbers of what was found in all of some images."""
    return average_precision(read_annotations(images.annotations), predictions)


def write_predictions(folder: Path, predictions: Sequence[Prediction]) -> None:
    """Write them as COCO's tools read results."""
    records.write_text(folder / PREDICTIONS, json.dumps(predictions) + "\n")


def draw_boxes(images: BoxedImages, folder: Path, settings: Settings) -> None:
    """Draw some of the images, evenly spread, with what is in them and what was found.

    Args:
        images: That were looked at.
        folder: Where `predictions.json` is, and the page is left.
        settings: Say how many are drawn; of none there is no page.
    """
    wanted = settings.detection.shown_images
    if not wanted:
        return
    chosen = np.unique(np.linspace(0, len(images) - 1, min(wanted, len(images))).astype(int))
    found: list[Prediction] = json.loads((folder / PREDICTIONS).read_text(encoding="utf-8"))
    names = dict(zip(images.category_ids, images.class_names, strict=True))
    drawn: list[Drawn] = []
    for image in (images.images[each] for each in chosen):
        pixels = shown_pixels(images.root, image, sizes(settings), min(image.height, image.width))
        scale = pixels.shape[1] / image.width
        drawn.append(
            Drawn(
                image.file,
                pixels,
                [
                    (images.class_names[label - 1], box * scale)
                    for label, box in zip(image.labels, with_sides(image.boxes), strict=True)
                ],
                [
                    (names[each["category_id"]], np.array(each["bbox"]) * scale, each["score"])
                    for each in found
                    if each["image_id"] == image.id
                ],
            )
        )
    save_figure(detection_figure(drawn), folder / PAGE)


def with_sides(corners: np.ndarray) -> np.ndarray:
    """Boxes `(n, 4)` as x, y, width, height, from their corners."""
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
