"""The books of a detector's run: its evaluations, predictions, weights and summary."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from automix_cli import build
from automix_cli.build.detection import BoxedSplits, sizes
from automix_cli.commands.books import Books
from automix_cli.commands.judging import judging, looked_at
from automix_cli.data.boxed_batches import images_in_order, shown_pixels
from automix_cli.data.coco import BoxedImage, read_annotations
from automix_cli.engine.checkpoint import save_classifier
from automix_cli.engine.runtime import gathered, said_by_main
from automix_cli.evaluation.detection import average_precision
from automix_cli.models.detector import DetectorTraining
from automix_cli.reporting import records
from automix_cli.reporting.detection_figure import Drawn, detection_figure
from automix_cli.reporting.figures import save_figure

DETECTOR = "detector"
"""What is judged, where a classifier's summary has the heads of two networks."""

PREDICTIONS, PAGE = "predictions.json", "boxes"

Prediction = dict[str, Any]


@dataclass(kw_only=True)
class DetectionBooks(Books):
    """Writes down what happens to one run of a detector."""

    splits: BoxedSplits

    @property
    def detector(self) -> DetectorTraining:
        """The model without its wrapper."""
        model = self.training.accelerator.unwrap_model(self.training.model)
        return cast(DetectorTraining, model)

    def keep_with_checkpoint(self) -> None:
        """Nothing: a detector's checkpoint is the whole truth."""

    def description(self) -> dict[str, Any]:
        """What checkpoints say of the data."""
        return self.splits.description()

    def evaluate(self) -> bool:
        """Find what is in the test images, write it down, and compare the AP with the best.

        Raises:
            DivergedError: a head of the detector says NaN or infinity.
        """
        accelerator = self.training.accelerator
        detector: Any = self.detector.detector
        heads = detector.rpn.head, detector.roi_heads.box_predictor
        with judging(f"the detector after step {self.state.step}"), looked_at(*heads):
            predictions = gathered(accelerator, self.predictions())
        measured: dict[str, Any] = {}
        if accelerator.is_main_process:
            records.write_text(self.folder / PREDICTIONS, json.dumps(predictions) + "\n")
            truth = read_annotations(self.splits.test.annotations)
            measured = average_precision(truth, predictions)
        measured = said_by_main(measured)
        self.append({"split": "test", **self.position(), **measured})
        ap = measured["ap"] or 0.0
        is_best = not self.state.best or ap > self.state.best["ap"]
        if is_best:
            self.state.best = {"step": float(self.state.step), "ap": ap}
        row = {"num_images": len(self.splits.test), **measured}
        self.state.last = {"test": {DETECTOR: row}}
        self.progress.scores(self.state.step, "test", measured, is_best=is_best)
        self.restart_clock()
        return is_best

    def predictions(self) -> list[Prediction]:
        """What is found in this process's part of the test images, as COCO writes results."""
        accelerator, test = self.training.accelerator, self.splits.test
        ends = (accelerator.process_index, accelerator.process_index + 1)
        begin, end = (len(test) * each // accelerator.num_processes for each in ends)
        workers = build.loading(self.settings.data, accelerator.device)
        batch_size = self.settings.evaluation.batch_size
        shown_sizes = sizes(self.settings)
        found: list[Prediction] = []
        self.training.model.eval()
        part = test.images[begin:end]
        for batch, shown in images_in_order(test.root, part, shown_sizes, workers, batch_size):
            for image, pixels, each in zip(batch, shown, self.detector.detect(shown), strict=True):
                height, width = pixels.shape[1:]
                scale = (image.width / width, image.height / height)
                named = {name: tensor.cpu().numpy() for name, tensor in each.items()}
                found += as_coco(image, named, scale, test.category_ids)
        self.training.model.train()
        return found

    def finish(self) -> dict[str, Any]:
        """Write weights, summary and the page of drawn boxes; the run is then finished."""
        summary = {
            "schema_version": 1,
            "preset": self.settings.run.preset,
            "method": "detect",
            "stands_for": DETECTOR,
            **self.account(),
            "best_chosen_on": "the test set",
        }
        if self.training.accelerator.is_main_process:
            state = self.detector.detector.state_dict()
            save_classifier(self.folder / records.DETECTOR, state, self.portable_header())
            if self.settings.detection.shown_images:
                save_figure(detection_figure(self.drawn()), self.folder / PAGE)
            records.write_json(self.folder / records.SUMMARY, summary)
        return summary

    def drawn(self) -> list[Drawn]:
        """Test images, evenly spread, with what is in them and what was found."""
        test, wanted = self.splits.test, self.settings.detection.shown_images
        chosen = np.unique(np.linspace(0, len(test) - 1, min(wanted, len(test))).astype(int))
        text = (self.folder / PREDICTIONS).read_text(encoding="utf-8")
        found: list[Prediction] = json.loads(text)
        names = dict(zip(test.category_ids, test.class_names, strict=True))
        drawn: list[Drawn] = []
        for image in (test.images[each] for each in chosen):
            side = min(image.height, image.width)
            pixels = shown_pixels(test.root, image, sizes(self.settings), side)
            scale = pixels.shape[1] / image.width
            true = [(names[test.category_ids[k - 1]], box * scale) for k, box in _pairs(image)]
            drawn.append(
                Drawn(
                    image.file,
                    pixels,
                    true,
                    [
                        (names[each["category_id"]], np.array(each["bbox"]) * scale, each["score"])
                        for each in found
                        if each["image_id"] == image.id
                    ],
                )
            )
        return drawn


def _pairs(image: BoxedImage) -> list[tuple[int, np.ndarray]]:
    """Label and box of each object; the box as x, y, width, height."""
    corners = image.boxes
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    return list(zip(image.labels.tolist(), boxes, strict=True))


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
