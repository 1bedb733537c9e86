"""Checkpoints: exact to resume, safe to read, never half written.

`ckpt.pt` holds tensors and plain values only and is always read with `weights_only=True`: a file
from the internet cannot run code. It carries a hash of itself, compared whenever it is read. It is
written beside its final name, flushed to disk and renamed, so that a kill at any moment leaves the
previous one. `classifier.safetensors` is the portable result: the momentum classifier with its
one-hot head, and in its metadata all that is needed to build it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from automix_cli.atomic import written_atomically
from automix_cli.engine.checkpoint_kinds import refuse_other_kinds
from automix_cli.engine.loop import Training, TrainState
from automix_cli.engine.sealing import is_sealed, seal
from automix_cli.engine.weights import DAMAGE, read_content, read_described, reason, write_weights
from automix_cli.errors import CheckpointError

FORMAT = "automix-checkpoint"
VERSION = 2
UNSEALED_VERSION = 1
"""Checkpoints of that version carry no hash of themselves; they are read all the same."""


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
            seal(partial)
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
    content = read_content(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(
            f"`{path}` is not a checkpoint of `automix train`",
            hint="wanted a `ckpt.pt`, `best.pt` or `classifier.safetensors` of a run",
        )
    try:
        return _checkpoint(path, content)
    except DAMAGE as problem:
        raise CheckpointError(
            f"`{path}` is truncated or damaged: {reason(problem)}", hint="copy the file again"
        ) from problem


def _checkpoint(path: Path, content: dict[str, Any]) -> Checkpoint:
    """Make sure that everything is of its kind.

    Raises:
        CheckpointError: of another version.
        KeyError, TypeError, ValueError: something is missing, or of another kind.
    """
    version, header = content["version"], Header(**content["header"])
    if version not in (UNSEALED_VERSION, VERSION):
        raise CheckpointError(
            f"`{path}` has checkpoint version {version}, this program reads {VERSION}",
            hint=f"use the version of automix that wrote it: {header.software.get('automix')}",
        )
    if version == VERSION and not is_sealed(path):
        raise ValueError("the SHA-256 of its content is missing")
    state = TrainState(**content["state"])
    refuse_other_kinds(content, asdict(header), vars(state))
    model, optimizer = content["model"], content["optimizer"]
    return Checkpoint(path, header, model, optimizer, content["scaler"], state)


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
    try:
        training.optimizer.load_state_dict(checkpoint.optimizer)
        if accelerator.scaler is not None and checkpoint.scaler is not None:
            accelerator.scaler.load_state_dict(checkpoint.scaler)
    except DAMAGE as problem:
        raise CheckpointError(
            f"the optimizer's state in `{checkpoint.path}` does not fit: {reason(problem)}"
        ) from problem
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
    try:
        module.load_state_dict(dict(weights))
    except RuntimeError as problem:  # numbers of a kind that the model has not
        raise CheckpointError(f"`{path}` does not fit the model: {reason(problem)}") from problem


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
    try:
        with written_atomically(path) as partial:
            write_weights(partial, weights, said)
    except (OSError, SafetensorError) as problem:
        raise CheckpointError(f"cannot write `{path}`: {problem}") from problem


def load_classifier(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read portable weights, and the settings and data description stored with them.

    Raises:
        CheckpointError: missing, damaged, or without our metadata.
    """
    weights, stored = read_described(path)
    for part in ("settings", "dataset"):
        if not isinstance(stored.get(part), dict):
            raise CheckpointError(f"`{path}` is damaged: it does not say its `{part}`")
    return weights, stored
