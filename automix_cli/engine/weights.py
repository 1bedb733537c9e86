"""Weights of a network as named tensors: read from somebody else, written for somebody else.

A file of weights is a stranger's until it is read. Nothing in it is run, it takes no more memory
than it has bytes, and where it carries a hash of itself, that is compared.
"""

from __future__ import annotations

import json
import mmap
import pickle
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from automix_cli.engine.sealing import check_seal, digest_of
from automix_cli.errors import CheckpointError

DESCRIPTION = "automix"
"""Name of what the header of a file of ours says: one JSON text, because safetensors does not keep
the order of several."""

ZIP_BEGINNING = b"PK"
MAKES_BYTES = b"\nbytearray\n"
"""In a pickle: a call that asks for any amount of memory. Tensors have no use for it."""


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
        return _safetensors(path)[0] if path.suffix == ".safetensors" else _pytorch(path)
    except pickle.UnpicklingError as problem:
        found = re.search(r"GLOBAL (\S+)", str(problem))
        named = f" (`{found.group(1)}`)" if found else ""
        raise CheckpointError(
            f"`{path}` holds something other than tensors and plain values{named}, and was not"
            " loaded",
            hint="such a file can run code when opened; wanted tensors alone, best as safetensors",
        ) from problem
    except DAMAGE as problem:
        raise CheckpointError(
            f"`{path}` is truncated or damaged: {reason(problem)}", hint="copy the file again"
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
    except DAMAGE as problem:
        raise CheckpointError(
            f"`{path}` is truncated or damaged: {problem}", hint="copy the file again"
        ) from problem


def read_described(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a safetensors file of ours: its tensors, and what its header says of them.

    Raises:
        CheckpointError: missing, damaged, or without our metadata.
    """
    try:
        weights, metadata = _safetensors(path)
        if DESCRIPTION not in metadata:
            raise CheckpointError(
                f"`{path}` was not written by automix: its metadata says nothing of the model",
                hint="wanted the `classifier.safetensors` of a run",
            )
        said = json.loads(metadata[DESCRIPTION])
        if not isinstance(said, dict):
            raise TypeError("it describes itself by no table")
        if "sha256" in said and said["sha256"] != digest_of(weights, said):
            raise ValueError("its content is not what its SHA-256 says")
    except DAMAGE as problem:
        raise CheckpointError(
            f"cannot read `{path}` as safetensors: {reason(problem)}", hint="copy the file again"
        ) from problem
    return weights, said


def write_weights(
    path: Path, weights: Mapping[str, Tensor], said: Mapping[str, Any], **metadata: str
) -> None:
    """Write named tensors as safetensors; equal weights and words give equal bytes.

    Args:
        path: The file.
        weights: By name.
        said: What the file says of itself, plain values; a hash of all of it is added. It is one
            JSON string under one key, because safetensors does not keep keys in order.
        metadata: What other programs look for.

    Raises:
        OSError: it cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    kept = {**said, "sha256": digest_of(tensors, said)}
    save_file(tensors, path, metadata={DESCRIPTION: json.dumps(kept, sort_keys=True), **metadata})


def reason(problem: Exception) -> str:
    """The first line of what went wrong."""
    return str(problem).strip().partition("\n")[0] or type(problem).__name__


def _safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    opened = cast(Callable[..., Any], safe_open)(path, framework="pt")
    with opened as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
        return weights, file.metadata() or {}


def _pytorch(path: Path) -> Any:
    """Read what `torch.save` wrote.

    Raises:
        ValueError: it is not what its hash says, or unpacks to more than it is.
        pickle.UnpicklingError: it holds something that could run code.
    """
    check_seal(path)
    _refuse_bombs(path)
    with (
        warnings.catch_warnings(action="ignore"),  # what torch warns of is refused
        torch.serialization.safe_globals(list(_NUMBERS)),
    ):
        return torch.load(path, map_location="cpu", weights_only=True)


def _refuse_bombs(path: Path) -> None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(MAKES_BYTES) >= 0:
            raise pickle.UnpicklingError("it asks for memory")
        if content[:2] != ZIP_BEGINNING:
            return
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > len(content):
            raise ValueError("it unpacks to more than its size")


def _numbers() -> Iterator[Any]:
    """Single numbers of numpy, which logs of a training leave in files; they run no code."""
    make = np.float64(0).__reduce__()[0]
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):  # of numpy 1 and 2
        yield make, f"{module}.scalar"
    yield np.dtype
    yield from (type(np.dtype(each)) for each in ("f8", "f4", "i8", "i4", "bool"))


_NUMBERS = tuple(_numbers())

DAMAGE = (
    *(OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError),
    *(AssertionError, OverflowError, MemoryError, RecursionError, struct.error),
    *(zipfile.BadZipFile, zlib.error, SafetensorError),
)
"""What reading a broken file raises: none of the readers below us promises less."""
