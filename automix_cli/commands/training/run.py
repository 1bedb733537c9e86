"""One training run: compose data, model, engine and records, from the first step to the summary."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import nn

from automix_cli import build
from automix_cli.build.starting import Start
from automix_cli.commands.masks.progress import mask_progress
from automix_cli.commands.requests.train import TrainRequest
from automix_cli.commands.training.bookkeeping import Bookkeeper
from automix_cli.commands.training.books import (
    announce_resume,
    begun_at,
    opened_metrics,
    trackers_of,
)
from automix_cli.commands.training.claimed_folder import run_folder
from automix_cli.commands.training.last_good import checkpoint_of
from automix_cli.commands.training.rehearsal import rehearse
from automix_cli.commands.training.starting_weights import announce_start, describe, read_start
from automix_cli.data.datasets import DataSplits, load_splits
from automix_cli.engine.checkpoint import Checkpoint, restore
from automix_cli.engine.compiling import compile_passes
from automix_cli.engine.loop import Plan, Training, TrainState
from automix_cli.engine.runtime import (
    Accelerator,
    build_accelerator,
    make_deterministic,
    prepare,
    seed_initialisation,
)
from automix_cli.engine.trackers import require_installed
from automix_cli.engine.waiting import main_first, refuse_other_starts
from automix_cli.reporting import records
from automix_cli.reporting.progress import TrainProgress, say
from automix_cli.reporting.tables import accuracy_table, print_tables, summary_table
from automix_cli.settings import DataSettings, Settings
from automix_cli.settings.layering import Origins


@dataclass(frozen=True)
class Prepared:
    """Everything a run needs before its first step."""

    settings: Settings
    splits: DataSplits
    training: Training
    plan: Plan
    init: dict[str, Any] | None  # what is said of the weights to begin with


def run(settings: Settings, origins: Origins, resumed: Path | None, request: TrainRequest) -> None:
    """Train to the end, or only rehearse, and show the result.

    Args:
        settings: Of the whole run.
        origins: Who set them.
        resumed: Folder of the run to go on with; None starts one.
        request: What to show.
    """
    require_installed(settings.train.tracker_names)
    checkpoint = checkpoint_of(resumed, settings)
    step = 0 if checkpoint is None else checkpoint.state.step
    prepared = prepare_run(settings, step=step, reads_init=checkpoint is None)
    accelerator = prepared.training.accelerator
    with closing(prepared.training.batches):
        if request.dry_run:
            rehearse(prepared.training, prepared.plan, settings, origins, as_json=request.as_json)
            return
        with run_folder(accelerator, settings, origins, resumed) as folder:
            summary = carry_out(prepared, folder, checkpoint)
    if accelerator.is_main_process:
        show(summary, folder, as_json=request.as_json)
    accelerator.end_training()


def prepare_run(settings: Settings, *, step: int = 0, reads_init: bool = False) -> Prepared:
    """Devices, data, model and optimizer, ready for the first step.

    Args:
        settings: Of the whole run.
        step: Where it goes on.
        reads_init: Whether the model begins with the weights of `model.init`, if there are any;
            a run that is resumed has weights of its own.

    Raises:
        CheckpointError: another process would go on elsewhere.
    """
    accelerator = accelerator_for(settings, step)
    splits = load_data(settings.data, accelerator)
    start = None
    if reads_init:
        with main_first(accelerator):
            start = read_start(
                settings, in_channels=splits.in_channels, image_size=splits.image_size
            )
    if start is not None and accelerator.is_main_process:
        announce_start(start, splits)
    return assemble(settings, splits, accelerator, start)


def accelerator_for(settings: Settings, step: int) -> Accelerator:
    """Device, processes and precision of a run that goes on after a step, the same one for all.

    Raises:
        CheckpointError: another process would go on elsewhere.
    """
    accelerator = build_accelerator(
        device=settings.run.device,
        mixed_precision=settings.train.mixed_precision,
        process_timeout=settings.run.process_timeout,
        keeps_memory=settings.run.keep_freed_memory,
    )
    refuse_other_starts(accelerator, step)
    if settings.run.deterministic:
        make_deterministic()
    return accelerator


def assemble(
    settings: Settings, splits: DataSplits, accelerator: Accelerator, start: Start | None = None
) -> Prepared:
    """Model, optimizer and batches for data that are there, ready for the first step."""
    seed_initialisation(settings.run.seed)
    method = build.method(settings.model, settings.mix, splits, start)
    classifier = cast(nn.Module, method.classifier)
    build.refuse_lone_images(settings, splits, classifier, accelerator.num_processes)
    model, optimizer = prepare(
        accelerator,
        method,
        build.optimizer(settings.optimizer, method),
        has_rests=build.has_rests(settings.mix),
    )
    if settings.train.compile != "none":
        compile_passes(accelerator, model, optimizer, settings.train.compile)
    batches = build.train_batches(
        settings,
        splits,
        rank=accelerator.process_index,
        num_ranks=accelerator.num_processes,
        device=accelerator.device,
    )
    training = Training(
        accelerator=accelerator,
        model=model,
        optimizer=optimizer,
        batches=batches,
        values_at=build.values_at(settings, batches.steps_per_epoch),
        draw=build.draw(settings.mix, accelerator.device),
    )
    plan = build.plan(settings, batches.steps_per_epoch)
    init = None if start is None else describe(start, splits)
    return Prepared(settings, splits, training, plan, init)


def load_data(settings: DataSettings, accelerator: Accelerator) -> DataSplits:
    """Read the data; on each machine one process downloads while the others wait."""
    with main_first(accelerator):
        splits = load_splits(build.data_request(settings))
    return build.in_storage(settings, splits).to(accelerator.device)


def carry_out(prepared: Prepared, folder: Path, checkpoint: Checkpoint | None) -> dict[str, object]:
    """Train to the end and write the results."""
    training, plan = prepared.training, prepared.plan
    accelerator = training.accelerator
    state = TrainState() if checkpoint is None else restore(checkpoint, training)
    metrics = opened_metrics(folder, accelerator, checkpoint)
    masks = None
    if accelerator.is_main_process:
        announce(prepared, folder)
        if checkpoint is not None:
            announce_resume(checkpoint, accelerator, plan.total_steps)
        masks = mask_progress(prepared.settings, prepared.splits, training, folder, state.step)
    progress = TrainProgress(
        plan.total_steps,
        state.step,
        plan.steps_per_epoch,
        is_silent=not accelerator.is_main_process,
    )
    init = prepared.init if checkpoint is None else checkpoint.header.init
    with closing(trackers_of(prepared.settings, accelerator, folder, state.step)) as trackers:
        books = Bookkeeper(
            settings=prepared.settings,
            splits=prepared.splits,
            training=training,
            state=state,
            folder=folder,
            metrics=metrics,
            trackers=trackers,
            progress=progress,
            masks=masks,
            init=init,
            last_good=begun_at(checkpoint),
        )
        if masks is not None:
            masks.take_if_due(state.step)
        books.train(plan)
    return books.finish()


def announce(prepared: Prepared, folder: Path) -> None:
    """Say what is about to happen, on stderr."""
    training, settings = prepared.training, prepared.settings
    accelerator = training.accelerator
    share = f"batch {settings.train.batch_size} over {accelerator.num_processes} process(es)"
    say(
        f"run {folder}: {settings.mix.method}, {settings.model.backbone} on "
        f"{prepared.splits.name}, {len(prepared.splits.train):,} images, {share}, "
        f"{accelerator.device}, precision {accelerator.mixed_precision}, seed {settings.run.seed}",
    )


def show(summary: dict[str, object], folder: Path, *, as_json: bool) -> None:
    """The final table for people, or the summary for programs."""
    if as_json:
        sys.stdout.write(json.dumps({**summary, "run": str(folder)}, indent=2) + "\n")
        return
    last = cast(dict[str, dict[str, dict[str, object]]], summary["last"])
    tables = [
        accuracy_table(f"{split} accuracy", rows, marked=str(summary["stands_for"]))
        for split, rows in last.items()
    ]
    another_seed = int(str(summary["seed"])) + 1
    again = f"automix train --config {folder / records.SETTINGS} --seed {another_seed}"
    following = [f"automix eval {folder}", again]
    print_tables(*tables, summary_table(summary, str(folder), following))
