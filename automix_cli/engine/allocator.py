"""Memory that a training step or a batch frees stays with the program, for the next one.

glibc gives large blocks back to the system as soon as they are free, and a step frees all its
activations: at the next step the system hands out the same pages again, each filled with zeros
first. That is a tenth of a step's time on a CPU. Kept blocks cost nothing but that a run holds
its peak of memory until it ends. Numbers do not change.

Source:
    mallopt(3); the constants are those of glibc's malloc.h.
"""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_SETTINGS = {
    _MMAP_THRESHOLD: 2**30,  # smaller blocks come from the heap, which is not given back ...
    _TRIM_THRESHOLD: 2**31 - 1,  # ... until so much of it is free at its end
    _TOP_PAD: 2**26,  # and grows by so much at a time
}


def keep_freed_memory() -> bool:
    """Ask the C library to keep what is freed.

    Returns:
        Whether it does; others than glibc have no such switch, and nothing is changed.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        change = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(change(name, value) == 1 for name, value in _SETTINGS.items())
