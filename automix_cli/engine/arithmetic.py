"""How much arithmetic a step is, and how fast the machine can do arithmetic at all."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

_SIDE = {"cpu": 1024}
_SIDE_OF_ACCELERATORS = 8192


def count_flops(call: Callable[[], object]) -> int:
    """Count the floating-point operations of a call.

    Convolutions and matrix products count, which are nearly all; a multiplication and an addition
    are two.

    Source:
        `torch.utils.flop_counter`. No difference.
    """
    counter: Any = FlopCounterMode(display=False)
    counter.mod_tracker = _NoModules()
    with counter:
        call()
    return counter.get_total_flops()


class _NoModules:
    """Operations belong to the whole call.

    What tells modules apart hangs on their inputs, and fails where the gradient of one is asked
    for: PuzzleMix asks for that of the images.
    """

    parents = frozenset({"Global"})

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def matrix_product_ceiling(device: torch.device, dtype: torch.dtype, *, repeats: int = 25) -> float:
    """Floating-point operations per second of the fastest of a few products of square matrices.

    Each is taken as a product and as a 1x1 convolution, which on a CPU comes from another library
    (oneDNN): on an AMD EPYC that is twice as fast in float32, and what the networks reach.

    Args:
        device: Where to compute.
        dtype: Number format of the matrices.
        repeats: How often to try, after one that does not count.
    """
    side = _SIDE.get(device.type, _SIDE_OF_ACCELERATORS)
    left, right = (torch.ones(side, side, device=device, dtype=dtype) for _ in range(2))
    maps = left.view(2, side // 32, 16, side).permute(0, 3, 1, 2)  # n, c, h, w; channels last
    weight = right.view(side, side, 1, 1)
    products = (lambda: torch.mm(left, right), lambda: torch.conv2d(maps, weight))
    fastest = min(_seconds(product, device, repeats) for product in products)
    return 2 * side**3 / fastest


def _seconds(call: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Of the fastest of a few, after one that does not count."""
    taken: list[float] = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        call()
        if device.type != "cpu":
            torch.accelerator.synchronize(device)
        taken.append(time.perf_counter() - started)
    return min(taken[1:])
