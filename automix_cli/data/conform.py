"""Images of one data set in the form of another: size and number of channels.

Legend: n images, c channels, h w pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from automix_cli.data.image_set import ImageSet

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey image (ITU-R BT.601)."""


def conform(image_set: ImageSet, *, channels: int, size: int) -> ImageSet:
    """Resize images to squares, and make grey ones coloured or coloured ones grey.

    Resizing is bilinear with antialiasing, the whole image, without keeping its aspect. A grey
    image is repeated in every channel; a coloured one becomes its luma.

    Args:
        image_set: What to change; uint8.
        channels: Wanted c, 1 or 3.
        size: Wanted h and w.

    Raises:
        ValueError: if there is no rule from its channels to the wanted ones.
    """
    images = image_set.images
    found = images.shape[1]
    if found != channels and {found, channels} != {1, 3}:
        raise ValueError(f"cannot turn images of {found} channels into {channels}")
    if images.shape[2:] != (size, size):
        stretches = [
            F.interpolate(part.float(), size=(size, size), mode="bilinear", antialias=True)
            for part in images.split(1000)
        ]
        images = torch.cat([part.round().clamp(0, 255).byte() for part in stretches])
    if found < channels:
        images = images.expand(-1, channels, -1, -1)
    elif found > channels:
        grey = [luma(part.float()) for part in images.split(1000)]
        images = torch.cat([part.round().clamp(0, 255).byte() for part in grey])
    return ImageSet(images.contiguous(), image_set.labels, image_set.class_names)


def luma(images: torch.Tensor) -> torch.Tensor:
    """Turn coloured images `(n, 3, h, w)` grey, `(n, 1, h, w)`; any range of values."""
    weights = torch.tensor(LUMA, device=images.device).view(1, 3, 1, 1)
    return (images * weights).sum(1, keepdim=True)
