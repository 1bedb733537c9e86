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
from automix_cli.engine.checkpoint import load_checkpoint, load_classifier, load_weights
from automix_cli.errors import CheckpointError, DataError
from automix_cli.models.classifier import Classifier
from automix_cli.models.exported import our_names
from automix_cli.reporting import records
from automix_cli.reporting.progress import say
from automix_cli.settings import Settings

MOST_CLASSES, MOST_CHANNELS, LARGEST_SIZE = 1_000_000, 64, 8192
"""What a file may ask for before a network is built."""

LARGEST_NUMBER = 1e6
"""Of mean and standard deviation, in units of 255; NaN is not below it."""


@dataclass(frozen=True)
class Trained:
    """The weights of one network and what they were trained as; `network` says which it is."""

    path: Path
    weights: dict[str, Tensor]
    settings: dict[str, Any]
    dataset: dict[str, Any]
    network: str

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


@dataclass(frozen=True)
class TrainedFile:
    """What a checkpoint or a portable file holds, read once.

    Attributes:
        path: Of the file.
        tensors: All weights: of both networks under their names, or of the only one.
        settings: It was trained with.
        dataset: What it was trained on.
        only: The network it holds, `momentum` or `classifier`; None for both.
    """

    path: Path
    tensors: dict[str, Tensor]
    settings: dict[str, Any]
    dataset: dict[str, Any]
    only: str | None

    @property
    def is_detector(self) -> bool:
        """Whether it finds boxes, instead of telling classes of images apart."""
        return self.dataset.get("task") == "detection"

    def network(self, weights: str) -> Trained:
        """One network's weights.

        Args:
            weights: `momentum` or `classifier`; an export of the classifier is that either way.

        Raises:
            CheckpointError: the file does not hold the network asked for.
        """
        if self.only is not None:
            if weights not in ("momentum", self.only):
                raise CheckpointError(
                    f"`{self.path}` holds the momentum classifier only, wanted "
                    f"`--weights {weights}`",
                    hint="name the run's `ckpt.pt`, which holds both networks",
                )
            return Trained(self.path, self.tensors, self.settings, self.dataset, self.only)
        prefix = "momentum_classifier." if weights == "momentum" else "classifier."
        tensors = {
            name: tensor for name, tensor in self.below(prefix).items() if "head_mixed" not in name
        }
        return Trained(self.path, tensors, self.settings, self.dataset, weights)

    def below(self, prefix: str) -> dict[str, Tensor]:
        """The weights whose names begin with a prefix, without it."""
        return {
            name.removeprefix(prefix): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(prefix)
        }


def read_file(path: Path) -> TrainedFile:
    """Read a checkpoint or a portable file of a classifier.

    Raises:
        CheckpointError: it is missing or broken, or of a detector.
    """
    file = read_any(path)
    if file.is_detector:
        raise CheckpointError(
            f"`{path}` is of a detector, wanted a classifier",
            hint="`automix eval` measures detectors, and draws what they find",
        )
    return file


def read_any(path: Path) -> TrainedFile:
    """Read a checkpoint or a portable file, of a classifier or a detector.

    Raises:
        CheckpointError: it is missing or broken.
    """
    if path.suffix == ".safetensors":
        tensors, stored = load_classifier(path)
        only = "momentum"
        if "export" in stored:  # written for other programs, under timm's names
            try:
                tensors = our_names(tensors, stored["export"]["backbone"])
                only = str(stored["export"]["weights"])
            except (KeyError, TypeError, ValueError) as problem:
                raise CheckpointError(f"`{path}` is no export of ours: {problem!r}") from problem
        refuse_unsound(path, stored["dataset"])
        return TrainedFile(path, tensors, stored["settings"], stored["dataset"], only)
    checkpoint = load_checkpoint(path)
    header = checkpoint.header
    refuse_unsound(path, header.dataset)
    return TrainedFile(path, checkpoint.model, header.settings, header.dataset, None)


def refuse_unsound(path: Path, dataset: dict[str, Any]) -> None:
    """A network is built by what a file says of its data: that must be sound, and of sane size.

    Raises:
        CheckpointError: something is missing, of another kind, or absurd.
    """
    names, channels = dataset.get("class_names"), dataset.get("in_channels")
    sizes = [] if dataset.get("task") == "detection" else [dataset.get("image_size")]
    is_sound = (
        isinstance(dataset.get("name"), str)
        and isinstance(names, list)
        and all(isinstance(name, str) for name in names)
        and 0 < len(names) <= MOST_CLASSES
        and type(channels) is int
        and 0 < channels <= MOST_CHANNELS
        and all(type(size) is int and 0 < size <= LARGEST_SIZE for size in sizes)
        and _are_numbers(dataset.get("mean"), channels)
        and _are_numbers(dataset.get("std"), channels)
        and min(dataset["std"]) > 0
    )
    if not is_sound:
        raise CheckpointError(
            f"what `{path}` says of its data is no description that a run writes",
            hint="it was changed or made by another program; name a file of a run",
        )


def _are_numbers(values: object, count: int) -> bool:
    return (
        isinstance(values, list | tuple)
        and len(values) == count
        and all(isinstance(each, int | float) and abs(each) < LARGEST_NUMBER for each in values)
    )


def stored_settings(path: Path) -> dict[str, Any]:
    """The settings a file was trained with."""
    return read_file(path).settings


def read_trained(path: Path, weights: str) -> Trained:
    """Read one network's weights from a checkpoint or a portable file.

    Args:
        path: The file.
        weights: `momentum` or `classifier`.

    Raises:
        CheckpointError: the file is broken or does not hold the network asked for.
    """
    return read_file(path).network(weights)


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
