"""`automix eval`: measure a trained classifier on its test set or on data of the same kind.

Detectors are handed on to `detecting.evaluation`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from automix_cli import build
from automix_cli.commands.corrupting.record import Subject
from automix_cli.commands.detecting import evaluation as detect_eval
from automix_cli.commands.evaluating import mixed_images
from automix_cli.commands.evaluating import report as evaluation_report
from automix_cli.commands.evaluating.corrupted import check_request, evaluate_corruptions
from automix_cli.commands.evaluating.judged_images import Viewer, load_judged
from automix_cli.commands.evaluating.localization import Locator, boxed_images
from automix_cli.commands.judging import accelerator_to_judge, judging
from automix_cli.commands.masks.methods import Source
from automix_cli.commands.requests.corruptions import CorruptedEvaluation
from automix_cli.commands.requests.evaluate import EvaluateRequest, LocalizationRequest
from automix_cli.commands.trained import (
    Trained,
    TrainedFile,
    chosen_checkpoint,
    read_any,
    read_file,
    ready_network,
    refuse_other_classes,
)
from automix_cli.data.datasets import DataSplits, Images
from automix_cli.engine.runtime import Accelerator, add_over_processes
from automix_cli.evaluation.logit_sample import LogitSample
from automix_cli.evaluation.totals import accumulate
from automix_cli.models.classifier import Classifier
from automix_cli.reporting.corruption_tables import corruption_table
from automix_cli.reporting.evaluation_files import write_evaluation
from automix_cli.reporting.evaluation_tables import evaluation_tables
from automix_cli.reporting.localization_figure import LocatedRow
from automix_cli.reporting.progress import say
from automix_cli.reporting.tables import print_tables
from automix_cli.settings import Settings
from automix_cli.settings.layering import Layer, Overrides, load
from automix_cli.settings.toml import print_config

SCHEMA_VERSION = 2


def run(overrides: Overrides, request: EvaluateRequest) -> None:
    """Measure what a run or a file holds: a classifier or a detector.

    Raises:
        AutoMixError: anything a person can mend; the exit code says what kind.
    """
    file = read_any(chosen_checkpoint(request.run, request.checkpoint))
    if file.is_detector:
        detect_eval.run(file, overrides, request)
    else:
        measure(file, overrides, request)


def measure(file: TrainedFile, overrides: Overrides, request: EvaluateRequest) -> None:
    """Measure accuracy and calibration of the network that `evaluation.weights` selects.

    Raises:
        AutoMixError: anything a person can mend; the exit code says what kind.
    """
    path = file.path
    settings, origins = load(overrides, base=Layer(file.settings, str(path)))
    if request.print_config:
        sys.stdout.write(print_config(settings, origins))
        return
    if request.corruptions is not None:
        check_request(request.corruptions, settings)
    accelerator = accelerator_to_judge(settings.run)
    trained, network = ready_network(path, settings, accelerator.device)
    held_out = trained.settings["data"].get("holdout", 0.0)
    splits = load_judged(settings.data, accelerator, holdout=held_out)
    refuse_other_classes(trained, splits.test.class_names)
    evaluation = Evaluation(accelerator, settings, trained, network, splits, request.num_bins)
    with judging(path):
        content, located = judged(evaluation, request, path)
    if accelerator.is_main_process:
        show(content, as_json=request.as_json)
        if request.output_dir is not None:
            say(f"wrote {write_evaluation(request.output_dir, content, located)}")
    accelerator.end_training()


def judged(
    evaluation: Evaluation, request: EvaluateRequest, path: Path
) -> tuple[dict[str, Any], list[LocatedRow]]:
    """All that is asked for: the report, and the page of located objects.

    Raises:
        NotFiniteError: the network answers with NaN or infinity.
    """
    locator = request.localization and evaluation.locator(request.localization)
    mixers = evaluation.mixers(request)
    row = evaluation.report()
    if mixers:
        row["mixed"] = {name: evaluation.mixed(mix) for name, mix in mixers.items()}
    content: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "checkpoint": str(path),
        "dataset": evaluation.settings.data.name,
        "split": "test",
        "heads": {f"{evaluation.trained.network}_one_hot": row},
    }
    if request.corruptions is not None:
        content["corruptions"] = evaluation.corruptions(request.corruptions, row["top1"])
    if locator is None:
        return content, []
    content["localization"], located = locator.measure()
    return content, located


@dataclass(frozen=True)
class Evaluation:
    """One network on one test set; its parts share what they need."""

    accelerator: Accelerator
    settings: Settings
    trained: Trained
    network: Classifier
    splits: DataSplits
    num_bins: int

    def add(self, total: Tensor) -> Tensor:
        """The sum over all processes."""
        return add_over_processes(self.accelerator, total)

    @property
    def viewer(self) -> Viewer:
        """How the network wants its images."""
        size = int(self.trained.dataset["image_size"])
        device = self.accelerator.device
        return Viewer(self.settings.data, self.trained.mean, self.trained.std, size, device)

    def batches(self, images: Images) -> Iterable[tuple[Tensor, Tensor]]:
        """This process's part of some images."""
        return self.viewer.batches(
            images,
            self.settings.evaluation.batch_size,
            rank=self.accelerator.process_index,
            num_ranks=self.accelerator.num_processes,
        )

    def report(self) -> dict[str, Any]:
        """Every number of the one-hot head, in one pass over the test set."""
        test = self.splits.test
        sample = LogitSample(len(test), test.num_classes)
        statistics = evaluation_report.statistics(self.num_bins, test.num_classes)
        sums = accumulate(
            lambda images: {"head": self.network(images)},
            self.batches(test),
            {**statistics, "kept": sample.keep},
            add_over_processes=self.add,
        )["head"]
        row = evaluation_report.head_report(sums, self.num_bins, test.class_names)
        row["temperature"] = self.temperature(self.gathered(sample))
        return row

    def gathered(self, sample: LogitSample) -> tuple[Tensor, Tensor]:
        """The logits and labels that all processes kept."""
        return sample.gather(
            rank=self.accelerator.process_index,
            num_ranks=self.accelerator.num_processes,
            add_over_processes=self.add,
        )

    def temperature(self, test: tuple[Tensor, Tensor]) -> dict[str, Any] | None:
        """What temperature scaling would do for the network."""
        held_out, validation = None, self.splits.validation
        if validation is not None:
            sample = LogitSample(len(validation), validation.num_classes)
            evaluation_report.kept_logits(self.network, self.batches(validation), sample)
            held_out = self.gathered(sample)
        fitted = evaluation_report.fit(test, held_out)
        return fitted and evaluation_report.temperature_record(fitted, self.num_bins)

    def corruptions(self, asked: CorruptedEvaluation, clean_top1: float) -> dict[str, Any]:
        """Accuracy on corrupted test images, written down beside the other numbers."""
        viewer = self.viewer
        subject = Subject(
            self.network,
            test=self.splits.test,
            view=build.view(viewer.data, viewer.mean, viewer.std, viewer.size),
            checkpoint=self.trained.path,
            clean_top1=clean_top1,
        )
        return evaluate_corruptions(subject, self.settings, self.accelerator, asked)

    def locator(self, asked: LocalizationRequest) -> Locator:
        """What looks for objects in the test images; refuses what it cannot use at once."""
        return Locator(
            self.accelerator,
            self.network,
            self.viewer,
            boxed_images(self.splits.test, self.settings.data.name, asked),
            self.settings.evaluation.batch_size,
            asked.stage,
            self.settings.model.backbone,
        )

    def mixers(self, request: EvaluateRequest) -> dict[str, mixed_images.BlockMixer]:
        """What to mix the test images by."""
        if not (request.mixed or request.mixed_by):
            return {}
        own = Source(read_file(self.trained.path), self.settings, self.trained, self.network)
        return mixed_images.chosen_mixers(own, usual=request.mixed, named=request.mixed_by)

    def mixed(self, mix: mixed_images.BlockMixer) -> dict[str, Any]:
        """Accuracy on the test images, mixed by one method."""
        batches, first_block = mixed_images.blocks(
            self.splits.test,
            self.viewer,
            rank=self.accelerator.process_index,
            num_ranks=self.accelerator.num_processes,
        )
        return mixed_images.mixed_record(
            self.network, batches, mix, first_block, add_over_processes=self.add
        )


def show(content: Mapping[str, Any], *, as_json: bool) -> None:
    """Tables for people, or JSON for programs."""
    if as_json:
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
    else:
        print_tables(*evaluation_tables(content))
        if "corruptions" in content:
            print_tables(corruption_table(content["corruptions"]))
