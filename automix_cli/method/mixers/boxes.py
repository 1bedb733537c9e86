"""Mixers that paste a rectangle of, or with, the second image.

The rectangle is drawn on the host and known there, so that nothing waits for the device.

Legend: n images, c channels, H W image. `lam` is the share of the first image, in [0, 1]; so is
`mask`, for each pixel.
"""

from typing import Literal, NamedTuple

import numpy as np
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from automix_cli.method.mixers.blends import mixup
from automix_cli.method.mixers.mixture import Mixture, constant_weight, mix_by_mask
from automix_cli.method.mixers.sampling import sample_lam, sample_partners


class Box(NamedTuple):
    """Rows `top` to `bottom` and columns `left` to `right` of an image, the last ones excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        return self.bottom - self.top, self.right - self.left

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.size[0] * self.size[1]

    @property
    def inside(self) -> tuple[slice, slice]:
        """Index of its pixels, for the last two dimensions of a tensor."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def sample_box(rng: np.random.Generator, image_size: tuple[int, int], scale: float) -> Box:
    """Draw a box of `scale` times the image's height and width, cut off at the border.

    Its centre is any pixel of the image. Lengths are rounded down to an even number of pixels, so a
    small box may be empty.

    Source:
        OpenMixup `rand_bbox`, which most of its methods repeat. No difference.
    """
    height, width = image_size
    tall, wide = int(height * scale) // 2, int(width * scale) // 2
    row, column = int(rng.integers(height)), int(rng.integers(width))
    return Box(
        max(row - tall, 0),
        min(row + tall, height),
        max(column - wide, 0),
        min(column + wide, width),
    )


def cutmix(
    images: Float[Tensor, "n c H W"],
    rng: np.random.Generator,
    *,
    alpha: float = 0.2,
    avoid_self_pairs: bool = True,
) -> Mixture:
    """Replace a random box by the same box of the second image.

    The sides of the box are sqrt(1 - lam) times those of the image, before it is cut off at the
    border; the labels count as much as is left.

    Args:
        images: The batch.
        rng: Draws one box for the batch, and the partners.
        alpha: Of Beta(alpha, alpha); 0.2 on CIFAR, 1 on ImageNet, 2 for transformers on CIFAR.
        avoid_self_pairs: Whether every image gets another one as a partner.

    Source:
        Yun et al., CutMix (2019); OpenMixup `cutmix`. Differs: if ten draws of partners all leave
        an image with itself, neighbours are paired instead; the reference gives up. The batch is
        not overwritten.
    """
    _, _, height, width = images.shape
    box = sample_box(rng, (height, width), (1 - sample_lam(rng, alpha)) ** 0.5)
    mask = images.new_ones(1, 1, height, width)
    mask[..., *box.inside] = 0
    partners = sample_partners(rng, images, avoid_self_pairs=avoid_self_pairs)
    return mix_by_mask(images, mask, partners)


def mixup_or_cutmix(
    images: Float[Tensor, "n c H W"],
    rng: np.random.Generator,
    *,
    mixup_alpha: float = 0.8,
    cutmix_alpha: float = 1.0,
) -> Mixture:
    """Toss a coin for each batch: mixup or CutMix, the recipe of DeiT.

    Args:
        images: The batch.
        rng: Tosses the coin, then draws for the mixer that won.
        mixup_alpha: Of mixup.
        cutmix_alpha: Of CutMix.

    Source:
        Touvron et al., DeiT (2021); OpenMixup `MixUpClassification` with a list of two modes. No
        difference beyond those of the two.
    """
    if rng.random() < 0.5:
        return mixup(images, rng, alpha=mixup_alpha)
    return cutmix(images, rng, alpha=cutmix_alpha)


def resizemix(
    images: Float[Tensor, "n c H W"],
    rng: np.random.Generator,
    *,
    scale: Literal["beta", "uniform"] = "beta",
    alpha: float = 1.0,
    scale_range: tuple[float, float] = (0.1, 0.8),
    interpolation: Literal["nearest", "bilinear"] = "nearest",
) -> Mixture:
    """Shrink the second image and paste it whole into the first, at a random place.

    Args:
        images: The batch.
        rng: Draws one box for the batch, and the partners.
        scale: Where the size of the box comes from, as a share of the image's sides: `uniform` in
            the range (the paper), or Beta(alpha, alpha), with a uniform draw in place of one
            outside the range (the reference's configs).
        alpha: Of Beta(alpha, alpha); not used with `uniform`.
        scale_range: Smallest and largest scale.
        interpolation: How the image is shrunk; `bilinear` in the configs for transformers.

    Returns:
        A mixture without a mask: the second image's pixels have moved. The first label weighs 1 -
        the share of the box.

    Raises:
        ValueError: if the range of scales is not in [0, 1].

    Source:
        Qin et al., ResizeMix (2020); OpenMixup `resizemix`. Differs: an empty box, of a small image
        at a small scale, leaves the first image as it is, where the reference stops with an error.
        The batch is not overwritten.
    """
    smallest, largest = scale_range
    if not 0 <= smallest <= largest <= 1:
        raise ValueError(f"`scale_range` must be an interval in [0, 1], got `{scale_range}`")
    side = sample_lam(rng, alpha) if scale == "beta" else rng.uniform(smallest, largest)
    if not smallest <= side <= largest:
        side = rng.uniform(smallest, largest)
    _, _, height, width = images.shape
    box, perm = sample_box(rng, (height, width), side), sample_partners(rng, images)
    mixed = images.clone()
    if box.area > 0:
        mixed[..., *box.inside] = F.interpolate(images[perm], size=box.size, mode=interpolation)
    first = constant_weight(images, 1 - box.area / (height * width))
    return Mixture(mixed, perm, first, 1 - first, mask=None)
