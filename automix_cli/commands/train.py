"""`automix train`: compose data, model, engine and records into one run."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.utils import broadcast_object_list

from automix_cli import build
from automix_cli.commands.bookkeeping import Bookkeeper
from automix_cli.commands.rehearsal import rehearse
from automix_cli.commands.requests import TrainRequest
from automix_cli.data.batches import TrainBatches
from automix_cli.data.datasets import DataSplits, load_splits
from automix_cli.engine.checkpoint import Checkpoint, load_checkpoint, restore
from automix_cli.engine.loop import Plan, Training, TrainState, fit
from automix_cli.engine.runtime import (
    StopRequest,
    build_accelerator,
    make_deterministic,
    prepare,
    seed_initialisation,
)
from automix_cli.errors import CheckpointError, SettingsError
from automix_cli.layering import Origins, Overrides, file_layer, load
from automix_cli.reporting import records
from automix_cli.reporting.progress import TrainProgress, stderr_console
from automix_cli.reporting.tables import accuracy_table, print_tables, summary_table
from automix_cli.settings import DataSettings, Settings
from automix_cli.settings_toml import changed_keys, dump_toml, print_config

MAY_CHANGE_ON_RESUME = (
    "run.",
    "evaluation.batch_size",
    "data.dir",
    "data.download",
    "train.log_every",
    "train.save_every",
    "train.max_steps",
)
"""Settings that move no number of the result; `run.seed` is the exception."""


@dataclass(frozen=True)
class Prepared:
    """Everything a run needs before its first step."""

    settings: Settings
    splits: DataSplits
    training: Training
    plan: Plan


def run(overrides: Overrides, request: TrainRequest) -> None:
    """Train, or go on training, and leave a run folder behind.

    Raises:
        AutoMixError: anything a person can mend; the exit code says what kind.
    """
    folder = resumed_folder(request.resume, overrides)
    if folder is not None and request.resume != "auto":
        refuse_other_sources(overrides)
    base = None if folder is None else file_layer(folder / records.SETTINGS)
    settings, origins = load(overrides, base=base)
    if request.print_config:
        sys.stdout.write(print_config(settings, origins))
        return
    checkpoint = load_checkpoint(folder / records.CHECKPOINT) if folder is not None else None
    if checkpoint is not None:
        refuse_changes(checkpoint, settings)

    prepared = prepare_run(settings)
    if request.dry_run:
        rehearse(prepared.training, prepared.plan, settings, origins, as_json=request.as_json)
        return
    accelerator = prepared.training.accelerator
    if folder is None:
        folder = new_folder(accelerator, settings, origins)
    summary = carry_out(prepared, folder, checkpoint)
    if accelerator.is_main_process:
        show(summary, folder, as_json=request.as_json)
    accelerator.end_training()


def resumed_folder(resume: str | None, overrides: Overrides) -> Path | None:
    """The run folder to go on with, or None for a new run.

    Args:
        resume: `newest`, `auto` (the run in --output-dir if there is one), a run folder or its
            `ckpt.pt`.
        overrides: Where `--output-dir` is, for `auto`.

    Raises:
        CheckpointError: there is nothing to resume.
    """
    if resume is None:
        return None
    if resume == "newest":
        return records.newest_or_raise(Path("runs"), records.CHECKPOINT, "an unfinished run")
    if resume == "auto":
        flagged = {flag.key: flag.value for flag in overrides.flags}.get("run.output_dir")
        if flagged is None:
            return records.newest(Path("runs"), records.CHECKPOINT)
        folder = Path(str(flagged))
        return folder if (folder / records.CHECKPOINT).is_file() else None
    path = Path(resume)
    folder = path.parent if path.is_file() else path
    if not (folder / records.CHECKPOINT).is_file():
        raise CheckpointError(
            f"wanted a run to resume at `{resume}`, found no `{records.CHECKPOINT}` there",
            hint="name a run folder, or give `--resume` alone for the newest run under `runs/`",
        )
    return folder


def refuse_other_sources(overrides: Overrides) -> None:
    """A resumed run has its settings; only `--resume auto` may name again what started it.

    Raises:
        SettingsError: a preset or a config file was named.
    """
    if overrides.preset is not None or overrides.configs:
        raise SettingsError(
            "`--resume` goes on with the run's own settings, but a preset or config was given too",
            hint="leave out `--preset` and `--config`, or use `--resume auto`",
        )


def refuse_changes(checkpoint: Checkpoint, settings: Settings) -> None:
    """Resuming must do what never stopping would have done.

    Raises:
        CheckpointError: lists every setting that would move the result.
    """
    before = Settings.model_validate(checkpoint.header.settings)
    differing = {
        key: values
        for key, values in changed_keys(before, settings).items()
        if key == "run.seed" or not key.startswith(MAY_CHANGE_ON_RESUME)
    }
    if differing:
        listed = "; ".join(
            f"`{key}` was `{old}`, is now `{new}`" for key, (old, new) in differing.items()
        )
        raise CheckpointError(
            f"cannot resume `{checkpoint.path}` with other settings: {listed}",
            hint="leave these as they were, or start a new run",
        )


def prepare_run(settings: Settings) -> Prepared:
    """Devices, data, model and optimizer, ready for the first step."""
    accelerator = build_accelerator(
        device=settings.run.device, mixed_precision=settings.train.mixed_precision
    )
    if settings.run.deterministic:
        make_deterministic()
    splits = load_data(settings.data, accelerator)
    seed_initialisation(settings.run.seed)
    automix = build.automix(settings.model, settings.mix, splits)
    model, optimizer = prepare(accelerator, automix, build.optimizer(settings.optimizer, automix))
    batches = TrainBatches(
        splits.train,
        splits.mean,
        splits.std,
        build.batch_plan(
            settings, rank=accelerator.process_index, num_ranks=accelerator.num_processes
        ),
        accelerator.device,
    )
    training = Training(
        accelerator=accelerator,
        model=model,
        optimizer=cast(AcceleratedOptimizer, optimizer),
        batches=batches,
        values_at=build.values_at(settings, batches.steps_per_epoch),
        options=build.automix_options(settings.mix),
    )
    return Prepared(settings, splits, training, build.plan(settings, batches.steps_per_epoch))


def load_data(settings: DataSettings, accelerator: Accelerator) -> DataSplits:
    """Read the data; on each machine one process downloads while the others wait."""
    with accelerator.local_main_process_first():
        splits = load_splits(
            settings.name, settings.dir, download=settings.download, holdout=settings.holdout
        )
    device = accelerator.device
    return replace(
        splits,
        train=splits.train.to(device),
        test=splits.test.to(device),
        validation=None if splits.validation is None else splits.validation.to(device),
    )


def new_folder(accelerator: Accelerator, settings: Settings, origins: Origins) -> Path:
    """Make the run folder on the main process and tell the others where it is."""
    folder = settings.run.output_dir or records.default_folder(
        settings.run.preset, settings.run.seed
    )
    if accelerator.is_main_process:
        records.create_folder(folder)
        (folder / records.SETTINGS).write_text(dump_toml(settings), encoding="utf-8")
        records.write_json(folder / "origins.json", dict(origins))
    return Path(broadcast_object_list([str(folder)])[0])


def carry_out(prepared: Prepared, folder: Path, checkpoint: Checkpoint | None) -> dict[str, object]:
    """Train to the end and write the results."""
    training, plan = prepared.training, prepared.plan
    accelerator = training.accelerator
    state = TrainState() if checkpoint is None else restore(checkpoint, training)
    metrics = None
    if accelerator.is_main_process:
        kept = 0 if checkpoint is None else checkpoint.header.metrics_bytes
        metrics = records.Metrics(folder / records.METRICS, keep_bytes=kept)
        entry = records.environment(
            device=str(accelerator.device), num_processes=accelerator.num_processes
        )
        records.append_environment(folder / "environment.json", entry)
        announce(prepared, folder, state, checkpoint)
    progress = TrainProgress(
        plan.total_steps,
        state.step,
        plan.steps_per_epoch,
        is_silent=not accelerator.is_main_process,
    )
    books = Bookkeeper(
        prepared.settings, prepared.splits, training, state, folder, metrics, progress
    )
    stop = StopRequest(accelerator)
    with progress, stop:
        fit(training, plan, state, books.hooks(stop))
    return books.finish()


def announce(
    prepared: Prepared, folder: Path, state: TrainState, checkpoint: Checkpoint | None
) -> None:
    """Say what is about to happen, on stderr."""
    training, settings = prepared.training, prepared.settings
    accelerator = training.accelerator
    console = stderr_console()
    share = f"batch {settings.train.batch_size} over {accelerator.num_processes} process(es)"
    console.print(
        f"run {folder}: {settings.model.backbone} on {prepared.splits.name}, "
        f"{len(prepared.splits.train):,} images, {share}, {accelerator.device}, "
        f"precision {accelerator.mixed_precision}, seed {settings.run.seed}",
        soft_wrap=True,
    )
    if checkpoint is None:
        return
    console.print(f"resuming after step {state.step} of {prepared.plan.total_steps}")
    before = checkpoint.header.num_processes
    if before != accelerator.num_processes:
        console.print(
            f"warning: the run had {before} process(es), now {accelerator.num_processes}: the same "
            "images in the same order, but other pairings than if it had never stopped",
            soft_wrap=True,
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
    following = [f"automix eval {folder}", f"automix train --resume {folder}"]
    print_tables(*tables, summary_table(summary, str(folder), following))
