"""Adversarial attacks by gradient: FGSM, PGD and MI-FGSM, in pixel space.

One loop serves all three. A perturbation has norm at most `epsilon` in units of the pixel range,
and the attacked image stays in [0, 1]; both are checked on every batch.

Why it is like this: OpenMixup's PGD multiplies the step by the standard deviation of the channels
and lets the centre of its ball move, so that images leave the ball (its FGSM is right). Here the
classifier takes pixels and normalises inside, and the ball is around the clean image.

Legend: n images, c channels, h w pixels in [0, 1], k classes. A start is in units of epsilon.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from automix_cli.evaluation.totals import finite

Norm: TypeAlias = Literal["linf", "l2"]
Predict: TypeAlias = Callable[[Tensor], Tensor]
"""From pixels (n, c, h, w) in [0, 1] to logits (n, k)."""

SMALLEST = 1e-12
"""Keeps a gradient of zero from being divided by its size."""

ROUNDING = 2e-6
"""How far float32 may carry a perturbation beyond epsilon, in units of the pixel range."""


@dataclass(frozen=True, kw_only=True)
class Attack:
    """What an attack may do. Sizes are in units of the pixel range: 8/255 is eight levels."""

    epsilon: float
    """Largest norm of the perturbation, > 0; at most 1 for `linf`."""

    norm: Norm = "linf"
    """`linf`: the largest change of a value; `l2`: the root of the summed squares of an image."""

    steps: int = 1
    """Gradient steps."""

    step_size: float | None = None
    """Norm of a step; None: a fourth of `epsilon`, and all of it where there is one step."""

    momentum: float | None = None
    """Share of the earlier gradients kept at each step (MI-FGSM has 1.0); None: none."""

    starts_at_random: bool = False
    """Whether each restart begins at a random place in the ball."""

    restarts: int = 1
    """How often it is tried; an image is robust if it withstands every time."""

    targeted: bool = False
    """Whether it makes the image look like a chosen class, not just like any wrong one."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        largest = 1 if self.norm == "linf" else math.inf
        if self.norm not in get_args(Norm):
            raise ValueError(f"norm must be one of {get_args(Norm)}, got {self.norm!r}")
        if not 0 < self.epsilon <= largest or math.isinf(self.epsilon):
            limit = "in (0, 1]" if self.norm == "linf" else "greater than 0 and finite"
            raise ValueError(
                f"epsilon must be {limit}, in units of the pixel range, got {self.epsilon:g}"
            )
        if self.steps < 1 or self.restarts < 1:
            raise ValueError(
                f"steps and restarts must be at least 1, got {self.steps} and {self.restarts}"
            )
        if self.step_size is not None and not 0 < self.step_size < math.inf:
            raise ValueError(f"step_size must be greater than 0, got {self.step_size}")
        if self.momentum is not None and not 0 <= self.momentum < math.inf:
            raise ValueError(f"momentum must be at least 0, got {self.momentum}")

    @property
    def size_of_step(self) -> float:
        """Norm of a step."""
        if self.step_size is not None:
            return self.step_size
        return self.epsilon if self.steps == 1 else self.epsilon / 4


def perturb(
    predict: Predict,
    images: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
    attack: Attack,
    start: Float[Tensor, "n c h w"] | None = None,
) -> Float[Tensor, "n c h w"]:
    """Attack each image once.

    Args:
        predict: A classifier of pixels, in evaluation mode.
        images: Clean images.
        labels: Their classes; of a targeted attack, the classes they shall look like.
        attack: What is allowed.
        start: Where to begin, in units of epsilon; None: at the clean image.

    Returns:
        Images within `epsilon` of the clean ones, in [0, 1].

    Raises:
        ValueError: if the classifier gives no gradient, or an image left its bounds.

    Source:
        FGSM: Goodfellow et al. (2015). PGD: Madry et al. (2018). MI-FGSM: Dong et al. (2018). No
        difference from torchattacks 3.5.1, except that losses are summed over the batch instead of
        averaged (an image's step does not depend on its company), and that a gradient of zero
        moves nothing where MI-FGSM would divide by it.
    """
    attacked = images if start is None else (images + attack.epsilon * start).clamp(0, 1)
    memory = torch.zeros_like(images)
    for _ in range(attack.steps):
        gradient = loss_gradient(predict, attacked, labels)
        if attack.targeted:
            gradient = -gradient
        if attack.momentum is not None:
            size = gradient.abs().mean(dim=(1, 2, 3), keepdim=True).clamp(min=SMALLEST)
            memory = gradient / size + attack.momentum * memory
            gradient = memory
        moved = attacked + attack.size_of_step * _direction(gradient, attack.norm)
        attacked = _project(moved, images, attack)
    check_bounds(attacked, images, attack)
    return attacked


def loss_gradient(
    predict: Predict, images: Float[Tensor, "n c h w"], labels: Int64[Tensor, " n"]
) -> Float[Tensor, "n c h w"]:
    """Give the gradient of the cross-entropy of each image by its pixels.

    Raises:
        ValueError: if logits do not depend on the images in a way that torch can follow.
        NotFiniteError: the gradient holds NaN or infinity.
    """
    with torch.enable_grad():
        pixels = images.detach().requires_grad_()
        loss = F.cross_entropy(predict(pixels), labels, reduction="sum")
        if not loss.requires_grad:
            raise ValueError(
                "the model gives no gradient with respect to its images, which an attack needs"
            )
        (gradient,) = torch.autograd.grad(loss, pixels, allow_unused=True)
    if gradient is None:
        raise ValueError("the model's outputs do not depend on its images")
    return finite(gradient, "gradients")  # the sign of NaN is 0: the attack would seem to fail


def _direction(gradient: Float[Tensor, "n c h w"], norm: Norm) -> Float[Tensor, "n c h w"]:
    """The step of norm 1 that raises the loss most."""
    if norm == "linf":
        return gradient.sign()
    return gradient / sizes(gradient).clamp(min=SMALLEST)


def _project(
    moved: Float[Tensor, "n c h w"], images: Float[Tensor, "n c h w"], attack: Attack
) -> Float[Tensor, "n c h w"]:
    """The nearest point of the ball around the clean image, cut to [0, 1]."""
    change = moved - images
    if attack.norm == "linf":
        change = change.clamp(-attack.epsilon, attack.epsilon)
    else:
        change = change * (attack.epsilon / sizes(change).clamp(min=SMALLEST)).clamp(max=1)
    return (images + change).clamp(0, 1)


def sizes(changes: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 1 1 1"]:
    """Give the Euclidean norm of each image."""
    return changes.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


def check_bounds(
    attacked: Float[Tensor, "n c h w"], images: Float[Tensor, "n c h w"], attack: Attack
) -> None:
    """Make sure that an attack kept to its rules.

    Raises:
        ValueError: if a perturbation is larger than epsilon, or a pixel is outside [0, 1].
    """
    if len(images) == 0:
        return
    change = attacked - images
    size = change.abs().max() if attack.norm == "linf" else sizes(change).max()
    if not float(size) <= attack.epsilon + ROUNDING:
        raise ValueError(
            f"a perturbation has {attack.norm} norm {float(size)}, allowed is {attack.epsilon}"
        )
    if not (float(attacked.min()) >= 0 and float(attacked.max()) <= 1):
        span = f"[{float(attacked.min())}, {float(attacked.max())}]"
        raise ValueError(f"attacked images must stay in [0, 1], got values in {span}")


def random_start(
    rngs: Sequence[np.random.Generator], shape: tuple[int, int, int], norm: Norm
) -> Float[Tensor, "n c h w"]:
    """Draw a place in the ball of size 1 for each image, from a generator of its own.

    `linf`: uniform. `l2`: a uniform direction and a uniform radius, as in torchattacks.
    """
    starts = np.empty((len(rngs), *shape), dtype=np.float32)
    for place, rng in enumerate(rngs):
        if norm == "linf":
            starts[place] = rng.uniform(-1, 1, size=shape)
        else:
            direction = rng.normal(size=shape)
            starts[place] = direction * (rng.uniform() / np.linalg.norm(direction))
    return torch.from_numpy(starts)


def random_targets(
    rngs: Sequence[np.random.Generator], labels: Int64[Tensor, " n"], num_classes: int
) -> Int64[Tensor, " n"]:
    """Draw a class for each image that is not its own, all others being as likely.

    Raises:
        ValueError: if there is no other class.
    """
    if num_classes < 2:
        raise ValueError("a targeted attack needs at least 2 classes")
    steps = torch.tensor([int(rng.integers(1, num_classes)) for rng in rngs], dtype=torch.int64)
    return (labels.cpu() + steps) % num_classes
