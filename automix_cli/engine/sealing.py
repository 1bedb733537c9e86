"""The hash that a file of weights carries of itself, so that no damage passes for a result.

Nothing else would notice: torch does not compare the checksums that its archives hold, and
safetensors has none. A `.pt` file is a zip archive, whose last record ends in a comment: here it
is the SHA-256 of every byte before it. A safetensors file has it among its metadata.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

MARK = b"automix sha256 "
COMMENT_BYTES = len(MARK) + 2 * hashlib.sha256().digest_size
END_RECORD = b"PK\5\6"
END_RECORD_BYTES = 22  # without a comment; its last two bytes are the comment's length
BLOCK_BYTES = 2**20


def seal(path: Path) -> None:
    """Append to a zip archive the hash of what it is, as its comment.

    Raises:
        OSError: it cannot be written.
        ValueError: it is no zip archive without a comment.
    """
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - END_RECORD_BYTES))
        record = file.read()
        if not record.startswith(END_RECORD) or record[-2:] != b"\0\0":
            raise ValueError(f"`{path}` does not end as a zip archive does")
        file.seek(end - 2)
        file.write(COMMENT_BYTES.to_bytes(2, "little"))
        digest = _digest(file, end)
        file.seek(end)
        file.write(MARK + digest)


def is_sealed(path: Path) -> bool:
    """Whether a file carries a hash of itself, be it right or wrong."""
    with path.open("rb") as file:
        return _comment(file).startswith(MARK)


def check_seal(path: Path) -> None:
    """Compare a file with the hash that it carries, if it carries one.

    Raises:
        OSError: it cannot be read.
        ValueError: the file is not what its hash says.
    """
    with path.open("rb") as file:
        comment = _comment(file)
        start = file.tell() - len(comment)
        if comment.startswith(MARK) and _digest(file, start) != comment[len(MARK) :]:
            raise ValueError("its content is not what its SHA-256 says")


def _comment(file: BinaryIO) -> bytes:
    """The end of a file, where the hash would be."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - COMMENT_BYTES))
    return file.read()


def _digest(file: BinaryIO, num_bytes: int) -> bytes:
    """Hash the beginning of a file, as hexadecimal digits."""
    file.seek(0)
    digest = hashlib.sha256()
    while num_bytes > 0:
        block = file.read(min(BLOCK_BYTES, num_bytes))
        if not block:
            break
        digest.update(block)
        num_bytes -= len(block)
    return digest.hexdigest().encode("ascii")


def digest_of(weights: Mapping[str, Tensor], said: Mapping[str, Any]) -> str:
    """Hash named tensors and what is said of them, whatever their order.

    Args:
        weights: By name, on the CPU.
        said: Plain values; an entry `sha256` is left out.
    """
    kept = {name: each for name, each in said.items() if name != "sha256"}
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True).encode("utf-8"))
    for name in sorted(weights):
        tensor = weights[name].detach().contiguous()
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode("utf-8"))
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
