"""Mixtures of chosen pairs at a chosen ratio, to be looked at: by any method, on the same images.

In training a method draws who is mixed with whom and how much. Here both are given, and all else
(where a box lies, which field) is drawn as in training: by a generator whose Beta and whose
permutation are decided.

The methods with a mix block are in `learned_pairs`.

Legend: n = 2 p images of p pairs, the first of each pair before its second; c channels, H W image.
`lam` is the share of the first image, in [0, 1]; so is a mask.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from automix_cli.method.inside import INSIDE
from automix_cli.method.mixers import CoMixupOptions, Mixture, PuzzleMixOptions
from automix_cli.method.rivals import RIVALS

INVISIBLE = ("manifoldmix", "alignmix")
"""Methods that mix feature maps: there is no image to show."""

DRAW_NO_RATIO = ("vanilla", "smoothmix", "comixup")
"""Methods that draw no ratio that could be chosen: what the shares are shows afterwards."""


class ChosenDraws(np.random.Generator):
    """A generator whose ratio is chosen, and which pairs neighbours; the rest is drawn.

    Args:
        rng: Where everything else comes from.
        lam: What every draw from a Beta distribution gives.
    """

    def __init__(self, rng: np.random.Generator, lam: float) -> None:
        super().__init__(rng.bit_generator)
        self._lam = lam

    def beta(self, a: Any, b: Any, size: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Give the chosen ratio."""
        del a, b
        return self._lam if size is None else np.full(size, self._lam)

    def permutation(self, x: Any, axis: int = 0) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Exchange neighbours: 1, 0, 3, 2, ..."""
        del axis
        return neighbours(x)


def neighbours(num_images: int) -> np.ndarray:
    """The partner of each image, if pairs lie one after the other."""
    return np.arange(num_images) ^ 1


class PairMixer(Protocol):
    """A method, as it is shown."""

    @property
    def method(self) -> str:
        """Its name."""
        ...

    def __call__(
        self,
        images: Float[Tensor, "n c H W"],
        labels: Int64[Tensor, " n"],
        lam: float,
        rng: np.random.Generator,
    ) -> Mixture:
        """Mix each pair into one image, whose first image has the share `lam`."""
        ...


@dataclass(frozen=True)
class RivalPairs:
    """A method without a mix block; see `PairMixer`.

    Args:
        method: One of `TRAINABLE`.
        classifier: What some methods look at the images with; it evaluates meanwhile.
        attend: For `attentivemix`, see `RivalTraining`.
        pixel_std: What the images were divided by; PuzzleMix compares brightness.

    Raises:
        ValueError: the method mixes no images, or lacks its `attend`.
    """

    method: str
    classifier: Any
    attend: Callable[[Tensor], Tensor] | None = None
    pixel_std: tuple[float, ...] = (0.2,)

    def __post_init__(self) -> None:
        """Refuse what cannot be shown."""
        if self.method in INVISIBLE:
            raise ValueError(f"`{self.method}` mixes feature maps, so there is no image to show")
        if self.method == "attentivemix" and self.attend is None:
            raise ValueError("`attend` must be given for `attentivemix`, got `None`")

    @torch.no_grad()
    def __call__(
        self,
        images: Float[Tensor, "n c H W"],
        labels: Int64[Tensor, " n"],
        lam: float,
        rng: np.random.Generator,
    ) -> Mixture:
        """Mix each pair.

        Raises:
            ValueError: the method has no use for images of this size, or the classifier cannot show
                what it wants to see.
        """
        drawn = math.sqrt(1 - lam) if self.method == "resizemix" else lam  # there a side, no area
        chosen = ChosenDraws(rng, drawn)
        if self.method in INSIDE:
            return first_of_pairs(INSIDE[self.method].run(self.classifier, images, chosen).mixture)
        rival = RIVALS[self.method]
        looks: tuple[Tensor, ...] = ()
        if rival.look is not None:
            looks = (rival.look(self.classifier, images, labels),)
        elif self.attend is not None and rival.wants_attention:
            looks = (self.attend(images),)
        mixture = rival.mixer(images, chosen, *looks, **self._constants())
        if isinstance(mixture, Mixture):
            return first_of_pairs(mixture)
        perm = torch.from_numpy(neighbours(len(images))).to(images.device)
        itself = torch.arange(len(images), device=images.device)
        weights = mixture.shares[itself, itself], mixture.shares[itself, perm]
        return first_of_pairs(Mixture(mixture.images, perm, *weights, mask=None))

    def _constants(self) -> dict[str, Any]:
        """What keeps the mixer to pairs and to the chosen ratio."""
        return {
            "resizemix": {"scale_range": (0.0, 1.0)},
            "puzzlemix": {"options": PuzzleMixOptions(pixel_std=self.pixel_std)},
            "comixup": {"options": CoMixupOptions(group_size=2)},
        }.get(self.method, {})


def first_of_pairs(mixture: Mixture) -> Mixture:
    """Keep the mixture of each first image with its second."""
    images, perm, first_weight, second_weight, mask = mixture
    kept = slice(None, None, 2)
    mask = None if mask is None else mask[kept]
    return Mixture(images[kept], perm[kept], first_weight[kept], second_weight[kept], mask)
