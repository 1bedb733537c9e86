"""What training alone costs: the windows of `metrics.jsonl` leave evaluation and saving out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TrainingCost:
    """The cost of the steps that are written down.

    Args:
        seconds: Spent in training steps.
        images_per_second: Mean over that time.
        steps: How many they are.
    """

    seconds: float
    images_per_second: float
    steps: int


def training_cost(records: Iterable[Mapping[str, Any]]) -> TrainingCost | None:
    """Add up the windows of a run's records; None where there are none."""
    seconds, images, last = 0.0, 0.0, 0
    for line in (each for each in records if each["split"] == "train"):
        of_window = (line["step"] - last) * line["seconds_per_step"]
        seconds, images = seconds + of_window, images + of_window * line["images_per_second"]
        last = line["step"]
    return TrainingCost(seconds, images / seconds, last) if seconds > 0 else None
