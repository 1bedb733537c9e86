"""Reads the python pickles in which CIFAR is published, and runs nothing that they hold.

A pickle is a program: unpickling one calls whatever functions it names. CIFAR's files name three
(numpy's array constructor, `ndarray` and `dtype`), so each of these names is answered with a
harmless stand-in and every other name is refused. Not even numpy's own unpickling is entered: an
array is rebuilt here from its shape and its bytes, and only unsigned bytes are accepted.
"""

import io
import math
import pickle
import pickletools
from typing import Any

import numpy as np


class _DtypeRecord:
    """Stands in for `numpy.dtype`; remembers the code, for instance `u1`."""

    def __init__(self, code: str | bytes, *_: object) -> None:
        self.code = _text(code)

    def __setstate__(self, state: object) -> None:
        """Ignore byte order and alignment, which single bytes have not."""


class _ArrayRecord:
    """Stands in for `numpy.ndarray`; remembers what an array is made of."""

    def __init__(self, *_: object) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def to_array(self) -> np.ndarray:
        """Rebuild the array `(...)` of uint8, read only, without copying its bytes."""
        if len(self.state) != 5:
            raise pickle.UnpicklingError("an array without content")
        _, shape, dtype, is_fortran_order, content = self.state
        if not isinstance(dtype, _DtypeRecord) or dtype.code not in ("u1", "|u1", "uint8"):
            raise pickle.UnpicklingError("an array of something else than unsigned bytes")
        if is_fortran_order or not isinstance(content, bytes) or math.prod(shape) != len(content):
            raise pickle.UnpicklingError(f"an array whose content does not fill its shape {shape}")
        return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _begin_array(*_: object) -> _ArrayRecord:
    return _ArrayRecord()


_STAND_INS = {
    ("numpy.core.multiarray", "_reconstruct"): _begin_array,
    ("numpy._core.multiarray", "_reconstruct"): _begin_array,
    ("numpy", "ndarray"): _ArrayRecord,
    ("numpy", "dtype"): _DtypeRecord,
}


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        try:
            return _STAND_INS[module_name, global_name]
        except KeyError:
            name = f"{module_name}.{global_name}"
            raise pickle.UnpicklingError(f"it asks for `{name}`, which CIFAR has not") from None

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError(f"it asks for the outside object {pid!r}")


# What unpickling broken input raises. The pickle module promises no complete list, so this is its
# documented one widened by what truncated and altered files were seen to raise.
_BROKEN = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)


def read_cifar_pickle(content: bytes) -> dict[str, Any]:
    """Read one CIFAR file.

    Args:
        content: The file's bytes.

    Returns:
        Its entries. Arrays are uint8 and read only; lists of bytes are lists of text.

    Raises:
        ValueError: if the bytes are no pickle, no dictionary, or name anything but plain arrays.
    """
    try:
        _refuse_far_memory(content)
        entries = _RestrictedUnpickler(io.BytesIO(content), encoding="bytes").load()
        if not isinstance(entries, dict):
            raise pickle.UnpicklingError(f"it holds a {type(entries).__name__}, not a dictionary")
        return {_text(key): _plain(value) for key, value in entries.items()}
    except _BROKEN as error:
        raise ValueError(f"not a CIFAR pickle: {error or type(error).__name__}") from error


def _refuse_far_memory(content: bytes) -> None:
    """Refuse to remember values under numbers that no file counts up to: all below take memory.

    Raises:
        pickle.UnpicklingError: it asks for that.
    """
    for operation, argument, _ in pickletools.genops(content):
        if operation.name.endswith("PUT") and int(argument or 0) > len(content):
            raise pickle.UnpicklingError(f"it numbers a value {argument}")


def _plain(value: Any) -> Any:
    """Turn a stand-in into its array, and bytes, alone or in a list, into text."""
    if isinstance(value, _ArrayRecord):
        return value.to_array()
    if isinstance(value, list):
        return [_text(item) if isinstance(item, bytes) else item for item in value]
    return _text(value) if isinstance(value, bytes) else value


def _text(value: Any) -> Any:
    return value.decode("latin-1") if isinstance(value, bytes) else value
