"""Weights of a network as named tensors: read from somebody else, written for somebody else."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from automix_cli.errors import CheckpointError


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read named tensors: a safetensors file, or a PyTorch file that holds nothing else.

    Raises:
        CheckpointError: missing, damaged, or something other than named tensors.
    """
    content = read_content(path)
    if not isinstance(content, dict) or not all(isinstance(e, Tensor) for e in content.values()):
        raise CheckpointError(
            f"`{path}` must hold named tensors alone",
            hint="save a model's `state_dict()`, best as safetensors",
        )
    return cast(dict[str, Tensor], content)


def read_content(path: Path) -> Any:
    """Read a safetensors file, or a PyTorch file of tensors and plain values.

    Raises:
        CheckpointError: missing, damaged, or something that could run code.
    """
    if not path.is_file():
        raise CheckpointError(
            f"wanted the weights of a network at `{path}`, found "
            f"{'a folder' if path.is_dir() else 'nothing'}",
            hint="nothing is downloaded: name a file that is there, safetensors or PyTorch",
        )
    try:
        return _safetensors(path) if path.suffix == ".safetensors" else _pytorch(path)
    except pickle.UnpicklingError as problem:
        raise CheckpointError(
            f"`{path}` holds something other than tensors, and was not loaded",
            hint="such a file can run code when opened; wanted tensors alone, best as safetensors",
        ) from problem
    except _DAMAGE as problem:
        first_line = str(problem).partition("\n")[0] or "no content"
        raise CheckpointError(
            f"`{path}` is truncated or damaged: {first_line}", hint="copy the file again"
        ) from problem


def has_metadata(path: Path, key: str) -> bool:
    """Whether the header of a safetensors file says something under a key.

    Raises:
        CheckpointError: the file is damaged.
    """
    try:
        opened = cast(Callable[..., Any], safe_open)(path, framework="pt")
        with opened as file:
            return key in (file.metadata() or {})
    except _DAMAGE as problem:
        raise CheckpointError(
            f"`{path}` is truncated or damaged: {problem}", hint="copy the file again"
        ) from problem


def write_weights(path: Path, weights: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write named tensors as safetensors.

    Args:
        path: The file.
        weights: By name.
        metadata: What the header says besides.

    Raises:
        OSError: it cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    # as timm and transformers write it, who look for the framework
    save_file(tensors, path, metadata={"format": "pt", **metadata})


def _safetensors(path: Path) -> Any:
    opened = cast(Callable[..., Any], safe_open)(path, framework="pt")
    with opened as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict


def _pytorch(path: Path) -> Any:
    with warnings.catch_warnings(action="ignore"):  # what torch warns of is refused
        return torch.load(path, map_location="cpu", weights_only=True)


_DAMAGE = (
    *(OSError, RuntimeError, EOFError, ValueError, KeyError),
    *(zipfile.BadZipFile, SafetensorError),
)
"""What reading a broken file raises."""
