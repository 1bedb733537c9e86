"""Sums over a test set: one pass over the images, memory that does not grow with their number.

A statistic is a function from the predictions for one batch to a tensor of sums. Sums of batches
add up, and so do those of processes that share the images; what is wanted (an accuracy, a
calibration error) is computed from the total at the end.

Legend: n images, k classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float64, Int64
from torch import Tensor


class NotFiniteError(ValueError):
    """A network answered with NaN or infinity, which is neither right nor wrong."""


class Predictions(NamedTuple):
    """What a classifier says of one batch, on the CPU: not every accelerator has float64."""

    logits: Float64[Tensor, "n k"]
    log_probabilities: Float64[Tensor, "n k"]
    labels: Int64[Tensor, " n"]


Statistic: TypeAlias = Callable[[Predictions], Tensor]
AddOverProcesses: TypeAlias = Callable[[Tensor], Tensor]


def finite(values: Tensor, name: str = "outputs") -> Tensor:
    """Give back values `(n, ...)`, such as logits, if they can be judged; waits for the device.

    Args:
        values: One or more numbers of each image.
        name: What they are, for the error.

    Raises:
        NotFiniteError: they hold NaN or infinity.
    """
    wrong = int((~torch.isfinite(values.detach())).flatten(1).any(dim=1).sum())
    if wrong:
        raise NotFiniteError(f"the {name} for {wrong} of {len(values)} images are not finite")
    return values


def predictions(logits: Tensor, labels: Tensor) -> Predictions:
    """Bring logits `(n, k)` and labels `(n,)` of any type and device into the form above.

    Raises:
        NotFiniteError: the logits hold NaN or infinity.
    """
    logits = finite(logits.detach().cpu().double())
    return Predictions(logits, logits.log_softmax(dim=1), labels.cpu().long())


def sums_in_cells(
    cells: Int64[Tensor, " n"], values: Float64[Tensor, " n"], num_cells: int
) -> Float64[Tensor, " {num_cells}"]:
    """Add values up by the cell that each one is in.

    Of no values torch counts in integers, which another process would take for floating-point
    numbers when they are added to its own: hence the conversion, which changes nothing else.
    """
    return torch.bincount(cells, values, minlength=num_cells).double()


def add_nothing(total: Tensor) -> Tensor:
    """What adding up over the processes is when there is only one."""
    return total


@torch.no_grad()
def accumulate(
    predict: Callable[[Tensor], Mapping[str, Tensor]],
    batches: Iterable[tuple[Tensor, Tensor]],
    statistics: Mapping[str, Statistic],
    *,
    add_over_processes: AddOverProcesses = add_nothing,
) -> dict[str, dict[str, Tensor]]:
    """Add up every statistic of every head that `predict` answers for.

    Args:
        predict: Images (n, c, h, w) to logits (n, k) by name of head.
        batches: Images and labels (n,); each process brings its part of the test set.
        statistics: By name.
        add_over_processes: Adds a tensor up over the processes that share the test set.

    Returns:
        By head, then by statistic, the sum over all images.

    Raises:
        ValueError: if there are no images.
        NotFiniteError: logits hold NaN or infinity.
    """
    sums: dict[str, dict[str, Tensor]] = {}
    for images, labels in batches:
        for head, logits in predict(images).items():
            scored = predictions(logits, labels)
            totals = sums.setdefault(head, {})
            for name, statistic in statistics.items():
                added = statistic(scored)
                totals[name] = totals[name] + added if name in totals else added
    if not sums:
        raise ValueError("there is no image to measure on")
    return {
        head: {name: add_over_processes(total) for name, total in totals.items()}
        for head, totals in sums.items()
    }
