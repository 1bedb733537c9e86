"""What is written down of one head of a network, the same in training and afterwards."""

from __future__ import annotations

from typing import Any

from automix_cli.evaluation.accuracy import Accuracy


def accuracy_record(accuracy: Accuracy) -> dict[str, Any]:
    """An accuracy as plain values, shares as fractions."""
    return {
        "num_images": accuracy.num_images,
        "top1": accuracy.top1,
        "top1_interval": list(accuracy.top1_interval()),
        "top5": accuracy.top5,
        "nll": accuracy.nll,
        "ece": accuracy.ece,
    }
