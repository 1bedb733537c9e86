"""Mixtures of chosen pairs by a mix block that was trained, and what it makes its masks of.

Legend: n = 2 p images of p pairs, the first of each pair before its second; c channels, H W image,
h w feature map, q = h w positions. `lam` is the share of the first image, in [0, 1]; so is a mask.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from automix_cli.method.adaptive_mask import AdaptiveMask
from automix_cli.method.adautomix_options import AdAutoMixOptions
from automix_cli.method.combination import Combination, fall_back_to_shares
from automix_cli.method.masks import fall_back_to_mixup
from automix_cli.method.mix_block import Looks, MaskMaker
from automix_cli.method.mixers import Mixture
from automix_cli.method.mixers.mixture import mix_by_mask
from automix_cli.method.options import AutoMixOptions, Upsampling
from automix_cli.method.pairing import Pairing
from automix_cli.method.shown_pairs import first_of_pairs, neighbours

NUM_DRAWS = 100_000
"""Ratios that a share of fall-backs is measured on."""


class PairMaps(NamedTuple):
    """What a mix block makes a mask of, for each pair."""

    value: Float[Tensor, "p h w"]
    """Share that each position's value would give by itself, in [0, 1]; see `Looks`."""

    mean_attention: Float[Tensor, "p h w"] | None
    """How much each position is looked at, on average over all that look; adds up to 1."""

    attention: Float[Tensor, "p h w"] | None
    """How much the chosen position looks at each one; adds up to 1."""

    position: Int64[Tensor, "p 2"]
    """Row and column of the chosen position: the one whose share is nearest to one half."""


@dataclass(frozen=True)
class LearnedPairs:
    """A method with a mix block; see `PairMixer`.

    Networks evaluate, so that a mask depends on its pair alone: batch norm uses its buffers, where
    training normalises with the batch. Masks are the mix block's own; where training would fall
    back to plain mixup says `falls_back`.

    Args:
        method: `automix`, `samix` or `adautomix`.
        classifier: The momentum classifier, which shows its features.
        mix_block: Trained with it.
        options: Of the training.
    """

    method: str
    classifier: Any
    mix_block: MaskMaker[Any] | AdaptiveMask
    options: AutoMixOptions | AdAutoMixOptions

    @torch.no_grad()
    def __call__(
        self,
        images: Float[Tensor, "n c H W"],
        labels: Int64[Tensor, " n"],
        lam: float,
        rng: np.random.Generator,
    ) -> Mixture:
        """Mix each pair; labels and generator are not used."""
        del labels, rng
        return first_of_pairs(self.mix(images, self._pairing(images, lam)))

    @torch.no_grad()
    def mix(self, images: Float[Tensor, "n c H W"], pairing: Pairing) -> Mixture:
        """Mix each image with its partner; the labels count as much as the mask has area."""
        projection = self.mix_block.project(self.classifier.features(images))
        size = (images.shape[2], images.shape[3])
        if isinstance(self.mix_block, AdaptiveMask):
            combination = Combination.of_pairs(pairing)
            mask = self.mix_block.masks(projection, combination, size, self.upsampling)[:, :1]
        else:
            mask = self.mix_block.mask(projection, pairing, size, self.upsampling)
        return mix_by_mask(images, mask, pairing.perm)

    def masks(self, images: Float[Tensor, "n c H W"], lam: float) -> Float[Tensor, "n 1 H W"]:
        """Mask of each image with the other one of its pair, as first image of share `lam`."""
        mask = self.mix(images, self._pairing(images, lam)).mask
        assert mask is not None  # a mix block makes nothing else
        return mask

    @property
    def upsampling(self) -> Upsampling:
        """How masks grow; of a random choice, the one that shows what the mix block decided."""
        return "nearest" if self.options.upsampling == "random" else self.options.upsampling

    def falls_back(self, lam: float) -> bool:
        """Whether a pair of this ratio is mixed linearly in training."""
        margin = self.options.lam_margin
        return margin > 0 and min(lam, 1 - lam) <= margin

    @torch.no_grad()
    def maps(self, images: Float[Tensor, "n c H W"], lam: float = 0.5) -> PairMaps:
        """Show values and attention of each pair."""
        pairing = self._pairing(images, lam)
        projection = self.mix_block.project(self.classifier.features(images))
        if isinstance(self.mix_block, AdaptiveMask):
            looks = self.mix_block.look(projection, Combination.of_pairs(pairing))
        else:
            looks = self.mix_block.look(projection, pairing)
        value, attention = looks
        p, rows, columns = len(images) // 2, value.shape[2], value.shape[3]
        shares = value.sigmoid().view(2 * p, -1)[::2]
        collected = _collected(looks)[::2]
        position = (collected - 0.5).abs().argmin(dim=1)
        where = torch.stack([position // columns, position % columns], dim=1)
        value = shares.view(p, rows, columns)
        if attention is None:
            return PairMaps(value, None, None, where)
        mean = attention[::2].mean(dim=1).view(p, rows, columns)
        own = attention[::2][torch.arange(p, device=images.device), position]
        return PairMaps(value, mean, own.view(p, rows, columns), where)

    def _pairing(self, images: Float[Tensor, "n c H W"], lam: float) -> Pairing:
        perm = torch.from_numpy(neighbours(len(images))).to(images.device)
        return Pairing(torch.full((len(images),), lam, device=images.device), perm)


def fall_back_share(options: AutoMixOptions | AdAutoMixOptions, rng: np.random.Generator) -> float:
    """Share of the classifier's mixtures in training that are linear, because `lam` is extreme.

    Args:
        options: Of the training: how ratios are drawn, and the margin.
        rng: Draws `NUM_DRAWS` ratios.
    """
    if isinstance(options, AutoMixOptions):
        lam = torch.from_numpy(rng.beta(options.alpha, options.alpha, NUM_DRAWS)).float()
        unknown = torch.full((NUM_DRAWS, 1, 1, 1), torch.nan)
        known = fall_back_to_mixup(unknown, lam, options.lam_margin)
        return float(known.isfinite().float().mean())
    fewest = 2 if options.vary_num_images else options.num_images
    shares: list[float] = []
    for s in range(fewest, options.num_images + 1):
        draws = torch.from_numpy(rng.beta(options.alpha, options.alpha, (NUM_DRAWS, s))).float()
        lam = (
            draws / draws.sum(dim=1, keepdim=True)
            if s > 2
            else torch.cat([draws[:, :1], 1 - draws[:, :1]], dim=1)
        )
        unknown = torch.full((NUM_DRAWS, s, 1, 1), torch.nan)
        test = options.lam_margin_test
        known = fall_back_to_shares(unknown, lam, options.lam_margin, test=test)
        shares.append(float(known[:, 0].isfinite().float().mean()))
    return float(np.mean(shares))


def _collected(looks: Looks) -> Float[Tensor, "n q"]:
    """The share that each position collects, before it is enlarged."""
    value, attention = looks
    flat = value.flatten(1)
    if attention is not None:
        flat = (attention @ flat.unsqueeze(2)).squeeze(2)
    return flat.sigmoid()
