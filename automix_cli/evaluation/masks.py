"""How a mask looks, in numbers: how much of the first image, how decided, in how many pieces.

Legend: n masks, H W image. A mask is the share of the first image at each pixel, in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


def areas(mask: Float[Tensor, "n 1 H W"]) -> Float[Tensor, " n"]:
    """Share of the whole picture that is the first image's, in [0, 1]."""
    return mask.float().mean(dim=(1, 2, 3))


def entropies(mask: Float[Tensor, "n 1 H W"]) -> Float[Tensor, " n"]:
    """How undecided the pixels are: 0 if each is of one image, 1 if each is half of both.

    mean over pixels of -m log2 m - (1 - m) log2 (1 - m), in bits.
    """
    share = mask.double()
    bits = -(torch.xlogy(share, share) + torch.xlogy(1 - share, 1 - share)) / math.log(2)
    return bits.mean(dim=(1, 2, 3)).float()


def total_variations(mask: Float[Tensor, "n 1 H W"]) -> Float[Tensor, " n"]:
    """How long the borders between the two images are, in sides of the picture; >= 0.

    (sum of the absolute differences of neighbours, down and right) / sqrt(H W): a straight cut
    from edge to edge has 1, a constant mask 0, whatever the size of the picture.

    Source:
        Anisotropic total variation (Rudin, Osher and Fatemi, 1992). Differs: divided by the side.
    """
    share = mask.double()
    down = share.diff(dim=2).abs().sum(dim=(1, 2, 3))
    right = share.diff(dim=3).abs().sum(dim=(1, 2, 3))
    return ((down + right) / math.sqrt(share.shape[2] * share.shape[3])).float()


@dataclass(frozen=True)
class MaskSummary:
    """The masks of one ratio."""

    num_masks: int
    area_mean: float
    area_std: float
    """Standard deviation over the masks; 0 for one."""
    entropy: float
    """Mean of `entropies`, in bits."""
    total_variation: float
    """Mean of `total_variations`, in sides of the picture."""


def measures(mask: Float[Tensor, "n 1 H W"]) -> Float[Tensor, "n 3"]:
    """Area, entropy and total variation of each mask, on the CPU."""
    numbers = (areas(mask), entropies(mask), total_variations(mask))
    return torch.stack(numbers, dim=1).cpu()


def summary(measured: Sequence[Float[Tensor, "_ 3"]]) -> MaskSummary:
    """Sum up the masks of one ratio.

    Args:
        measured: What `measures` gave, block by block.

    Raises:
        ValueError: there is no mask.
    """
    if not any(len(block) for block in measured):
        raise ValueError("`measured` must hold at least one mask, got none")
    area, entropy, variation = torch.cat(list(measured)).double().unbind(dim=1)
    return MaskSummary(
        num_masks=len(area),
        area_mean=float(area.mean()),
        area_std=float(area.std()) if len(area) > 1 else 0.0,
        entropy=float(entropy.mean()),
        total_variation=float(variation.mean()),
    )


def identity_error(ratios: Sequence[float], mean_areas: Sequence[float]) -> float:
    """Mean distance of the mean areas from their ratios; 0 if masks keep what labels say.

    Raises:
        ValueError: there are not as many areas as ratios, or none.
    """
    if len(ratios) != len(mean_areas) or not ratios:
        raise ValueError(f"wanted as many areas as ratios, got {len(mean_areas)} of {len(ratios)}")
    distances = [abs(one - other) for one, other in zip(ratios, mean_areas, strict=True)]
    return sum(distances) / len(distances)
