"""FMix: masks of any shape, cut out of random clouds.

Legend: n images, c channels, H W image, h w a field. `lam` is the share of the first image, in
[0, 1]; so is `mask`, for each pixel.
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from automix_cli.method.mixers.mixture import Mixture, mix_by_mask
from automix_cli.method.mixers.sampling import sample_lam, sample_partners


def fmix(
    images: Float[Tensor, "n c H W"],
    rng: np.random.Generator,
    *,
    alpha: float = 0.2,
    decay_power: float = 3.0,
    avoid_self_pairs: bool = True,
) -> Mixture:
    """Show the first image where a random smooth field is among its highest, the second elsewhere.

    Args:
        images: The batch; any height and width.
        rng: Draws one field for the batch, and the partners.
        alpha: Of Beta(alpha, alpha); 0.2 on CIFAR, 1 elsewhere.
        decay_power: How fast the field loses high frequencies; the larger, the larger the patches.
        avoid_self_pairs: Whether every image gets another one as a partner.

    Returns:
        A mixture with a mask of zeros and ones: lam H W pixels are the first image's, rounded up or
        down at random.

    Source:
        Harris et al., FMix (2020); OpenMixup `fmix`. Differs: the field has all frequencies in both
        directions, as the paper says. The official code and the reference take two rows of the
        spectrum for its real and imaginary part, and their fields have no horizontal frequency
        above one cycle per image. The weight is the mask's area, where theirs is lam before
        rounding. The size is that of the images. Not offered: soft edges (off there by default) and
        the loss on one label alone (`reformulate`).
    """
    lam = sample_lam(rng, alpha)
    size = (images.shape[2], images.shape[3])
    field = low_frequency_field(rng, size, decay_power, images.device).flatten()
    rounded = math.ceil if rng.random() > 0.5 else math.floor
    highest = field.argsort(descending=True)[: rounded(lam * len(field))]
    mask = torch.zeros_like(field).scatter_(0, highest, 1.0).view(1, 1, *size)
    return mix_by_mask(
        images, mask, sample_partners(rng, images, avoid_self_pairs=avoid_self_pairs)
    )


def low_frequency_field(
    rng: np.random.Generator,
    size: tuple[int, int],
    decay_power: float,
    device: torch.device | str = "cpu",
) -> Float[Tensor, "h w"]:
    """Make a random field: Gaussian noise, each frequency f of which is divided by f^decay_power.

    Frequencies are in cycles per pixel. Those below one cycle per longer side count as that.

    Args:
        rng: Draws the spectrum, on the host.
        size: Height and width of the field, even or odd.
        decay_power: 0 gives white noise.
        device: Where the field is made.

    Returns:
        The field, in no unit: only the order of its values matters.

    Source:
        FMix, section on low-frequency masks: the real part of the inverse transform of noise /
        f^delta. See `fmix`. Differs: the whole spectrum is drawn, not the half that a real field
        needs, of which the purely vertical frequencies would come out with half the power.
    """
    height, width = size
    down, right = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)
    frequency = np.maximum(np.hypot(down, right), 1 / max(size))
    noise = rng.standard_normal((*frequency.shape, 2)) / frequency[..., None] ** decay_power
    spectrum = torch.from_numpy(noise.astype(np.float32)).to(device, non_blocking=True)
    return torch.fft.ifft2(torch.view_as_complex(spectrum)).real
