"""`automix eval` of a detector: what it finds in images, and its AP."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from automix_cli.build.detection import detector, test_images
from automix_cli.commands.detect import refuse_what_has_no_use, refuse_without_library
from automix_cli.commands.detecting.found_boxes import (
    Prediction,
    draw_boxes,
    found_boxes,
    measured_precision,
    write_predictions,
)
from automix_cli.commands.judging import accelerator_to_judge, judging
from automix_cli.commands.requests.evaluate import EvaluateRequest
from automix_cli.commands.trained import TrainedFile
from automix_cli.data.coco import BoxedImages
from automix_cli.engine.checkpoint import load_weights
from automix_cli.errors import CheckpointError, DataError, SettingsError
from automix_cli.models.detector import DetectorTraining
from automix_cli.reporting import records
from automix_cli.reporting.detection_tables import precision_table
from automix_cli.reporting.evaluation_files import report_folder
from automix_cli.reporting.progress import say
from automix_cli.reporting.run_report.reported import DETECTOR
from automix_cli.reporting.tables import print_tables
from automix_cli.settings import Settings
from automix_cli.settings.layering import Layer, Overrides, load
from automix_cli.settings.toml import print_config

SCHEMA_VERSION = 1


def run(file: TrainedFile, overrides: Overrides, request: EvaluateRequest) -> None:
    """Measure a detector on the images that `detection.test` names.

    Raises:
        AutoMixError: anything a person can mend; the exit code says what kind.
    """
    refuse_what_is_for_classifiers(overrides, request)
    settings, origins = load(overrides, base=Layer(file.settings, str(file.path)))
    if request.print_config:
        sys.stdout.write(print_config(settings, origins))
        return
    refuse_what_has_no_use(settings)
    refuse_without_library("automix eval")
    accelerator = accelerator_to_judge(settings.run)
    images = test_images(settings)
    refuse_other_categories(file, images)
    network = rebuilt(file, settings).to(accelerator.device).eval()
    with judging(file.path):
        predictions = found_boxes(network, images, settings, accelerator)
    if accelerator.is_main_process:
        content = {
            "schema_version": SCHEMA_VERSION,
            "checkpoint": str(file.path),
            "dataset": settings.data.name,
            "annotations": str(images.annotations),
            DETECTOR: {"num_images": len(images), **measured_precision(images, predictions)},
        }
        show(content, as_json=request.as_json)
        if request.output_dir is not None:
            folder = report_folder(request.output_dir)
            write(folder, content, images, predictions, settings)
            say(f"wrote {folder}")
    accelerator.end_training()


def refuse_what_is_for_classifiers(overrides: Overrides, request: EvaluateRequest) -> None:
    """A detector has one network, and no classes of whole images.

    Raises:
        SettingsError: the command line asks for something of a classifier.
    """
    asked = {
        "--weights": any(flag.name == "--weights" for flag in overrides.flags),
        "--bins": request.num_bins != EvaluateRequest().num_bins,
        "--mixed": request.mixed,
        "--mixed-by": request.mixed_by,
        "--localization": request.localization is not None,
        "--corruptions": request.corruptions is not None,
    }
    given = [name for name, value in asked.items() if value]
    if given:
        raise SettingsError(
            f"`{given[0]}` is for classifiers, and this run is of a detector",
            hint=f"leave out `{given[0]}`, or name a run of `automix train`",
        )


def refuse_other_categories(file: TrainedFile, images: BoxedImages) -> None:
    """A detector can only be judged on what it was taught to find.

    Raises:
        CheckpointError: the file does not say what that is.
        DataError: the annotations have other categories.
    """
    names, ids = tuple(file.dataset["class_names"]), file.dataset.get("category_ids")
    if not isinstance(ids, list | tuple) or len(ids) != len(names):
        raise CheckpointError(
            f"`{file.path}` does not say which categories its detector finds",
            hint="it was changed or made by another program; name a file of a run",
        )
    if (tuple(ids), names) != (images.category_ids, images.class_names):
        raise DataError(
            f"`{file.path}` finds {_listed(ids, names)}, `{images.annotations}` has "
            f"{_listed(images.category_ids, images.class_names)}",
            hint="ids and names of the categories must be those that it was trained with",
        )


def _listed(ids: Any, names: tuple[str, ...]) -> str:
    shown = [f"{name} ({number})" for number, name in zip(ids, names, strict=True)]
    return ", ".join(shown[:3]) + (f" and {len(shown) - 3} more" if len(shown) > 3 else "")


def rebuilt(file: TrainedFile, settings: Settings) -> DetectorTraining:
    """Build the detector that the settings describe and put the weights in.

    Raises:
        CheckpointError: the weights are of another one.
    """
    normalization = tuple(file.dataset["mean"]), tuple(file.dataset["std"])
    network = detector(settings, len(file.dataset["class_names"]), normalization)
    is_portable = file.only is not None
    load_weights(
        network.detector, file.tensors if is_portable else file.below("detector."), file.path
    )
    return network


def show(content: dict[str, Any], *, as_json: bool) -> None:
    """A table for people, or JSON for programs."""
    if as_json:
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
        return
    print_tables(precision_table({Path(content["annotations"]).name: content[DETECTOR]}))


def write(
    folder: Path,
    content: dict[str, Any],
    images: BoxedImages,
    predictions: list[Prediction],
    settings: Settings,
) -> None:
    """Write `evaluation.json`, `predictions.json`, `boxes.png` and `boxes.svg`."""
    write_predictions(folder, predictions)
    draw_boxes(images, folder, settings)
    records.write_json(folder / "evaluation.json", content)
