"""`automix eval --corruptions`: how a classifier does on corrupted test images."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from automix_cli.commands.requests import CorruptedEvaluation
from automix_cli.data.batches import evaluation_batches
from automix_cli.data.cifar import CifarName, load_cifar_test
from automix_cli.data.corrupted_official import FOLDERS
from automix_cli.data.corrupted_reading import CorruptedSet, open_corrupted
from automix_cli.data.image_set import ImageSet
from automix_cli.engine.runtime import add_over_processes
from automix_cli.errors import SettingsError
from automix_cli.evaluation.accuracy import Accuracy, measure
from automix_cli.evaluation.corruptions import CORRUPTIONS
from automix_cli.reporting.counting import counted
from automix_cli.reporting.progress import say
from automix_cli.settings import Settings

if TYPE_CHECKING:
    from accelerate import Accelerator

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
    cells = _measure_all(subject, images, test, settings, accelerator, request.limit)
    record = make_record(subject, images, cells, request)
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


def _measure_all(
    subject: Subject,
    images: CorruptedSet,
    test: ImageSet,
    settings: Settings,
    accelerator: Accelerator,
    limit: int | None,
) -> dict[str, list[Accuracy]]:
    """The accuracy at each severity, by corruption."""
    num_images = min(limit or images.num_images, images.num_images)
    num_cells = len(images.names) * len(images.severities)
    labels = test.labels[:num_images]
    cells: dict[str, list[Accuracy]] = {}
    is_silent = not accelerator.is_main_process
    with counted("images", num_cells * num_images, is_silent=is_silent) as advance:
        for name in images.names:
            cells[name] = []
            for severity in images.severities:
                block = torch.from_numpy(images.images(name, severity)[:num_images].copy())
                corrupted = ImageSet(
                    block.permute(0, 3, 1, 2).contiguous(), labels, test.class_names
                )
                batches = evaluation_batches(
                    corrupted.to(accelerator.device),
                    subject.mean,
                    subject.std,
                    batch_size=settings.evaluation.batch_size,
                    rank=accelerator.process_index,
                    num_ranks=accelerator.num_processes,
                )
                measured = measure(
                    lambda batch: {"": subject.predict(batch)},
                    batches,
                    add_over_processes=partial(add_over_processes, accelerator),
                )
                cells[name].append(measured[""])
                advance(name, num_images)
    return cells
