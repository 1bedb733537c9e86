"""Weights of a network as named tensors: read from somebody else, written for somebody else."""

from __future__ import annotations

import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from automix_cli.errors import CheckpointError

DESCRIPTION = "automix"
"""Name of what the header of a file of ours says: one JSON text, because safetensors does not keep
the order of several."""


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
    """Read a safetensors file, or a PyTorch file of tensors and plain values, numpy's numbers too.

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
        found = re.search(r"GLOBAL (\S+)", str(problem))
        named = f" (`{found.group(1)}`)" if found else ""
        raise CheckpointError(
            f"`{path}` holds something other than tensors{named}, and was not loaded",
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


def read_described(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a safetensors file of ours: its tensors, and what its header says of them.

    Raises:
        CheckpointError: missing, damaged, or without our header.
    """
    try:
        opened = cast(Callable[..., Any], safe_open)(path, framework="pt")
        with opened as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
    except (OSError, SafetensorError) as problem:
        raise CheckpointError(
            f"cannot read `{path}` as safetensors: {problem}", hint="copy the file again"
        ) from problem
    if DESCRIPTION not in metadata:
        raise CheckpointError(
            f"`{path}` was not written by automix: its metadata says nothing of the model",
            hint="wanted the `classifier.safetensors` of a run",
        )
    return tensors, json.loads(metadata[DESCRIPTION])


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
    with (
        warnings.catch_warnings(action="ignore"),  # what torch warns of is refused
        torch.serialization.safe_globals(list(_NUMBERS)),
    ):
        return torch.load(path, map_location="cpu", weights_only=True)


def _numbers() -> Iterator[Any]:
    """Single numbers of numpy, which logs of a training leave in files; they run no code."""
    make = np.float64(0).__reduce__()[0]
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):  # of numpy 1 and 2
        yield make, f"{module}.scalar"
    yield np.dtype
    yield from (type(np.dtype(each)) for each in ("f8", "f4", "i8", "i4", "bool"))


_NUMBERS = tuple(_numbers())


_DAMAGE = (
    *(OSError, RuntimeError, EOFError, ValueError, KeyError),
    *(zipfile.BadZipFile, SafetensorError),
)
"""What reading a broken file raises."""
