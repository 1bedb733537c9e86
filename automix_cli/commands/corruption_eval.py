"""`automix eval --corruptions`: how a classifier does on corrupted test images."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from automix_cli.commands.corruption_files import (
    Wanted,
    generated_folder,
    make_files,
    require_cifar,
)
from automix_cli.commands.corruption_record import (
    Subject,
    make_record,
    read_baseline,
    write_record,
)
from automix_cli.commands.corruption_requests import CorruptedEvaluation
from automix_cli.data.batches import evaluation_batches
from automix_cli.data.cifar import CifarName, load_cifar_test
from automix_cli.data.corrupted_official import FOLDERS
from automix_cli.data.corrupted_reading import CorruptedSet, open_corrupted
from automix_cli.data.image_set import ImageSet
from automix_cli.engine.runtime import Accelerator, add_over_processes
from automix_cli.errors import SettingsError
from automix_cli.evaluation.accuracy import Accuracy, measure
from automix_cli.evaluation.corruptions import CORRUPTIONS
from automix_cli.reporting.counting import counted
from automix_cli.reporting.progress import say
from automix_cli.settings import Settings

SUITES = ("cifar-c",)


def check_request(request: CorruptedEvaluation, settings: Settings) -> None:
    """Refuse what cannot be measured before anything else is.

    Raises:
        SettingsError: an option has no meaning, or the data set has no such suite.
        DataError: the baseline is no such record.
    """
    if request.suite not in SUITES:
        raise SettingsError(
            f"`--corruptions` must be one of {', '.join(SUITES)}, got `{request.suite}`"
        )
    require_cifar(settings.data.name)
    if request.limit is not None and request.limit < 1:
        raise SettingsError(f"`--corruptions-limit` must be at least 1, got `{request.limit}`")
    if request.baseline is not None:
        read_baseline(request.baseline)


def evaluate_corruptions(
    subject: Subject, settings: Settings, accelerator: Accelerator, request: CorruptedEvaluation
) -> dict[str, Any]:
    """Measure a classifier on every corruption and severity, and write down how it did.

    The corrupted images are those of `request.folder`, or the published ones in the data folder, or
    generated ones there, which are made when there are none.

    Returns:
        The record, as written to JSON beside the heat map.

    Raises:
        DataError: images are missing or not what they should be.
        SettingsError: there is no such set of corruptions for these data.
    """
    name = require_cifar(settings.data.name)
    test = load_cifar_test(name, settings.data.dir.expanduser(), download=settings.data.download)
    with accelerator.local_main_process_first():
        images = open_corrupted(_folder(name, settings, request), tuple(CORRUPTIONS), test)
    meter = _Meter(subject, settings.evaluation.batch_size, accelerator)
    num_images = min(request.limit or len(test), len(test))
    if num_images < len(test):  # clean and corrupted accuracy are of the same images
        clean = meter.accuracy(test.take(np.arange(num_images)))
        subject = replace(subject, clean_top1=clean.top1)
    cells = meter.all_cells(images, test, num_images)
    record = make_record(subject, images, cells, FOLDERS[name], request.baseline)
    if accelerator.is_main_process:
        stem = (request.report_dir or subject.checkpoint.parent) / "corruptions" / FOLDERS[name]
        if record["is_partial"]:
            stem = stem.with_name(f"{stem.name}-first-{record['num_images']}")
        write_record(record, stem)
    return record


def _folder(name: CifarName, settings: Settings, request: CorruptedEvaluation) -> Path:
    if request.folder is not None:
        return request.folder.expanduser()
    published = settings.data.dir.expanduser() / FOLDERS[name]
    if any(published.glob("*.npy")):
        return published
    folder = generated_folder(settings.data, name)
    say(f"`{published}` holds no images: they are generated in `{folder}`, unless they are there")
    make_files(folder, settings.data, Wanted(frost_dir=request.frost_dir))
    return folder


class _Meter:
    """Measures a classifier on sets of images.

    Args:
        subject: The classifier.
        batch_size: Images at a time, on each process.
        accelerator: The device and the other processes.
    """

    def __init__(self, subject: Subject, batch_size: int, accelerator: Accelerator) -> None:
        self._subject = subject
        self._batch_size = batch_size
        self._accelerator = accelerator

    def accuracy(self, images: ImageSet) -> Accuracy:
        """The accuracy on a set, over all processes."""
        batches = evaluation_batches(
            images.to(self._accelerator.device),
            self._subject.mean,
            self._subject.std,
            batch_size=self._batch_size,
            rank=self._accelerator.process_index,
            num_ranks=self._accelerator.num_processes,
        )
        measured = measure(
            lambda batch: {"head": self._subject.predict(batch)},
            batches,
            add_over_processes=partial(add_over_processes, self._accelerator),
        )
        return measured["head"]

    def all_cells(
        self, corrupted: CorruptedSet, test: ImageSet, num_images: int
    ) -> dict[str, list[Accuracy]]:
        """The accuracy on the first images of each severity, by corruption."""
        total = len(corrupted.names) * len(corrupted.severities) * num_images
        labels = test.labels[:num_images]
        cells: dict[str, list[Accuracy]] = {name: [] for name in corrupted.names}
        with counted("images", total, is_silent=not self._accelerator.is_main_process) as advance:
            for name, row in cells.items():
                for severity in corrupted.severities:
                    block = np.array(corrupted.images(name, severity)[:num_images])
                    images = torch.from_numpy(block).permute(0, 3, 1, 2).contiguous()
                    row.append(self.accuracy(ImageSet(images, labels, test.class_names)))
                    advance(name, num_images)
        return cells
