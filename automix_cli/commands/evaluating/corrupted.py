"""`automix eval --corruptions`: how a classifier does on corrupted test images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from automix_cli import build
from automix_cli.commands.corrupting.files import require_cifar
from automix_cli.commands.corrupting.record import (
    Subject,
    make_record,
    read_baseline,
    write_record,
)
from automix_cli.commands.corrupting.suites import (
    CIFAR_C,
    NAMES,
    Suite,
    cifar_suite,
    photograph_suite,
)
from automix_cli.commands.requests.corruptions import CorruptedEvaluation
from automix_cli.data.batches import evaluation_batches
from automix_cli.data.image_set import ImageSet
from automix_cli.engine.runtime import Accelerator, add_over_processes
from automix_cli.engine.waiting import main_first
from automix_cli.errors import SettingsError
from automix_cli.evaluation.accuracy import Accuracy, measure
from automix_cli.reporting.counting import counted
from automix_cli.settings import Settings


def check_request(request: CorruptedEvaluation, settings: Settings) -> None:
    """Refuse what cannot be measured before anything else is.

    Raises:
        SettingsError: an option has no meaning, or the data set has no such suite.
        DataError: the baseline is no such record.
    """
    if request.suite not in NAMES:
        raise SettingsError(
            f"`--corruptions` must be one of {', '.join(NAMES)}, got `{request.suite}`"
        )
    if request.suite == CIFAR_C:
        require_cifar(settings.data.name)
    if request.limit is not None and request.limit < 1:
        raise SettingsError(f"`--corruptions-limit` must be at least 1, got `{request.limit}`")
    if request.baseline is not None:
        read_baseline(request.baseline, request.suite)


def evaluate_corruptions(
    subject: Subject, settings: Settings, accelerator: Accelerator, request: CorruptedEvaluation
) -> dict[str, Any]:
    """Measure a classifier on every corruption and severity, and write down how it did.

    Returns:
        The record, as written to JSON beside the heat map.

    Raises:
        DataError: images are missing or not what they should be.
        SettingsError: there is no such set of corruptions for these data.
    """
    with main_first(accelerator):
        if request.suite == CIFAR_C:
            suite = cifar_suite(settings, request)
        else:
            # its images are cut already, and are not to be resized again
            subject = replace(subject, view=replace(subject.view, crop_ratio=1.0))
            suite = photograph_suite(settings, request, subject.test, subject.view.size)
    meter = _Meter(subject, settings, accelerator)
    if suite.clean is not None:  # clean and corrupted accuracy are of the same images
        subject = replace(subject, clean_top1=meter.accuracy([suite.clean]).top1)
    record = make_record(subject, suite, meter.all_cells(suite), request.baseline)
    if accelerator.is_main_process:
        stem = (request.report_dir or subject.checkpoint.parent) / "corruptions" / suite.title
        if suite.is_partial:
            stem = stem.with_name(f"{stem.name}-first-{suite.num_images}")
        write_record(record, stem)
    return record


class _Meter:
    """Measures a classifier on sets of images.

    Args:
        subject: The classifier.
        settings: How many images at a time, and who loads them.
        accelerator: The device and the other processes.
    """

    def __init__(self, subject: Subject, settings: Settings, accelerator: Accelerator) -> None:
        self._subject = subject
        self._batch_size = settings.evaluation.batch_size
        self._loading = build.loading(settings.data, accelerator.device)
        self._accelerator = accelerator

    def accuracy(self, parts: Iterable[ImageSet]) -> Accuracy:
        """The accuracy on a set that comes in parts, over all processes."""
        batches = (
            batch
            for images in parts
            for batch in evaluation_batches(
                images,
                self._subject.view,
                self._loading,
                batch_size=self._batch_size,
                rank=self._accelerator.process_index,
                num_ranks=self._accelerator.num_processes,
            )
        )
        measured = measure(
            lambda batch: {"head": self._subject.predict(batch)},
            batches,
            add_over_processes=partial(add_over_processes, self._accelerator),
        )
        return measured["head"]

    def all_cells(self, suite: Suite) -> dict[str, list[Accuracy]]:
        """The accuracy at each severity, by corruption."""
        total = len(suite.corruptions) * len(suite.severities) * suite.num_images
        cells: dict[str, list[Accuracy]] = {name: [] for name in suite.corruptions}
        with counted("images", total, is_silent=not self._accelerator.is_main_process) as advance:
            for name, row in cells.items():
                for severity in suite.severities:
                    row.append(self.accuracy(suite.images(name, severity)))
                    advance(name, suite.num_images)
        return cells
