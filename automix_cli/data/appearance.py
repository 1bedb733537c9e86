"""What is done to the colours of one image, after it was cropped and mirrored.

The operations are Pillow's; what is drawn comes from a given generator.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from automix_cli.data.rand_augment import RandAugment


@dataclass(frozen=True)
class Appearance:
    """Which changes an image may get; they come in this order.

    Attributes:
        rand_augment: RandAugment, or None.
        three_augment: Whether to do one of `three_augment`.
        color_jitter: Range of the factors of `color_jitter`; 0: none.
    """

    rand_augment: RandAugment | None = None
    three_augment: bool = False
    color_jitter: float = 0.0

    @property
    def is_plain(self) -> bool:
        """Whether images stay as they are."""
        return self.rand_augment is None and not self.three_augment and self.color_jitter == 0

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Change one image, of mode RGB or L."""
        if self.rand_augment is not None:
            image = self.rand_augment(image, rng)
        if self.three_augment:
            image = three_augment(image, rng)
        return color_jitter(image, rng, self.color_jitter) if self.color_jitter else image


def three_augment(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Turn an image grey, solarise it or blur it, one of the three at random.

    Source:
        Touvron et al., DeiT III, 2022, and its code: solarised from 128, blurred with a radius in
        [0.1, 2]. No difference.
    """
    choice, radius = int(rng.integers(3)), rng.uniform(0.1, 2)
    if choice == 0:
        return image.convert("L").convert(image.mode)
    if choice == 1:
        return ImageOps.solarize(image)
    return image.filter(ImageFilter.GaussianBlur(radius))


def color_jitter(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Change brightness, contrast and saturation by random factors, in random order.

    Args:
        image: Of mode RGB or L.
        rng: Source of randomness.
        strength: Factors are uniform in [1 - strength, 1 + strength], at least 0.

    Source:
        `torchvision.transforms.v2.ColorJitter` with the same range three times and no hue.
    """
    factors = rng.uniform(max(0.0, 1 - strength), 1 + strength, size=3)
    for each in rng.permutation(3):
        enhance = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)[each]
        image = enhance(image).enhance(float(factors[each]))
    return image
