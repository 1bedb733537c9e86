"""One detection run: compose data, detector, engine and records, as `training.run` does."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from automix_cli import build
from automix_cli.build.detection import (
    CHANNELS,
    BoxedSplits,
    boxed_batches,
    boxed_splits,
    detector,
    detector_values_at,
)
from automix_cli.build.starting import Start
from automix_cli.commands.detecting.books import DetectionBooks
from automix_cli.commands.detecting.found_boxes import PAGE, PREDICTIONS
from automix_cli.commands.requests.detect import DetectRequest
from automix_cli.commands.training.books import (
    announce_resume,
    begun_at,
    opened_metrics,
    trackers_of,
)
from automix_cli.commands.training.claimed_folder import run_folder
from automix_cli.commands.training.last_good import checkpoint_of
from automix_cli.commands.training.rehearsal import rehearse
from automix_cli.commands.training.run import accelerator_for
from automix_cli.commands.training.starting_weights import read_start
from automix_cli.engine.checkpoint import Checkpoint, restore
from automix_cli.engine.loop import Training, TrainState
from automix_cli.engine.runtime import Accelerator, prepare, seed_initialisation
from automix_cli.engine.trackers import require_installed
from automix_cli.engine.waiting import main_first
from automix_cli.errors import CheckpointError, Interrupted
from automix_cli.reporting import records
from automix_cli.reporting.detection_tables import precision_table
from automix_cli.reporting.progress import TrainProgress, say
from automix_cli.reporting.run_report.reported import DETECTOR
from automix_cli.reporting.tables import print_tables, summary_table
from automix_cli.settings import Settings
from automix_cli.settings.layering import Origins


def run(settings: Settings, origins: Origins, resumed: Path | None, request: DetectRequest) -> None:
    """Train to the end, or only rehearse, and show the result.

    Args:
        settings: Of the whole run.
        origins: Who set them.
        resumed: Folder of the run to go on with; None starts one.
        request: What to show.
    """
    require_installed(settings.train.tracker_names)
    checkpoint = checkpoint_of(resumed, settings)
    accelerator = accelerator_for(settings, 0 if checkpoint is None else checkpoint.state.step)
    start = None
    if checkpoint is None:
        with main_first(accelerator):
            start = read_start(
                settings, in_channels=CHANNELS, image_size=settings.detection.short_side
            )
    splits = boxed_splits(settings, normalization(start, checkpoint))
    training = assemble(settings, splits, accelerator, start)
    with closing(training.batches):
        if request.dry_run:
            plan = build.plan(settings, training.batches.steps_per_epoch)
            rehearse(training, plan, settings, origins, as_json=request.as_json)
            return
        with run_folder(accelerator, settings, origins, resumed) as folder:
            if accelerator.is_main_process:
                announce(settings, splits, folder, accelerator)
                if checkpoint is None:
                    announce_start(settings, start)
            summary = carry_out(settings, splits, training, folder, (checkpoint, start))
    if accelerator.is_main_process:
        show(summary, folder, as_json=request.as_json)
    accelerator.end_training()


def normalization(
    start: Start | None, checkpoint: Checkpoint | None
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and standard deviation that images are shown with; None: those of ImageNet.

    Raises:
        CheckpointError: the run that is to go on is of no detector.
    """
    if checkpoint is not None:
        stored = checkpoint.header.dataset
        if stored.get("task") != "detection":
            raise CheckpointError(
                f"`{checkpoint.path}` is of no detector",
                hint="`automix train --resume` goes on with classifiers",
            )
        return tuple(stored["mean"]), tuple(stored["std"])
    if start is None or start.mean is None or start.std is None:
        return None
    return start.mean, start.std


def assemble(
    settings: Settings, splits: BoxedSplits, accelerator: Accelerator, start: Start | None
) -> Training:
    """Detector, optimizer and batches, ready for the first step."""
    seed_initialisation(settings.run.seed)
    normalization = (splits.mean, splits.std)
    method = detector(settings, len(splits.class_names), normalization, start)
    model, optimizer = prepare(accelerator, method, build.optimizer(settings.optimizer, method))
    batches: Any = boxed_batches(
        settings,
        splits,
        rank=accelerator.process_index,
        num_ranks=accelerator.num_processes,
        device=accelerator.device,
    )
    return Training(
        accelerator=accelerator,
        model=model,
        optimizer=optimizer,
        batches=batches,
        values_at=detector_values_at(settings, batches.steps_per_epoch),
        draw=lambda rng, n, *, step, shared_rng: None,
    )


def carry_out(
    settings: Settings,
    splits: BoxedSplits,
    training: Training,
    folder: Path,
    begun: tuple[Checkpoint | None, Start | None],
) -> dict[str, Any]:
    """Train to the end and write the results."""
    checkpoint, start = begun
    accelerator, plan = training.accelerator, build.plan(settings, training.batches.steps_per_epoch)
    state = TrainState() if checkpoint is None else restore(checkpoint, training)
    metrics = opened_metrics(folder, accelerator, checkpoint)
    if checkpoint is not None and accelerator.is_main_process:
        announce_resume(checkpoint, accelerator, plan.total_steps)
    silent = not accelerator.is_main_process
    progress = TrainProgress(plan.total_steps, state.step, plan.steps_per_epoch, is_silent=silent)
    init = None if start is None else {**start.said(), "new_heads": ["detector"]}
    with closing(trackers_of(settings, accelerator, folder, state.step)) as trackers:
        books = DetectionBooks(
            settings=settings,
            splits=splits,
            training=training,
            state=state,
            folder=folder,
            metrics=metrics,
            trackers=trackers,
            progress=progress,
            init=init if checkpoint is None else checkpoint.header.init,
            last_good=begun_at(checkpoint),
        )
        try:
            books.train(plan)
        except Interrupted as stopped:
            stopped.hint = "`automix detect --resume` goes on from here, as if never stopped"
            raise
    return books.finish()


def announce(
    settings: Settings, splits: BoxedSplits, folder: Path, accelerator: Accelerator
) -> None:
    """Say what is about to happen, on stderr."""
    train, test = splits.train, splits.test
    kept = train.with_boxes()
    say(
        f"run {folder}: Faster R-CNN on {settings.model.backbone}, {len(kept):,} images with "
        f"{sum(len(image.boxes) for image in kept):,} boxes of {len(splits.class_names)} classes, "
        f"{len(test):,} test images, batch {settings.train.batch_size} over "
        f"{accelerator.num_processes} process(es), {accelerator.device}, "
        f"precision {accelerator.mixed_precision}, seed {settings.run.seed}"
    )
    if len(kept) < len(train):
        say(f"  {len(train) - len(kept):,} images without boxes are not trained on")
    repaired = train.num_repaired + test.num_repaired
    if repaired:
        say(f"  {repaired:,} bad boxes were cut at the border of their images, or left out")


def announce_start(settings: Settings, start: Start | None) -> None:
    """Say what a new run begins with."""
    if start is not None:
        say(f"  beginning with {start.origin}, from {start.path}, sha256 {start.sha256()[:16]}")
        say("  the backbone is taken over whole; drawn anew: the pyramid and the detector's heads")
    else:
        say("  the backbone begins with random weights")
        if settings.model.frozen_stages or settings.model.freeze_batch_norm != "none":
            say("  warning: parts of it are frozen, and stay random")


def show(summary: dict[str, Any], folder: Path, *, as_json: bool) -> None:
    """The final table for people, or the summary for programs."""
    if as_json:
        sys.stdout.write(json.dumps({**summary, "run": str(folder)}, indent=2) + "\n")
        return
    following = [f"look at {folder / PAGE}.png, and at {folder / PREDICTIONS}"]
    following.append(f"automix eval {folder} --set detection.test=FILE")
    following.append(f"automix detect --config {folder / records.SETTINGS} --seed N")
    rows = {split: heads[DETECTOR] for split, heads in summary["last"].items()}
    print_tables(precision_table(rows), summary_table(summary, str(folder), following))
