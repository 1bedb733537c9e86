"""What a mask is, and what is done with one.

A mask says, for each pixel, how much of it comes from the first image; the rest is the second's.
Mixup is the constant mask `lam`, CutMix a box of ones and zeros, and AutoMix learns the mask. So
mixing images, measuring the area and correcting it are the same for all of them, and written once.

Legend: n images, c channels, h w feature map, H W image. `lam` is the share of the first image, in
[0, 1]; so is `mask`, for each pixel. `perm[i]` is the second image of the pair whose first is i.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from automix_cli.method.options import Upsampling


def upsample(
    maps: Float[Tensor, "n 1 h w"], image_size: tuple[int, int], mode: Upsampling
) -> Float[Tensor, "n 1 H W"]:
    """Enlarge one map per image from the size of the feature to that of the image.

    Args:
        maps: Masks, or the logits of masks.
        image_size: Height and width to reach, each a multiple of that of `maps`.
        mode: `nearest` gives blocks, `bilinear` smooth transitions.

    Raises:
        ValueError: if the image size is not a multiple of the feature size: some positions of the
            feature would then stand for more pixels than others.

    Source:
        OpenMixup `PixelMixBlock.forward`, `F.interpolate` by a scale factor. Differs: the factor is
        H / h, so no network needs a hard-wired one.
    """
    (height, width), (rows, columns) = image_size, maps.shape[-2:]
    if height % rows or width % columns:
        raise ValueError(
            f"image size must be a multiple of the feature size `{rows} x {columns}`, "
            f"got `{height} x {width}`"
        )
    return F.interpolate(maps, size=image_size, mode=mode)


def mix_images(
    images: Float[Tensor, "n c H W"], mask: Float[Tensor, "n 1 H W"], perm: Int64[Tensor, " n"]
) -> Float[Tensor, "n c H W"]:
    """Blend each image with its partner, pixel by pixel.

    Args:
        images: The batch, normalised or not: mixing is linear.
        mask: Share of the first image at each pixel.
        perm: The partner of each image.

    Source:
        Mixup's blend with a mask in place of lambda; OpenMixup `AutoMixup.pixel_mixup`. No
        difference.
    """
    first, second = images, images[perm]
    return mask * first + (1 - mask) * second


def mask_area(mask: Float[Tensor, "n 1 H W"]) -> Float[Tensor, " n"]:
    """Share of the whole picture that belongs to the first image, for each mask; in [0, 1]."""
    return mask.mean(dim=(1, 2, 3))


def area_ratio(mask: Float[Tensor, "n 1 H W"], lam: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """Mean area of the masks over mean `lam`, to watch: near 1, the labels tell the truth."""
    return mask_area(mask).mean() / lam.mean().clamp(min=torch.finfo(lam.dtype).eps)


def rescale_to_lam(
    mask: Float[Tensor, "n 1 H W"], lam: Float[Tensor, " n"]
) -> Float[Tensor, "n 1 H W"]:
    """Make the area of each mask exactly `lam`, without leaving [0, 1].

    If the first image has too large a share, its share is scaled down; if too small a one, the
    second image's is.

    Source:
        OpenMixup `AutoMixup.pixel_mixup`, option `mask_adjust`. Differs: the reference compares
        with the ratio of the other pairing (a slip: it takes `lam[0]`) and fails for one image.
    """
    lam, area = (each.view(-1, 1, 1, 1) for each in (lam, mask_area(mask)))
    smallest = torch.finfo(mask.dtype).tiny  # the branch not taken must not divide by zero
    first_shrunk = mask * lam / area.clamp(min=smallest)
    second_shrunk = 1 - (1 - mask) * (1 - lam) / (1 - area).clamp(min=smallest)
    return torch.where(area > lam, first_shrunk, second_shrunk)


def fall_back_to_mixup(
    mask: Float[Tensor, "n 1 H W"], lam: Float[Tensor, " n"], lam_margin: float
) -> Float[Tensor, "n 1 H W"]:
    """Replace masks of nearly unmixed pairs by the constant `lam`, which is plain mixup.

    The area loss forgives small deviations (0.1 by default). An image whose share is as small may
    be missing from a learned mask, or take twice the place that the label says.

    Args:
        mask: Share of the first image at each pixel.
        lam: Share of the first image in the label.
        lam_margin: Masks fall back where `lam` or 1 - `lam` is at most this; 0 never does.

    Source:
        Not in the paper; OpenMixup `AutoMixup.pixel_mixup`, option `lam_margin`. Differs: decided
        for each image, on the device.
    """
    if lam_margin == 0:
        return mask
    smaller_share = torch.minimum(lam, 1 - lam).view(-1, 1, 1, 1)
    return torch.where(smaller_share <= lam_margin, lam.view(-1, 1, 1, 1), mask)
