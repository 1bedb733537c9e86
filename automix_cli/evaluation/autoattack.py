"""AutoAttack, by the package `pyautoattack`, held to the same rules as our own attacks.

Legend: n images, c channels, h w pixels in [0, 1], k classes.
"""

from __future__ import annotations

import importlib.util
import logging
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from automix_cli.evaluation.attacks import Attack, check_bounds

FEWEST_CLASSES = 4
"""Its targeted loss compares the four largest logits."""


def is_installed() -> bool:
    """Say whether the package is there; it is no dependency."""
    return importlib.util.find_spec("pyautoattack") is not None


def withstands_autoattack(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
    attack: Attack,
    *,
    seed: int,
    batch_size: int,
) -> Bool[Tensor, " n"]:
    """Run the standard version and say which images are recognised before and after it.

    APGD-CE, targeted APGD-DLR, targeted FAB, then Square with 5,000 queries; 9 target classes, or
    all others where there are fewer. The package draws from torch's global generator, whose state
    is given back. Unlike our own attacks its result depends on `batch_size`, through what it draws.

    Args:
        model: A classifier of pixels, in evaluation mode.
        images: Clean images.
        labels: Their classes.
        attack: Gives norm and epsilon; the rest is AutoAttack's own.
        seed: Of everything random in it.
        batch_size: Images at a time.

    Raises:
        ValueError: if there are fewer than 4 classes, or an attacked image left its bounds.

    Source:
        Croce and Hein (2020), `pyautoattack` 0.2.0, version "standard". No difference with 10
        classes or more.
    """
    from pyautoattack import AutoAttack

    logging.getLogger("auto-attack").setLevel(logging.ERROR)
    with torch.no_grad():
        num_classes = model(images[:1]).shape[1]
    if num_classes < FEWEST_CLASSES:
        raise ValueError(f"AutoAttack needs at least {FEWEST_CLASSES} classes, got {num_classes}")
    norms: dict[str, Any] = {"linf": "Linf", "l2": "L2"}
    devices = [images.device] if images.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        ensemble = AutoAttack(
            model, norm=norms[attack.norm], eps=attack.epsilon, seed=seed, device=images.device
        )
        targets = min(9, num_classes - 1)
        ensemble.apgd_targeted.n_target_classes = ensemble.fab.n_target_classes = targets
        # a view or another memory format makes the package fail
        attacked, _ = ensemble.run_standard_evaluation(
            images.contiguous(), labels, batch_size=batch_size
        )
    check_bounds(attacked, images, attack)
    with torch.no_grad():
        clean, after = (model(each).argmax(dim=1) == labels for each in (images, attacked))
    return clean & after
