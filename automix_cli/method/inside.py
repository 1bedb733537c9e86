"""Mixers that work inside the network: what they do in one pass of the classifier.

ManifoldMix and AlignMix mix feature maps on their way to the embedding. TransMix mixes images, and
lets the class token of the same pass correct the labels. So these are not functions of images
alone, but of images and a classifier; what they ask of it is said by the three protocols.

Why it is like this: a pass is given the classifier and gives back a mixture and its embedding. The
head and the loss are those of all rivals. A network that cannot serve says so by a `ValueError`,
which `check` brings about before a training, with one image.

Legend: n images, c channels, H W image, f channels of a feature map, h w its size, d width of the
embedding, a heads, p patches.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from automix_cli.method.mixers import (
    Mixture,
    alignmix,
    cutmix,
    mix_features,
    sample_layer,
    transmix,
)


@runtime_checkable
class ChangesMaps(Protocol):
    """A classifier whose early feature maps can be exchanged: ManifoldMix asks for it."""

    def mixing_stages(self) -> tuple[int, int]:
        """Two early stages."""
        ...

    def embed(self, images: Float[Tensor, "n c H W"]) -> Float[Tensor, "n d"]:
        """Give the embedding."""
        ...

    def embed_changed(
        self,
        images: Float[Tensor, "n c H W"],
        stage: int,
        change: Callable[[Float[Tensor, "n f h w"]], Float[Tensor, "n f h w"]],
    ) -> Float[Tensor, "n d"]:
        """Give the embedding that comes of `change(map)` in the place of that stage's map."""
        ...


@runtime_checkable
class EndsInMap(Protocol):
    """A classifier whose embedding is pooled from a feature map: AlignMix asks for it."""

    def last_map(self, images: Float[Tensor, "n c H W"]) -> Float[Tensor, "n f h w"]:
        """Give that map."""
        ...

    def pool(self, last_map: Float[Tensor, "n f h w"]) -> Float[Tensor, "n d"]:
        """Give its embedding."""
        ...


@runtime_checkable
class Attends(Protocol):
    """A transformer that classifies by a class token: TransMix asks for it."""

    def embed_and_attend(
        self, images: Float[Tensor, "n c H W"]
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n a p"], tuple[int, int]]:
        """Give the embedding, what the token gives to each patch at last, and the patches' grid."""
        ...


class Passed(NamedTuple):
    """What a pass of the classifier gives."""

    mixture: Mixture
    """Of which only `perm` and the weights of the labels are of use from here on."""

    embedding: Float[Tensor, "n d"]


def pass_with_manifoldmix(
    classifier: ChangesMaps,
    images: Float[Tensor, "n c H W"],
    rng: np.random.Generator,
    *,
    alpha: float = 2.0,
) -> Passed:
    """Mix the images, or the maps behind the first or the second stage: one of three is drawn.

    Raises:
        ValueError: the classifier cannot go on from such a stage.

    Source:
        Verma et al., Manifold Mixup (2019); OpenMixup `MixUpClassification` with `*_Mix` backbones,
        `layer=(0, 3)`. No difference.
    """
    layer = sample_layer(rng)
    if layer == 0:
        mixture = mix_features(images, rng, alpha=alpha)
        return Passed(mixture, classifier.embed(mixture.images))
    mixtures: list[Mixture] = []

    def mix(features: Float[Tensor, "n f h w"]) -> Float[Tensor, "n f h w"]:
        mixtures.append(mix_features(features, rng, alpha=alpha))
        return mixtures[0].images

    stage = classifier.mixing_stages()[layer - 1]
    embedding = classifier.embed_changed(images, stage, mix)
    return Passed(mixtures[0], embedding)


def pass_with_alignmix(
    classifier: EndsInMap,
    images: Float[Tensor, "n c H W"],
    rng: np.random.Generator,
    *,
    alpha: float = 2.0,
) -> Passed:
    """Mix the last feature maps, one laid out like the other.

    Raises:
        ValueError: the classifier does not end in a feature map.

    Source:
        Venkataramanan et al., AlignMixup (2022); OpenMixup `alignmix`. Differs: each batch is mixed
        like that, where the paper and the reference's configurations alternate it with mixup of the
        images.
    """
    mixture = alignmix(classifier.last_map(images), rng, alpha=alpha)
    return Passed(mixture, classifier.pool(mixture.images))


def pass_with_transmix(
    classifier: Attends,
    images: Float[Tensor, "n c H W"],
    rng: np.random.Generator,
    *,
    alpha: float = 1.0,
) -> Passed:
    """Mix the images by CutMix, and let attention on the mixture have half a say on the labels.

    Raises:
        ValueError: the classifier has no class token that attends.

    Source:
        Chen et al., TransMix (2022); OpenMixup `transmix`. Differs: each batch is mixed by CutMix,
        where DeiT's recipe, which both follow, takes plain mixup for half of them.
    """
    mixture = cutmix(images, rng, alpha=alpha)
    embedding, attention, grid = classifier.embed_and_attend(mixture.images)
    return Passed(transmix(mixture, attention, grid), embedding)


class Inside(NamedTuple):
    """A mixer inside the network, and what shows that a classifier can serve it."""

    run: Callable[..., Passed]
    try_out: Callable[[Any, Tensor], object]


def _change_all(classifier: ChangesMaps, images: Float[Tensor, "n c H W"]) -> None:
    for stage in classifier.mixing_stages():
        classifier.embed_changed(images, stage, lambda features: features)


INSIDE: dict[str, Inside] = {
    "manifoldmix": Inside(pass_with_manifoldmix, _change_all),
    "alignmix": Inside(
        pass_with_alignmix, lambda classifier, images: classifier.pool(classifier.last_map(images))
    ),
    "transmix": Inside(
        pass_with_transmix, lambda classifier, images: classifier.embed_and_attend(images)
    ),
}
"""By name, the mixers that work inside the network."""


@torch.no_grad()
def check(method: str, classifier: Any, images: Float[Tensor, "n c H W"]) -> None:
    """See whether a classifier can serve; nothing of it is changed.

    Raises:
        ValueError: it cannot: why.
    """
    was_training = [module for module in classifier.modules() if module.training]
    classifier.eval()
    try:
        INSIDE[method].try_out(classifier, images)
    finally:
        for module in was_training:
            module.training = True
