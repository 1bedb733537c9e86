"""Mixtures of more than two images: who is in them, how they are made and what they cost.

A `Pairing` says who the second image is; a `Combination` names all images of a mixture. A pairing
is the combination of each image with its partner.

Legend: n images and as many mixtures, s images in each, c channels, k classes, H W image. `lam` is
the share of each image in its mixture, in [0, 1]; so are `masks`, for each pixel. Shares of a
mixture add up to 1, and so do masks at each pixel.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from automix_cli.method.adautomix_options import AdAutoMixOptions, LamMarginTest
from automix_cli.method.pairing import Pairing, sample_permutation


class Combination(NamedTuple):
    """Mixture i has image `sources[i, j]`, for each j, with the share `lam[i, j]`."""

    lam: Float[Tensor, "n s"]
    sources: Int64[Tensor, "n s"]

    @classmethod
    def of_pairs(cls, pairing: Pairing) -> "Combination":
        """Each image, first, with its partner."""
        lam, perm = pairing
        itself = torch.arange(len(perm), device=perm.device)
        return cls(torch.stack([lam, 1 - lam], dim=1), torch.stack([itself, perm], dim=1))

    @property
    def is_beyond_pairs(self) -> bool:
        """Whether mixtures have three images or more."""
        return self.sources.shape[1] > 2

    def to(self, device: torch.device | str) -> "Combination":
        """Copy the combination to a device, without waiting for it."""
        lam = self.lam.to(device, non_blocking=True)
        return self._replace(lam=lam, sources=self.sources.to(device, non_blocking=True))


class AdAutoMixDraws(NamedTuple):
    """All choices of one step: two combinations, both of s images, and the mix block's role."""

    for_classifier: Combination
    for_mix_block: Combination
    is_adversarial: bool
    skip_mix_block: bool = False

    def to(self, device: torch.device | str) -> "AdAutoMixDraws":
        """Copy both combinations to a device, without waiting for it."""
        return self._replace(
            for_classifier=self.for_classifier.to(device),
            for_mix_block=self.for_mix_block.to(device),
        )


def sample_adautomix_draws(
    rng: np.random.Generator,
    n: int,
    options: AdAutoMixOptions,
    *,
    step: int,
    shared_rng: np.random.Generator | None = None,
) -> AdAutoMixDraws:
    """Make all random choices of one step for a batch of n images.

    Pairs are as in AutoMix: each image meets a partner, classifier and mix block with ratios of
    their own. With three images and more, no image is sure to be in "its" mixture, and both share
    one set of ratios: s draws from Beta(alpha, alpha), divided by their sum.

    Args:
        rng: This process's generator for this step.
        n: Number of images, >= 1.
        options: How to draw.
        step: Number of the step in the run, from 0: every `adversarial_interval`-th is adversarial.
        shared_rng: A generator in the same state on all processes; gives number and ratios when
            they are shared, and is not touched otherwise.

    Returns:
        Draws on the CPU. The mixtures of a combination all have the same shares.

    Raises:
        ValueError: if `n` is below 1, or ratios are to be shared without a `shared_rng`.

    Source:
        OpenMixup `AdAutoMix.forward_train`. Differs: the generators are arguments; steps are those
        of the run, where the reference counts from the start of the process; `avoid_self_pairs`
        keeps images of a mixture apart for three and more too, by neighbours on a random circle,
        where the reference's only keeps two of the three permutations from having fixed points;
        `skip_mix_block_probability` is what it says, `switch_off` that of not skipping.
    """
    if n < 1:
        raise ValueError(f"`n` must be at least 1, got `{n}`")
    lam_rng = shared_rng if options.share_lam_across_ranks else rng
    if lam_rng is None:
        raise ValueError("`share_lam_across_ranks` needs a `shared_rng`, got `None`")
    s = options.num_images
    if options.vary_num_images:
        s = int(lam_rng.integers(2, s, endpoint=True))
    draws = lam_rng.beta(options.alpha, options.alpha, size=s)
    if s == 2:
        shares = [np.array([lam, 1 - lam]) for lam in draws]
    else:
        total = draws.sum()  # 0 if a tiny alpha gave nothing but zeros
        shares = [draws / total if total > 0 else np.full(s, 1 / s)] * 2
    for_classifier, for_mix_block = (
        Combination(
            lam=torch.from_numpy(share).float().repeat(n, 1),
            sources=torch.from_numpy(_sample_sources(rng, n, s, options)),
        )
        for share in shares
    )
    return AdAutoMixDraws(
        for_classifier,
        for_mix_block,
        is_adversarial=step % options.adversarial_interval == 0,
        skip_mix_block=bool(rng.random() < options.skip_mix_block_probability),
    )


def combine_images(
    images: Float[Tensor, "n c H W"],
    masks: Float[Tensor, "n s #H #W"],
    sources: Int64[Tensor, "n s"],
) -> Float[Tensor, "n c H W"]:
    """Blend the images of each mixture, pixel by pixel.

    Args:
        images: The batch, normalised or not: mixing is linear.
        masks: Share of each image at each pixel; if it is constant, one pixel is enough.
        sources: The images of each mixture.

    Source:
        OpenMixup `AdAutoMix.co_mixup`. No difference.
    """
    blended = masks[:, :1] * images[sources[:, 0]]
    for j in range(1, sources.shape[1]):
        blended = blended + masks[:, j : j + 1] * images[sources[:, j]]
    return blended


def fall_back_to_shares(
    masks: Float[Tensor, "n s H W"],
    lam: Float[Tensor, "n s"],
    lam_margin: float,
    *,
    test: LamMarginTest = "corrected",
) -> Float[Tensor, "n s H W"]:
    """Replace masks of mixtures with hardly, or almost only, the first image by constants.

    Args:
        masks: Share of each image at each pixel.
        lam: Share of each image in the label.
        lam_margin: Masks fall back where the first of `lam` is at most this or at least 1 minus
            this; 0 never does.
        test: `reference` for the test that OpenMixup has from three images on.

    Source:
        OpenMixup `AdAutoMix.mixup` and `co_mixup`, option `lam_margin`. Differs: decided for each
        mixture, on the device; and `corrected`: the reference's `co_mixup` has the comparison with
        1 - lam the wrong way round, so that it falls back where lam is *below* 1 - lam_margin.
    """
    first = lam[:, 0].view(-1, 1, 1, 1)
    if test == "reference" and lam.shape[1] > 2:
        is_extreme = (first <= lam_margin) | (1 - first > lam_margin)
    elif lam_margin == 0:
        return masks
    else:
        is_extreme = (first <= lam_margin) | (1 - first <= lam_margin)
    return torch.where(is_extreme, lam.view(*lam.shape, 1, 1), masks)


def combined_cross_entropy(
    logits: Float[Tensor, "n k"],
    labels: Int64[Tensor, " n"],
    combination: Combination,
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Cross-entropy of mixtures: all their labels count, each with its image's share.

    1/n sum_i sum_j lam_ij CE(logits_i, y_sources(i, j))

    Returns:
        Scalar >= 0 in nats, in float32 whatever the logits are.

    Source:
        The paper's mixup cross-entropy for N samples; OpenMixup `ClsMixupHead.co_loss`. Differs:
        each mixture may have its own shares.
    """
    lam, sources = combination
    losses = torch.stack(
        [
            F.cross_entropy(
                logits.float(), labels[source], reduction="none", label_smoothing=label_smoothing
            )
            for source in sources.unbind(dim=1)
        ],
        dim=1,
    )
    return (lam * losses).sum(dim=1).mean()


def _sample_sources(
    rng: np.random.Generator, n: int, s: int, options: AdAutoMixOptions
) -> Int64[np.ndarray, "n s"]:
    """Who is in each of n mixtures; each image is once in each column."""
    if s == 2:
        perm = sample_permutation(rng, n, avoid_self_pairs=options.avoid_self_pairs)
        return np.stack([np.arange(n), perm], axis=1)
    if options.avoid_self_pairs:
        circle, places = rng.permutation(n), rng.permutation(n)
        return circle[(places[:, None] + np.arange(s)) % n]
    return np.stack([rng.permutation(n) for _ in range(s)], axis=1)
