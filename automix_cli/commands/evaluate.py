"""`automix eval`: measure a trained classifier on its test set or on data of the same kind."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from automix_cli import build
from automix_cli.commands.bookkeeping import accuracy_record
from automix_cli.commands.corruption_eval import check_request, evaluate_corruptions
from automix_cli.commands.corruption_record import Subject
from automix_cli.commands.requests import EvaluateRequest
from automix_cli.data.batches import evaluation_batches
from automix_cli.data.datasets import load_splits
from automix_cli.data.recipe import View
from automix_cli.engine.checkpoint import load_checkpoint, load_classifier, load_weights
from automix_cli.engine.runtime import add_over_processes, build_accelerator
from automix_cli.errors import CheckpointError, DataError, DivergedError
from automix_cli.evaluation.accuracy import measure
from automix_cli.models.classifier import Classifier
from automix_cli.reporting import records
from automix_cli.reporting.corruption_tables import corruption_table
from automix_cli.reporting.progress import say
from automix_cli.reporting.tables import accuracy_table, print_tables
from automix_cli.settings import Settings
from automix_cli.settings.layering import Layer, Overrides, load
from automix_cli.settings.toml import print_config

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Trained:
    """The weights of one network and what they were trained as."""

    path: Path
    weights: dict[str, Tensor]
    settings: dict[str, Any]
    dataset: dict[str, Any]


def run(overrides: Overrides, request: EvaluateRequest) -> None:
    """Measure top-1, top-5 and NLL of the network that `evaluation.weights` selects.

    Raises:
        AutoMixError: anything a person can mend; the exit code says what kind.
    """
    path = chosen_checkpoint(request)
    stored = stored_settings(path)
    settings, origins = load(overrides, base=Layer(stored, str(path)))
    if request.print_config:
        sys.stdout.write(print_config(settings, origins))
        return
    if request.corruptions is not None:
        check_request(request.corruptions, settings)
    accelerator = build_accelerator(device=settings.run.device, mixed_precision="no")
    trained = read_trained(path, settings.evaluation.weights)
    network = rebuild(trained, settings)
    network.to(accelerator.device).eval()
    with accelerator.local_main_process_first():
        splits = load_splits(replace(build.data_request(settings.data), train_limit=None))
    refuse_other_classes(trained, splits.test.class_names)
    head = f"{settings.evaluation.weights}_one_hot"
    measured = measure(
        lambda images: {head: network(images)},
        evaluation_batches(
            splits.test,
            view_of(trained, settings),
            build.loading(settings.data, accelerator.device),
            batch_size=settings.evaluation.batch_size,
            rank=accelerator.process_index,
            num_ranks=accelerator.num_processes,
        ),
        add_over_processes=partial(add_over_processes, accelerator),
    )
    rows = {name: accuracy_record(accuracy) for name, accuracy in measured.items()}
    refuse_nan(rows, path)
    corrupted = None
    if request.corruptions is not None:
        subject = Subject(
            network,
            class_names=tuple(trained.dataset["class_names"]),
            view=view_of(trained, settings),
            checkpoint=path,
            clean_top1=measured[head].top1,
        )
        corrupted = evaluate_corruptions(subject, settings, accelerator, request.corruptions)
    if accelerator.is_main_process:
        show(rows, path, settings, corrupted, as_json=request.as_json)
    accelerator.end_training()


def chosen_checkpoint(request: EvaluateRequest) -> Path:
    """The file to read: the one named, or that of the run named, or of the newest finished run."""
    if request.checkpoint is not None:
        return request.checkpoint
    folder = request.run
    if folder is None:
        folder = records.newest_or_raise(Path("runs"), records.SUMMARY, "a finished run")
        say(f"evaluating the newest finished run, {folder}")
    if folder.is_file():
        return folder
    return folder / records.CHECKPOINT


def stored_settings(path: Path) -> dict[str, Any]:
    """The settings a file was trained with."""
    if path.suffix == ".safetensors":
        return load_classifier(path)[1]["settings"]
    return load_checkpoint(path).header.settings


def read_trained(path: Path, weights: str) -> Trained:
    """Read one network's weights from a checkpoint or a portable file.

    Raises:
        CheckpointError: the file is broken or does not hold the network asked for.
    """
    if path.suffix == ".safetensors":
        if weights != "momentum":
            raise CheckpointError(
                f"`{path}` holds the momentum classifier only, wanted `--weights {weights}`",
                hint="name the run's `ckpt.pt`, which holds both networks",
            )
        tensors, stored = load_classifier(path)
        return Trained(path, tensors, stored["settings"], stored["dataset"])
    checkpoint = load_checkpoint(path)
    prefix = "momentum_classifier." if weights == "momentum" else "classifier."
    tensors = {
        name.removeprefix(prefix): tensor
        for name, tensor in checkpoint.model.items()
        if name.startswith(prefix) and "head_mixed" not in name
    }
    return Trained(path, tensors, checkpoint.header.settings, checkpoint.header.dataset)


def rebuild(trained: Trained, settings: Settings) -> Classifier:
    """Build the network that the settings describe and put the weights in."""
    network = build.classifier(
        settings.model,
        num_classes=len(trained.dataset["class_names"]),
        in_channels=trained.dataset["in_channels"],
        size=trained.dataset["image_size"],
    )
    head = {f"head_mixed.{name}": each for name, each in network.head_mixed.state_dict().items()}
    load_weights(network, {**trained.weights, **head}, trained.path)
    return network


def view_of(trained: Trained, settings: Settings) -> View:
    """How images are shown: normalised and of the size that the network was trained with."""
    stored = trained.dataset
    mean, std = (tuple(map(float, stored[name])) for name in ("mean", "std"))
    return build.view(settings.data, mean, std, int(stored["image_size"]))


def refuse_other_classes(trained: Trained, class_names: tuple[str, ...]) -> None:
    """A classifier can only be judged on the classes it knows.

    Raises:
        DataError: the data have other classes.
    """
    known = list(trained.dataset["class_names"])
    if known != list(class_names):
        raise DataError(
            f"`{trained.path}` was trained on the {len(known)} classes of "
            f"{trained.dataset['name']}, the data have {len(class_names)} classes or other names",
            hint="leave out `--set data.name=...`, or evaluate a run of that data set",
        )


def refuse_nan(rows: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Numbers made of NaN are no result.

    Raises:
        DivergedError: the network's outputs are not finite.
    """
    for name, row in rows.items():
        if not row["nll"] < float("inf"):
            raise DivergedError(f"the outputs of {name} in `{path}` are not finite")


def show(
    rows: Mapping[str, Mapping[str, Any]],
    path: Path,
    settings: Settings,
    corrupted: Mapping[str, Any] | None,
    *,
    as_json: bool,
) -> None:
    """Tables for people, or JSON for programs."""
    if as_json:
        content = {
            "schema_version": SCHEMA_VERSION,
            "checkpoint": str(path),
            "dataset": settings.data.name,
            "split": "test",
            "heads": rows,
        }
        if corrupted is not None:
            content["corruptions"] = corrupted
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
        return
    num_images = next(iter(rows.values()))["num_images"]
    title = f"{path} on the {num_images:,} test images of {settings.data.name}"
    print_tables(accuracy_table(title, rows, marked="momentum_one_hot"))
    if corrupted is not None:
        print_tables(corruption_table(corrupted))
