"""Who is mixed with whom, and how much: everything random in a step of AutoMix.

All randomness of the method is drawn here, on the CPU, from a generator that is handed in. What
follows (`masks`, `mix_block`, `automix`) is a deterministic function of these draws.

Legend: n images. `lam` is the share of the first image, in [0, 1].
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from automix_cli.method.batch_parts import num_mixed
from automix_cli.method.options import AutoMixOptions, Upsampling

MAX_REDRAWS = 10
"""How often a permutation with a self-pair is drawn again before a cyclic shift replaces it."""


class Pairing(NamedTuple):
    """Image i has the share `lam[i]` of mixture i; the rest belongs to image `perm[i]`."""

    lam: Float[Tensor, " n"]
    perm: Int64[Tensor, " n"]

    def to(self, device: torch.device | str) -> "Pairing":
        """Copy the pairing to a device, without waiting for it."""
        lam = self.lam.to(device, non_blocking=True)
        return self._replace(lam=lam, perm=self.perm.to(device, non_blocking=True))


class Draws(NamedTuple):
    """All random choices of one step: two independent pairings, and the coin flips.

    Classifier and mix block are trained on different mixtures of the same batch.
    """

    for_classifier: Pairing
    for_mix_block: Pairing
    upsampling_for_classifier: Upsampling = "nearest"
    upsampling_for_mix_block: Upsampling = "nearest"
    adjust_mask: bool = False
    skip_mix_block: bool = False  # its classification loss; its masks still have their area loss
    mix_block_learns: bool = True  # else it only makes masks

    def to(self, device: torch.device | str) -> "Draws":
        """Copy both pairings to a device, without waiting for it; the coin flips stay in Python."""
        return self._replace(
            for_classifier=self.for_classifier.to(device),
            for_mix_block=self.for_mix_block.to(device),
        )


def sample_draws(
    rng: np.random.Generator,
    n: int,
    options: AutoMixOptions,
    shared_rng: np.random.Generator | None = None,
    *,
    step: int = 0,
) -> Draws:
    """Make all random choices of one step for a batch of n images.

    Args:
        rng: This process's generator for this step.
        n: Number of images, >= 1.
        options: How to draw: `alpha`, `upsampling`, `avoid_self_pairs`, the two probabilities, and
            `share_lam_across_ranks`; `mix_block_interval` and `mixed_share`.
        shared_rng: A generator in the same state on all processes; gives the ratios when they are
            shared, and is not touched otherwise.
        step: Number of the step in the run, from 0: the mix block learns at every
            `mix_block_interval`-th.

    Returns:
        Draws on the CPU. `lam` is one number per pairing, repeated for each image; pairings are of
        the `num_mixed` images that are mixed.

    Raises:
        ValueError: if `n` is below 1, or ratios are to be shared without a `shared_rng`.

    Source:
        OpenMixup `AutoMixup.forward_train`, first lines: two ratios, two permutations. Differs: the
        generators are arguments, not the global ones; `skip_mix_block_probability` is what it says,
        where the reference's `switch_off` is, against its name, the probability of not skipping.
    """
    if n < 1:
        raise ValueError(f"`n` must be at least 1, got `{n}`")
    lam_rng = shared_rng if options.share_lam_across_ranks else rng
    if lam_rng is None:
        raise ValueError("`share_lam_across_ranks` needs a `shared_rng`, got `None`")
    mixed = num_mixed(n, options)
    return Draws(
        for_classifier=_sample_pairing(rng, lam_rng, mixed, options),
        for_mix_block=_sample_pairing(rng, lam_rng, mixed, options),
        upsampling_for_classifier=_sample_upsampling(rng, options),
        upsampling_for_mix_block=_sample_upsampling(rng, options),
        adjust_mask=bool(rng.random() < options.mask_adjust_probability),
        skip_mix_block=bool(rng.random() < options.skip_mix_block_probability),
        mix_block_learns=step % options.mix_block_interval == 0,
    )


def sample_permutation(
    rng: np.random.Generator, n: int, *, avoid_self_pairs: bool
) -> Int64[np.ndarray, " n"]:
    """Choose a partner for each of n images, each image being chosen once.

    With `avoid_self_pairs`, a permutation in which an image is its own partner is drawn again, at
    most `MAX_REDRAWS` times; then everyone gets the neighbour a random number of places further.
    Of two images each gets the other. A single image has no other partner than itself.

    Source:
        OpenMixup `AutoMixup._no_repeat_shuffle_idx`. Differs: its last resort exists for one of the
        two pairings only and fails for n = 2; here it serves both, from n = 2 on.
    """
    for _ in range(1 + MAX_REDRAWS):
        perm = rng.permutation(n)
        if not avoid_self_pairs or n == 1 or not (perm == np.arange(n)).any():
            return perm
    return np.roll(np.arange(n), rng.integers(1, n))


def _sample_pairing(
    rng: np.random.Generator, lam_rng: np.random.Generator, n: int, options: AutoMixOptions
) -> Pairing:
    """One ratio for the whole batch, as in the paper, and one permutation."""
    lam = lam_rng.beta(options.alpha, options.alpha)
    perm = sample_permutation(rng, n, avoid_self_pairs=options.avoid_self_pairs)
    return Pairing(lam=torch.full((n,), lam, dtype=torch.float32), perm=torch.from_numpy(perm))


def _sample_upsampling(rng: np.random.Generator, options: AutoMixOptions) -> Upsampling:
    """The mode that was asked for, or one of both with equal chances."""
    if options.upsampling == "random":
        return "nearest" if rng.random() < 0.5 else "bilinear"
    return options.upsampling
