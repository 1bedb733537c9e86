"""The books of a detector's run: its evaluations, predictions, weights and summary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from automix_cli.build.detection import BoxedSplits
from automix_cli.commands.detecting.found_boxes import (
    draw_boxes,
    found_boxes,
    measured_precision,
    write_predictions,
)
from automix_cli.commands.judging import judging
from automix_cli.commands.training.books import Books
from automix_cli.engine.checkpoint import save_classifier
from automix_cli.engine.runtime import said_by_main
from automix_cli.models.detector import DetectorTraining
from automix_cli.reporting import records
from automix_cli.reporting.run_report.reported import DETECTOR


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
        self.training.model.eval()
        with judging(f"the detector after step {self.state.step}"):
            predictions = found_boxes(self.detector, self.splits.test, self.settings, accelerator)
        self.training.model.train()
        measured: dict[str, Any] = {}
        if accelerator.is_main_process:
            write_predictions(self.folder, predictions)
            measured = measured_precision(self.splits.test, predictions)
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
            draw_boxes(self.splits.test, self.folder, self.settings)
            records.write_json(self.folder / records.SUMMARY, summary)
        return summary
