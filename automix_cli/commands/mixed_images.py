"""`automix eval --mixed`: how a network does on mixed images, with the same mixtures for all."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from automix_cli.commands.judged_images import Viewer
from automix_cli.data.datasets import Images
from automix_cli.evaluation.mixed import (
    NUM_SHARE_BINS,
    MixedAccuracy,
    mixed_accuracies,
    mixed_totals,
)
from automix_cli.evaluation.totals import AddOverProcesses
from automix_cli.method.mixers import MIXERS, Mixture
from automix_cli.method.rivals import RIVALS
from automix_cli.randomness import Purpose, stream

IMAGES_PER_BLOCK = 100
"""Images that are mixed with one another at one ratio; fixed, so that mixtures are too."""

ALWAYS = ("mixup", "cutmix")
NEVER = ("vanilla", "mixup_or_cutmix")
"""One mixes nothing; the other mixes by two of which each has a row of its own."""


def methods_for(trained_with: str) -> tuple[str, ...]:
    """Mixup, CutMix, and what the network was trained with, if that needs no look of a network."""
    own = trained_with in MIXERS and trained_with not in (*ALWAYS, *NEVER)
    return (*ALWAYS, trained_with) if own else ALWAYS


@torch.no_grad()
def mixed_record(
    network: torch.nn.Module,
    batches: Iterable[tuple[torch.Tensor, torch.Tensor]],
    method: str,
    first_block: int,
    *,
    add_over_processes: AddOverProcesses,
) -> dict[str, Any]:
    """Accuracy on the mixtures of one method, over all and by the larger share.

    Ratios are drawn from Beta(1, 1), so that all shares are as likely, for every method that has
    an `alpha`.

    Args:
        network: From normalised images to logits.
        batches: Blocks of images and labels, in an order that does not follow the classes.
        method: One of `MIXERS`.
        first_block: Number of the first block of this process.
        add_over_processes: Adds a tensor up over the processes.
    """
    options = {"alpha": 1.0} if RIVALS[method].has_alpha else {}
    totals = torch.zeros(5, NUM_SHARE_BINS, dtype=torch.float64)
    for number, (images, labels) in enumerate(batches):
        rng = stream(Purpose.MIXED, 1, first_block + number)
        mixture: Mixture = MIXERS[method](images, rng, **options)
        share = mixture.first_weight / (mixture.first_weight + mixture.second_weight)
        logits = network(mixture.images)
        totals += mixed_totals(logits, labels, labels[mixture.perm], share)
    overall, by_share = mixed_accuracies(add_over_processes(totals).cpu())
    width = 0.5 / NUM_SHARE_BINS
    return {
        **plain(overall),
        "by_larger_share": [
            {"from": 0.5 + place * width, "to": 0.5 + (place + 1) * width, **plain(each)}
            for place, each in enumerate(by_share)
        ],
    }


def plain(accuracy: MixedAccuracy) -> dict[str, Any]:
    """Shares as JSON has them: null where there was nothing to count."""
    return {name: None if math.isnan(value) else value for name, value in asdict(accuracy).items()}


def blocks(
    test: Images, viewer: Viewer, *, rank: int, num_ranks: int
) -> tuple[Iterable[tuple[torch.Tensor, torch.Tensor]], int]:
    """This process's blocks of the shuffled test images, and the number of the first of them."""
    order = stream(Purpose.MIXED, 0, 0).permutation(len(test))
    num_blocks = -(-len(test) // IMAGES_PER_BLOCK)
    begin, end = (num_blocks * part // num_ranks for part in (rank, rank + 1))
    own = test.take(np.asarray(order[begin * IMAGES_PER_BLOCK : end * IMAGES_PER_BLOCK]))
    return viewer.batches(own, IMAGES_PER_BLOCK), begin
