"""How many images withstand an attack.

Legend: n images, c channels, h w pixels in [0, 1], k classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from automix_cli.evaluation.attacks import Attack, Predict, perturb

Draw: TypeAlias = Callable[[int], Tensor]
"""From the number of a restart to what is random in it, for the whole batch."""


class Chance(NamedTuple):
    """What is random about attacking one batch; None of what is not wanted."""

    start: Draw | None = None  # (n, c, h, w), in units of epsilon
    target: Draw | None = None  # (n,) classes to look like


class Outcome(NamedTuple):
    """What became of each image of a batch."""

    clean: Bool[Tensor, " n"]
    """Recognised without an attack."""

    robust: Bool[Tensor, " n"]
    """Recognised without an attack and after every restart."""

    attacked: Bool[Tensor, " n"]
    """Recognised after every restart; of images that were not attacked, False."""

    reached: Bool[Tensor, " n"]
    """Taken for the target class in some restart."""

    loss: Float[Tensor, " n"]
    """Cross-entropy after the last restart; of images that were not attacked then, 0."""


@torch.no_grad()
def attack_batch(
    predict: Predict,
    images: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
    attack: Attack,
    chance: Chance,
    *,
    every_image: bool,
) -> Outcome:
    """Attack a batch with all restarts.

    Args:
        predict: A classifier of pixels, in evaluation mode.
        images: Clean images.
        labels: Their classes.
        attack: What is allowed.
        chance: Random starts and targets of the batch, by restart.
        every_image: Attack all images, as the FGSM error of papers wants it; otherwise an image
            that is not recognised is not attacked (again).
    """
    clean = predict(images).argmax(dim=1) == labels
    attacked = torch.ones_like(clean) if every_image else clean.clone()
    reached, loss = torch.zeros_like(clean), torch.zeros(len(labels), device=images.device)
    for restart in range(attack.restarts):
        rows = torch.arange(len(labels)) if every_image else attacked.cpu().nonzero()[:, 0]
        if len(rows) == 0:
            break
        start = None if chance.start is None else chance.start(restart)[rows].to(images)
        goals = labels.cpu() if chance.target is None else chance.target(restart)
        rows, goals = rows.to(images.device), goals[rows].to(images.device)
        logits = predict(perturb(predict, images[rows], goals, attack, start)).float()
        predicted = logits.argmax(dim=1)
        attacked[rows] &= predicted == labels[rows]
        if chance.target is not None:
            reached[rows] |= predicted == goals
        loss[rows] = F.cross_entropy(logits, labels[rows], reduction="none")
    return Outcome(clean, clean & attacked, attacked, reached, loss)


def outcome_totals(outcome: Outcome) -> Float64[Tensor, " 6"]:
    """Count images, and what became of them, as a sum for `RobustAccuracy`."""
    sums = (each.double().cpu().sum() for each in outcome)
    return torch.stack([torch.tensor(len(outcome.clean), dtype=torch.float64), *sums])


@dataclass(frozen=True)
class RobustAccuracy:
    """Shares of all images, in [0, 1]; the meaning is that of `Outcome`."""

    num_images: int
    clean: float
    robust: float
    attacked: float
    reached: float
    loss: float  # mean, in nats; of attacks on every image


def robust_accuracy(totals: Float64[Tensor, " 6"]) -> RobustAccuracy:
    """Turn counts into shares.

    Raises:
        ValueError: if there are no images.
    """
    num_images, *counts = totals.tolist()
    if not num_images > 0 or math.isnan(num_images):
        raise ValueError("there is no image to attack")
    return RobustAccuracy(int(num_images), *(count / num_images for count in counts))
