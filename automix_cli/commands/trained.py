"""Which trained network a command works on: find its file, read it, build it again.

Shared by every command that takes a run or a checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from automix_cli import build
from automix_cli.engine.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_classifier,
    load_weights,
)
from automix_cli.errors import CheckpointError, DataError
from automix_cli.models.classifier import Classifier
from automix_cli.models.exported import our_names
from automix_cli.reporting import records
from automix_cli.reporting.progress import say
from automix_cli.settings import Settings


@dataclass(frozen=True)
class Trained:
    """The weights of one network and what they were trained as."""

    path: Path
    weights: dict[str, Tensor]
    settings: dict[str, Any]
    dataset: dict[str, Any]

    @property
    def mean(self) -> tuple[float, ...]:
        """What was subtracted from each channel of the images, units of 255."""
        return tuple(map(float, self.dataset["mean"]))

    @property
    def std(self) -> tuple[float, ...]:
        """What each channel was divided by, same units."""
        return tuple(map(float, self.dataset["std"]))


def chosen_checkpoint(run: Path | None, checkpoint: Path | None) -> Path:
    """The file to read: the one named, or that of the run named, or of the newest finished run.

    Args:
        run: Run folder, or a file in its place.
        checkpoint: A file; it goes before `run`.

    Raises:
        CheckpointError: nothing is named and no run is finished.
    """
    if checkpoint is not None:
        return checkpoint
    if run is None:
        run = records.newest_or_raise(Path("runs"), records.SUMMARY, "a finished run")
        say(f"taking the newest finished run, {run}")
    if run.is_file():
        return run
    return run / records.CHECKPOINT


def stored_settings(path: Path) -> dict[str, Any]:
    """The settings a file was trained with."""
    if path.suffix == ".safetensors":
        return load_classifier(path)[1]["settings"]
    return load_checkpoint(path).header.settings


def read_trained(path: Path, weights: str) -> Trained:
    """Read one network's weights from a checkpoint or a portable file.

    Args:
        path: The file.
        weights: `momentum` or `classifier`.

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
        if "export" in stored:  # written for other programs, under timm's names
            tensors = our_names(tensors, stored["export"]["backbone"])
        return Trained(path, tensors, stored["settings"], stored["dataset"])
    checkpoint = load_checkpoint(path)
    if checkpoint.header.dataset.get("task") == "detection":
        raise CheckpointError(
            f"`{path}` is of a detector, wanted a classifier",
            hint="`automix detect` measures detectors, and writes what they found",
        )
    tensors = network_of(checkpoint, weights)
    kept = {name: tensor for name, tensor in tensors.items() if "head_mixed" not in name}
    return Trained(path, kept, checkpoint.header.settings, checkpoint.header.dataset)


def network_of(checkpoint: Checkpoint, weights: str) -> dict[str, Tensor]:
    """One of the two networks of a checkpoint, `momentum` or `classifier`, with both its heads."""
    prefix = "momentum_classifier." if weights == "momentum" else "classifier."
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in checkpoint.model.items()
        if name.startswith(prefix)
    }


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


def ready_network(
    path: Path, settings: Settings, device: torch.device
) -> tuple[Trained, Classifier]:
    """The network of a file as it is judged: built, in place, in evaluation mode."""
    trained = read_trained(path, settings.evaluation.weights)
    network = rebuild(trained, settings)
    return trained, network.to(device).eval()


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
