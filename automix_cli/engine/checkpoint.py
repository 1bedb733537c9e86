"""Checkpoints: exact to resume, safe to read, never half written.

`ckpt.pt` holds tensors and plain values only and is always read with `weights_only=True`: a file
from the internet cannot run code. It is written beside its final name, flushed to disk and renamed,
so that a kill at any moment leaves the previous one. `classifier.safetensors` is the portable
result: the momentum classifier with its one-hot head, and in its metadata what builds it again.
"""

from __future__ import annotations

import json
import os
import pickle
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from automix_cli.engine.loop import Training, TrainState
from automix_cli.engine.weights import DESCRIPTION, read_described
from automix_cli.errors import CheckpointError

FORMAT = "automix-checkpoint"
VERSION = 1


@dataclass(frozen=True)
class Header:
    """What a checkpoint says of itself; plain values only."""

    settings: dict[str, Any]
    dataset: dict[str, Any]  # name, class_names, mean, std, in_channels, image_size
    software: dict[str, str]
    num_processes: int
    metrics_bytes: int  # length of metrics.jsonl when the checkpoint was written
    init: dict[str, Any] | None = None  # the weights that the run began with, and their fingerprint


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read; `model` is the state of the whole method, such as `AutoMix`."""

    path: Path
    header: Header
    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    scaler: dict[str, Any] | None
    state: TrainState


@contextmanager
def written_atomically(path: Path) -> Iterator[Path]:
    """Give a file to write to; on success it becomes `path` in one step, else it is removed."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        partial.unlink(missing_ok=True)


def checkpoint_content(
    training: Training, state: TrainState, header: Header
) -> dict[str, Any] | None:
    """What a checkpoint holds, tensors shared with the training; None but on the main process.

    Called on every process: only their running sums of losses differ, and one row of each is kept.
    """
    accelerator = training.accelerator
    rows = None if state.sums is None else accelerator.gather(state.sums[None])
    if not accelerator.is_main_process:
        return None
    return {
        "header": asdict(header),
        "model": accelerator.unwrap_model(training.model).state_dict(),
        "optimizer": training.optimizer.state_dict(),
        "scaler": accelerator.scaler.state_dict() if accelerator.scaler is not None else None,
        "state": {**_plain(state), "sums": rows},
    }


def save_imported(path: Path, model: Mapping[str, Tensor], header: Header) -> None:
    """Write weights that come from elsewhere, with nothing to go on training from.

    Raises:
        CheckpointError: the file cannot be written.
    """
    content = {
        "header": asdict(header),
        "model": dict(model),
        "optimizer": {},
        "scaler": None,
        "state": _plain(TrainState()),
    }
    write_checkpoint(path, content, hint="free some space, or name a file elsewhere")


def _plain(state: TrainState) -> dict[str, Any]:
    return {each.name: getattr(state, each.name) for each in fields(state)}


def write_checkpoint(
    path: Path,
    content: Mapping[str, Any],
    *,
    hint: str = "free some space and resume; the previous checkpoint is intact",
) -> None:
    """Write such content in one step.

    Raises:
        CheckpointError: it cannot be written (full disk, read-only folder); the old one stays.
    """
    try:
        with written_atomically(path) as partial:
            torch.save({"format": FORMAT, "version": VERSION, **content}, partial)
    except (OSError, RuntimeError) as problem:  # torch reports a full disk as RuntimeError
        raise CheckpointError(f"cannot write `{path}`: {problem}", hint=hint) from problem


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint without running anything that may hide in it.

    Raises:
        CheckpointError: missing, truncated, a pickle with code, or not one of ours.
    """
    if not path.is_file():
        raise CheckpointError(
            f"wanted a checkpoint at `{path}`, found {'a folder' if path.is_dir() else 'nothing'}",
            hint="a run folder holds `ckpt.pt` (newest) and `best.pt`",
        )
    try:
        with warnings.catch_warnings(action="ignore"):  # what torch warns of is refused below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as problem:
        raise CheckpointError(
            f"`{path}` holds something other than tensors and plain values, and was not loaded",
            hint="such a file can run code when opened; only open checkpoints that `automix` wrote",
        ) from problem
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as problem:
        first_line = str(problem).partition("\n")[0] or "no content"
        raise CheckpointError(
            f"`{path}` is truncated or damaged: {first_line}",
            hint="resume from another checkpoint of the run, or copy the file again",
        ) from problem
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(
            f"`{path}` is not a checkpoint of `automix train`",
            hint="wanted a `ckpt.pt`, `best.pt` or `classifier.safetensors` of a run",
        )
    if content["version"] != VERSION:
        raise CheckpointError(
            f"`{path}` has checkpoint version {content['version']}, this program reads {VERSION}",
            hint="use the version of automix that wrote it: "
            f"{content['header']['software'].get('automix')}",
        )
    return Checkpoint(
        path=path,
        header=Header(**content["header"]),
        model=content["model"],
        optimizer=content["optimizer"],
        scaler=content["scaler"],
        state=TrainState(**content["state"]),
    )


def restore(checkpoint: Checkpoint, training: Training) -> TrainState:
    """Put model, optimizer and scaler where the checkpoint left them.

    Raises:
        CheckpointError: the checkpoint belongs to another architecture, or was imported.
    """
    if not checkpoint.optimizer:
        raise CheckpointError(
            f"`{checkpoint.path}` holds imported weights, and nothing to go on training from",
            hint="it can be evaluated, shown and exported",
        )
    accelerator = training.accelerator
    load_weights(accelerator.unwrap_model(training.model), checkpoint.model, checkpoint.path)
    training.optimizer.load_state_dict(checkpoint.optimizer)
    if accelerator.scaler is not None and checkpoint.scaler is not None:
        accelerator.scaler.load_state_dict(checkpoint.scaler)
    state = checkpoint.state
    if state.sums is not None:  # one row a process; with another number of them, all get the mean
        is_ours = len(state.sums) == accelerator.num_processes
        row = state.sums[accelerator.process_index] if is_ours else state.sums.mean(dim=0)
        state.sums = row.to(accelerator.device)
    return state


def load_weights(module: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Load weights that must fit exactly, and say what differs when they do not.

    Raises:
        CheckpointError: names missing, names too many or shapes differ.
    """
    wanted = module.state_dict()
    wrong = [f"`{name}` is missing" for name in wanted if name not in weights]
    wrong += [f"`{name}` is unknown" for name in weights if name not in wanted]
    wrong += [
        f"`{name}` has shape {tuple(weights[name].shape)}, wanted {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise CheckpointError(
            f"`{path}` does not fit the model: {'; '.join(wrong[:3])}{more}",
            hint="it was made with another `model.backbone`, `model.stem`, number of classes or "
            "mix block; `--print-config` shows the settings in use",
        )
    module.load_state_dict(dict(weights))


def save_classifier(path: Path, weights: Mapping[str, Tensor], header: Header) -> None:
    """Write portable weights; equal weights and settings give equal bytes."""
    save_described(path, weights, {"settings": header.settings, "dataset": header.dataset})


def save_described(path: Path, weights: Mapping[str, Tensor], said: Mapping[str, Any]) -> None:
    """Write tensors as safetensors, in one step; `read_described` reads them.

    Args:
        path: The file.
        weights: By name.
        said: What the header says of them; plain values.

    Raises:
        CheckpointError: the file cannot be written; the old one stays.
    """
    metadata = {DESCRIPTION: json.dumps(said, sort_keys=True)}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    try:
        with written_atomically(path) as partial:
            save_file(tensors, partial, metadata=metadata)
    except (OSError, SafetensorError) as problem:
        raise CheckpointError(f"cannot write `{path}`: {problem}") from problem


def load_classifier(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read portable weights, and the settings and data description stored with them.

    Raises:
        CheckpointError: missing, damaged, or without our metadata.
    """
    return read_described(path)
