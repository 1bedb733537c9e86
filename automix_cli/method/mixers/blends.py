"""Mixers whose masks are smooth: nothing, a constant, a soft spot.

Legend: n images, c channels, H W image. `lam` is the share of the first image, in [0, 1]; so is
`mask`, for each pixel.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from automix_cli.method.mixers.mixture import Mixture, mix_by_mask
from automix_cli.method.mixers.sampling import sample_lam, sample_partners

SMALLEST_SPREAD, LARGEST_SPREAD = 0.25, 0.5
"""Standard deviation of SmoothMix's spot, as a share of the height of the image."""


def vanilla(images: Float[Tensor, "n c H W"], rng: np.random.Generator) -> Mixture:
    """Mix nothing: every image is its own partner, and its label counts in full.

    Args:
        images: The batch, which is also what comes back.
        rng: Not used; every mixer has it.

    Source:
        OpenMixup `MixUpClassification` with mode "vanilla". No difference.
    """
    perm = torch.arange(len(images), device=images.device)
    mixture = mix_by_mask(images, images.new_ones(1, 1, 1, 1), perm)
    return mixture._replace(images=images)


def mixup(
    images: Float[Tensor, "n c H W"], rng: np.random.Generator, *, alpha: float = 1.0
) -> Mixture:
    """Blend whole images: lam x + (1 - lam) x'.

    Args:
        images: The batch.
        rng: Draws one ratio for the batch, and the partners.
        alpha: Of Beta(alpha, alpha); 1 on CIFAR, 0.2 on ImageNet and fine-grained data, 0.8 for
            transformers.

    Source:
        Zhang et al., mixup (2018); OpenMixup `mixup`. No difference.
    """
    lam = sample_lam(rng, alpha)
    mask = torch.full((1, 1, 1, 1), lam, dtype=images.dtype, device=images.device)
    return mix_by_mask(images, mask, sample_partners(rng, images))


def smoothmix(images: Float[Tensor, "n c H W"], rng: np.random.Generator) -> Mixture:
    """Show the second image in a soft round spot: x (1 - G) + x' G.

    G is a Gaussian with peak 1. Its centre is the corner of a random pixel, its standard deviation
    uniform in [0.25, 0.5] times the height.

    Args:
        images: The batch; any height and width.
        rng: Draws one spot for the batch, and the partners.

    Returns:
        A mixture in which the label of the first image weighs 1 - mean(G).

    Source:
        Lee et al., SmoothMix (2020); OpenMixup `smoothmix`. Differs: the reference gives the weight
        mean(G) to the first image, though G is the second one's share; images need not be square;
        there is no `alpha`, which the reference draws from and does not use.
    """
    _, _, height, width = images.shape
    spread = rng.uniform(SMALLEST_SPREAD, LARGEST_SPREAD) * height
    row, column = (rng.integers(size) - 0.5 for size in (height, width))
    down = torch.arange(height, device=images.device, dtype=torch.float32) - row
    right = torch.arange(width, device=images.device, dtype=torch.float32) - column
    distance = down[:, None].square() + right.square()
    spot = torch.exp(-distance / (2 * spread**2))
    return mix_by_mask(images, 1 - spot.view(1, 1, height, width), sample_partners(rng, images))
