"""Ratios and partners: what every mixer draws.

All randomness comes from a generator that is handed in, on the host: nothing waits for the device.

Legend: n images, c channels, H W image. `lam` is the share of the first image, in [0, 1].
"""

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from automix_cli.method.pairing import sample_permutation


def sample_lam(rng: np.random.Generator, alpha: float) -> float:
    """Draw the ratio of a batch from Beta(alpha, alpha).

    Raises:
        ValueError: if `alpha` is not above 0.
    """
    if not alpha > 0:
        raise ValueError(f"`alpha` must be greater than 0, got `{alpha}`")
    return float(rng.beta(alpha, alpha))


def sample_partners(
    rng: np.random.Generator, images: Float[Tensor, "n ..."], *, avoid_self_pairs: bool = False
) -> Int64[Tensor, " n"]:
    """Choose a partner for each image, and copy the choice to the device of the images.

    Args:
        rng: Where the permutation comes from.
        images: A batch, of which only number and device are used.
        avoid_self_pairs: Whether a permutation in which an image meets itself is drawn again, see
            `sample_permutation`. A batch of one image has no other partner than itself.
    """
    perm = sample_permutation(rng, len(images), avoid_self_pairs=avoid_self_pairs)
    return torch.from_numpy(perm).to(images.device, non_blocking=True)
