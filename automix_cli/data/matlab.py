"""Reads the MATLAB files (version 5 to 7) in which some data sets keep their labels.

Numbers, text, cells and structures are read; objects, functions and sparse matrices are refused.
Nothing in such a file is ever run, and what it unpacks to is bounded. It takes the place of
`scipy.io.loadmat`, which four data sets would need and nothing else here.

Source:
    MATLAB, "MAT-File Format", level 5. Left out: version 7.3 (HDF5), complex numbers' imaginary
    part, objects, sparse matrices.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_BYTES = 2**29
"""A compressed variable that unpacks to more is refused."""

_DEEPEST = 16
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCTURE, _TEXT = 1, 2, 4
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"}
_STORED |= {12: "i8", 13: "u8"}
"""How numbers are stored, by type of element."""
_ENCODINGS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
"""How letters are stored, by type of element."""
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4"}
_CLASSES |= {14: "i8", 15: "u8"}
"""What numbers are, by class of array."""


@dataclass
class _Reader:
    """A place in the bytes of a file."""

    content: memoryview
    order: str
    position: int = 0

    def element(self) -> tuple[int, memoryview]:
        """Read the next element: its type and its bytes."""
        first, size = struct.unpack(f"{self.order}II", self.take(8))
        if first >> 16:  # a small element: its size beside its type, its bytes in the tag
            kind, size = first & 0xFFFF, first >> 16
            if size > 4:
                raise ValueError("a small element of more than 4 bytes")
            return kind, self.content[self.position - 4 : self.position - 4 + size]
        content = self.take(size)
        if first != _COMPRESSED:
            self.position = min(self.position + -size % 8, len(self.content))
        return first, content

    def take(self, size: int) -> memoryview:
        """Read so many bytes."""
        if self.position + size > len(self.content):
            raise ValueError("it ends too early")
        self.position += size
        return self.content[self.position - size : self.position]

    def inside(self, content: memoryview | bytes) -> "_Reader":
        """Read what an element holds."""
        return _Reader(memoryview(content), self.order)

    def numbers(self) -> np.ndarray:
        """Read an element of numbers `(n,)`."""
        kind, content = self.element()
        if kind not in _STORED:
            raise ValueError(f"numbers of the unknown type {kind}")
        return np.frombuffer(content, dtype=f"{self.order}{_STORED[kind]}")


def read_matlab(content: bytes) -> dict[str, Any]:
    """Read the variables of a file.

    Args:
        content: The file's bytes.

    Returns:
        By name: an array of numbers as a numpy array, text as `str` (one for each row if there are
        several), cells as a list and an array of structures as a list of dictionaries, both in
        column order.

    Raises:
        ValueError: if the bytes are no such file, or hold what is not read here.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise ValueError("not a MATLAB file of version 5 to 7")
    try:
        return dict(_variables(_Reader(memoryview(content), order, 128)))
    except (zlib.error, struct.error, LookupError, UnicodeError, OverflowError) as error:
        raise ValueError(f"a damaged MATLAB file: {error}") from error


def _variables(reader: _Reader) -> Iterator[tuple[str, Any]]:
    while reader.position < len(reader.content):
        kind, content = reader.element()
        if kind == _COMPRESSED:
            unpacking = zlib.decompressobj()
            unpacked = unpacking.decompress(content, MOST_BYTES)
            if not unpacking.eof:
                raise ValueError("a compressed variable that is cut off or too large")
            kind, content = reader.inside(unpacked).element()
        if kind != _MATRIX:
            raise ValueError(f"a variable of the unknown type {kind}")
        yield _matrix(reader.inside(content), 0)


def _matrix(reader: _Reader, depth: int) -> tuple[str, Any]:
    """Read an array of any class: its name and its value."""
    if depth > _DEEPEST:
        raise ValueError(f"arrays in arrays more than {_DEEPEST} deep")
    if not reader.content:
        return "", np.empty((0, 0))
    array_class = int(reader.numbers()[0]) & 0xFF
    shape = _shape(reader, holds_arrays=array_class in (_CELL, _STRUCTURE))
    name = str(reader.element()[1], "utf-8")
    if array_class == _CELL:
        return name, [_inner(reader, depth) for _ in range(math.prod(shape))]
    if array_class == _STRUCTURE:
        return name, _structures(reader, math.prod(shape), depth)
    if array_class == _TEXT:
        return name, _text(reader, shape)
    if array_class not in _CLASSES:
        raise ValueError(f"`{name}` is an array of the class {array_class}, which is not read")
    numbers = reader.numbers()
    if len(numbers) != math.prod(shape):
        raise ValueError(f"`{name}` holds {len(numbers)} numbers and has the shape {shape}")
    return name, numbers.astype(_CLASSES[array_class]).reshape(shape, order="F")


def _shape(reader: _Reader, *, holds_arrays: bool) -> tuple[int, ...]:
    shape = tuple(int(size) for size in reader.numbers())
    if min(shape, default=-1) < 0 or (holds_arrays and math.prod(shape) > len(reader.content)):
        raise ValueError(f"an array of the shape {shape}")
    return shape


def _inner(reader: _Reader, depth: int) -> Any:
    kind, content = reader.element()
    if kind != _MATRIX:
        raise ValueError(f"an array that holds the type {kind}")
    return _matrix(reader.inside(content), depth + 1)[1]


def _structures(reader: _Reader, count: int, depth: int) -> list[dict[str, Any]]:
    length = int(reader.numbers()[0])
    names = bytes(reader.element()[1])
    if length < 1 or not names:
        raise ValueError("structures without fields")
    fields = [
        names[start : start + length].split(b"\0")[0].decode("ascii")
        for start in range(0, len(names), length)
    ]
    return [{field: _inner(reader, depth) for field in fields} for _ in range(count)]


def _text(reader: _Reader, shape: tuple[int, ...]) -> str | list[str]:
    kind, content = reader.element()
    letters = str(content, _encoding(kind, reader.order))
    num_rows = shape[0] if shape else 0
    if num_rows < 2:
        return letters
    if math.prod(shape) != len(letters):
        raise ValueError(f"text of {len(letters)} letters and the shape {shape}")
    return [letters[row::num_rows] for row in range(num_rows)]


def _encoding(kind: int, order: str) -> str:
    if kind not in _ENCODINGS:
        raise ValueError(f"text of the unknown type {kind}")
    encoding = _ENCODINGS[kind]
    ends = {"<": "-le", ">": "-be"}[order]
    return encoding if encoding in ("latin-1", "utf-8") else encoding + ends
