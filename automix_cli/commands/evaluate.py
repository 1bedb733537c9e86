"""`automix eval`: measure a trained classifier on its test set or on data of the same kind."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from automix_cli.commands.bookkeeping import accuracy_record
from automix_cli.commands.requests import EvaluateRequest
from automix_cli.commands.trained import (
    chosen_checkpoint,
    read_trained,
    rebuild,
    refuse_other_classes,
    stored_settings,
)
from automix_cli.data.batches import evaluation_batches
from automix_cli.data.datasets import load_splits
from automix_cli.engine.runtime import add_over_processes, build_accelerator
from automix_cli.errors import DivergedError
from automix_cli.evaluation.accuracy import measure
from automix_cli.reporting.tables import accuracy_table, print_tables
from automix_cli.settings import Settings
from automix_cli.settings.layering import Layer, Overrides, load
from automix_cli.settings.toml import print_config

SCHEMA_VERSION = 1


def run(overrides: Overrides, request: EvaluateRequest) -> None:
    """Measure top-1, top-5 and NLL of the network that `evaluation.weights` selects.

    Raises:
        AutoMixError: anything a person can mend; the exit code says what kind.
    """
    path = chosen_checkpoint(request.run, request.checkpoint)
    stored = stored_settings(path)
    settings, origins = load(overrides, base=Layer(stored, str(path)))
    if request.print_config:
        sys.stdout.write(print_config(settings, origins))
        return
    accelerator = build_accelerator(device=settings.run.device, mixed_precision="no")
    trained = read_trained(path, settings.evaluation.weights)
    network = rebuild(trained, settings)
    network.to(accelerator.device).eval()
    with accelerator.local_main_process_first():
        splits = load_splits(
            settings.data.name, settings.data.dir, download=settings.data.download, holdout=0
        )
    refuse_other_classes(trained, splits.test.class_names)
    head = f"{settings.evaluation.weights}_one_hot"
    measured = measure(
        lambda images: {head: network(images)},
        evaluation_batches(
            splits.test.to(accelerator.device),
            trained.mean,
            trained.std,
            batch_size=settings.evaluation.batch_size,
            rank=accelerator.process_index,
            num_ranks=accelerator.num_processes,
        ),
        add_over_processes=partial(add_over_processes, accelerator),
    )
    rows = {name: accuracy_record(accuracy) for name, accuracy in measured.items()}
    refuse_nan(rows, path)
    if accelerator.is_main_process:
        show(rows, path, settings, as_json=request.as_json)
    accelerator.end_training()


def refuse_nan(rows: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Numbers made of NaN are no result.

    Raises:
        DivergedError: the network's outputs are not finite.
    """
    for name, row in rows.items():
        if not row["nll"] < float("inf"):
            raise DivergedError(f"the outputs of {name} in `{path}` are not finite")


def show(
    rows: Mapping[str, Mapping[str, Any]], path: Path, settings: Settings, *, as_json: bool
) -> None:
    """A table for people, or JSON for programs."""
    if as_json:
        content = {
            "schema_version": SCHEMA_VERSION,
            "checkpoint": str(path),
            "dataset": settings.data.name,
            "split": "test",
            "heads": rows,
        }
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
        return
    num_images = next(iter(rows.values()))["num_images"]
    title = f"{path} on the {num_images:,} test images of {settings.data.name}"
    print_tables(accuracy_table(title, rows, marked="momentum_one_hot"))
