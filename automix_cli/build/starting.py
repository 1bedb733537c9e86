"""What a network begins with: weights of another one, and parts that keep them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from automix_cli.engine.checkpoint import load_weights
from automix_cli.errors import SettingsError
from automix_cli.models.classifier import Classifier
from automix_cli.models.freezing import Freezable, freeze_batch_norm, freeze_stages
from automix_cli.settings import ModelSettings

HEADS = ("head_one_hot", "head_mixed")


@dataclass(frozen=True)
class Start:
    """Weights of another network, under our names.

    Attributes:
        path: Their file.
        origin: Whose they are, in words.
        weights: Of backbone and heads; there may be heads missing.
        class_names: What the heads tell apart; None where nothing is known of that.
        mean: What was subtracted from each channel of the images they were trained with, units of
            255; None where it is not known.
        std: What each channel was then divided by; None with `mean`.
    """

    path: Path
    origin: str
    weights: Mapping[str, Tensor]
    class_names: tuple[str, ...] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def sha256(self) -> str:
        """Fingerprint of names, types, shapes and values, whatever file they are in."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.weights.items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(
                tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            )
        return digest.hexdigest()

    def said(self) -> dict[str, Any]:
        """What checkpoints and the summary say of the weights that a run began with."""
        return {"file": str(self.path), "origin": self.origin, "sha256": self.sha256()}

    def new_heads(self, class_names: tuple[str, ...]) -> tuple[str, ...]:
        """The heads that are not taken over by a network for these classes."""
        if self.class_names != class_names:
            return HEADS
        return tuple(head for head in HEADS if f"{head}.weight" not in self.weights)


def begin_with(network: Classifier, start: Start, class_names: tuple[str, ...]) -> None:
    """Put the weights in, but for the heads that stay as they were drawn.

    Raises:
        CheckpointError: the weights do not fit: which.
    """
    new = tuple(f"{head}." for head in start.new_heads(class_names))
    taken = {name: each for name, each in start.weights.items() if not name.startswith(new)}
    drawn = {name: each for name, each in network.state_dict().items() if name.startswith(new)}
    load_weights(network, {**taken, **drawn}, start.path)


def freeze(network: Freezable, model: ModelSettings) -> None:
    """Freeze what `[model]` says.

    Raises:
        SettingsError: the backbone has no such part.
    """
    wanted = model.freeze_batch_norm
    try:
        if model.frozen_stages:
            freeze_stages(network, model.frozen_stages)
        if wanted != "none":
            freeze_batch_norm(
                network,
                statistics=wanted in ("statistics", "all"),
                affine=wanted in ("affine", "all"),
            )
    except ValueError as problem:
        raise SettingsError(
            f"cannot freeze parts of `{model.backbone}`: {problem}",
            hint="see `model.frozen_stages` and `model.freeze_batch_norm`",
        ) from problem
