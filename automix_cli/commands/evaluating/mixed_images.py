"""`automix eval --mixed` and `--mixed-by`: a network on mixed images, the same for all networks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from automix_cli.commands.evaluating.judged_images import Viewer
from automix_cli.commands.masks.methods import Source, learned_pairs
from automix_cli.commands.trained import rebuild
from automix_cli.data.datasets import Images
from automix_cli.errors import CheckpointError, SettingsError
from automix_cli.evaluation.mixed import (
    NUM_SHARE_BINS,
    MixedAccuracy,
    mixed_accuracies,
    mixed_totals,
)
from automix_cli.evaluation.totals import AddOverProcesses
from automix_cli.method.mixers import MIXERS, Mixture
from automix_cli.method.mixers.sampling import sample_lam, sample_partners
from automix_cli.method.pairing import Pairing
from automix_cli.method.rivals import RIVALS
from automix_cli.randomness import Purpose, stream
from automix_cli.reporting.progress import say
from automix_cli.settings.mix import ALPHAS, LEARNED

IMAGES_PER_BLOCK = 100
"""Images that are mixed with one another at one ratio; fixed, so that mixtures are too."""

ALWAYS = ("mixup", "cutmix")
NEVER = ("vanilla", "mixup_or_cutmix")
"""One mixes nothing; the other mixes by two of which each has a row of its own."""


BlockMixer = Callable[[torch.Tensor, np.random.Generator], Mixture]
"""From a block of normalised images to their mixtures, at a ratio from Beta(1, 1)."""


def chosen_mixers(own: Source, *, usual: bool, named: Sequence[str]) -> dict[str, BlockMixer]:
    """What to mix images by: Mixup, CutMix and the network's own method, or those named.

    Args:
        own: The network that is judged, and its checkpoint.
        usual: Whether the usual ones are wanted; what the network was trained with is left out,
            and that is said, if it needs what the checkpoint has not.
        named: Other methods.

    Raises:
        SettingsError: a method is unknown, or needs a look of a network at each image.
        CheckpointError: the masks of a method are learned, and the checkpoint has no mix block of
            it.
    """
    mixers: dict[str, BlockMixer] = {}
    if usual:
        mixers = {name: mixer_of(name, own) for name in ALWAYS}
        if own.method not in (*ALWAYS, *NEVER):
            try:
                mixers[own.method] = mixer_of(own.method, own)
            except (CheckpointError, SettingsError) as problem:
                say(f"without the run's own mixing: {problem.message}")
    return mixers | {name: mixer_of(name, own) for name in named if name not in mixers}


def mixer_of(method: str, own: Source) -> BlockMixer:
    """One method, ready to mix; see `chosen_mixers`."""
    if method in LEARNED:
        return learned_mixer(method, own)
    known = [name for name in MIXERS if name not in NEVER]
    if method not in known:
        reason = "mixes nothing new" if method in NEVER else "is unknown"
        if method in ALPHAS and method not in NEVER:
            reason = "looks at each image with a network in training"
        raise SettingsError(
            f"images cannot be mixed by `{method}` here: it {reason}",
            hint=f"--mixed-by takes {', '.join((*known, *LEARNED))}",
        )
    options = {"alpha": 1.0} if RIVALS[method].has_alpha else {}
    return partial(MIXERS[method], **options)


def learned_mixer(method: str, own: Source) -> BlockMixer:
    """A method with a mix block: that of the checkpoint, which sees by the momentum classifier."""
    if method != own.method:
        raise CheckpointError(
            f"the masks of `{method}` are learned, and `{own.path}` was trained with"
            f" `{own.method}`",
            hint=f"evaluate a run of `{method}`, or name other methods by `--mixed-by`",
        )
    device = next(own.classifier.parameters()).device
    sees = own
    if own.trained.network != "momentum":
        trained = own.file.network("momentum")
        sees = replace(own, trained=trained, classifier=rebuild(trained, own.settings).eval())
    pairs = learned_pairs(method, [replace(sees, classifier=sees.classifier.to(device))], device)

    def mix(images: torch.Tensor, rng: np.random.Generator) -> Mixture:
        lam, perm = sample_lam(rng, 1.0), sample_partners(rng, images)  # those of Mixup
        ratios = torch.full((len(images),), lam, device=images.device)
        return pairs.mix(images, Pairing(ratios, perm))

    return mix


@torch.no_grad()
def mixed_record(
    network: torch.nn.Module,
    batches: Iterable[tuple[torch.Tensor, torch.Tensor]],
    mix: BlockMixer,
    first_block: int,
    *,
    add_over_processes: AddOverProcesses,
) -> dict[str, Any]:
    """Accuracy on the mixtures of one method, over all and by the larger share.

    Ratios are drawn from Beta(1, 1), so that all are as likely, for every method that has an
    `alpha`. A share is what the label of an image counts: of masks, their area.

    Args:
        network: From normalised images to logits.
        batches: Blocks of images and labels, in an order that does not follow the classes.
        mix: Mixes them.
        first_block: Number of the first block of this process.
        add_over_processes: Adds a tensor up over the processes.
    """
    totals = torch.zeros(5, NUM_SHARE_BINS, dtype=torch.float64)
    for number, (images, labels) in enumerate(batches):
        rng = stream(Purpose.MIXED, 1, first_block + number)
        mixture = mix(images, rng)
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
