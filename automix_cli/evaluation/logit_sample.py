"""Logits of some images of a test set, kept for what cannot be computed from sums.

Legend: m kept images, k classes.
"""

from __future__ import annotations

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from automix_cli.evaluation.totals import AddOverProcesses, Predictions

MOST_IMAGES = 10_000
"""Images kept at most, whatever the size of the test set."""

MOST_NUMBERS = 2**24
"""Logits kept at most: fewer images where there are many classes."""


class LogitSample:
    """Keeps the logits of images evenly spaced over a test set, in constant memory.

    Args:
        num_images: Size of the test set, over all processes.
        num_classes: k.
    """

    def __init__(self, num_images: int, num_classes: int) -> None:
        largest = max(1, min(MOST_IMAGES, MOST_NUMBERS // num_classes))
        self.every = -(-num_images // largest)
        self._num_seen = 0
        self._kept: list[Tensor] = []

    def keep(self, predictions: Predictions) -> Float64[Tensor, " 1"]:
        """Keep what belongs to the sample of a batch, as a statistic that counts what is kept."""
        n = len(predictions.labels)
        rows = torch.arange(-self._num_seen % self.every, n, self.every)
        self._num_seen += n
        labelled = (predictions.logits, predictions.labels[:, None].double())
        self._kept.append(torch.cat(labelled, dim=1)[rows].float())
        return torch.tensor([len(rows)], dtype=torch.float64)

    def gather(
        self, *, rank: int, num_ranks: int, add_over_processes: AddOverProcesses
    ) -> tuple[Float64[Tensor, "m k"], Int64[Tensor, " m"]]:
        """Give the logits and labels that all processes kept, in the order of their ranks.

        Raises:
            ValueError: if this process has seen no batch.
        """
        if not self._kept:
            raise ValueError("there is no image to keep logits of")
        own = torch.cat(self._kept)
        lengths = torch.zeros(num_ranks, dtype=torch.float64)
        lengths[rank] = len(own)
        ends = add_over_processes(lengths).cpu().cumsum(0).long()
        everyone = own.new_zeros(int(ends[-1]), own.shape[1])
        end = int(ends[rank])
        everyone[end - len(own) : end] = own
        everyone = add_over_processes(everyone).cpu().double()
        return everyone[:, :-1], everyone[:, -1].long()
