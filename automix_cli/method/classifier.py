"""What AutoMix asks of a classifier.

Legend: n images, c channels of an image, f of a feature map, h w feature map, H W image, d width of
the embedding.
"""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn


@runtime_checkable
class Classifier(Protocol):
    """An `nn.Module` with a feature map on the way, an embedding at the end, and two linear heads.

    Clean and mixed images have heads of their own: the first should be sure, the second should not.
    """

    if TYPE_CHECKING:  # from Python 3.12 on, `isinstance` does not see submodules of a module

        @property
        def head_one_hot(self) -> nn.Module:
            """From the embedding of clean images to logits."""
            ...

        @property
        def head_mixed(self) -> nn.Module:
            """From the embedding of mixed images to logits."""
            ...

    def features(self, images: Float[Tensor, "n c H W"]) -> Float[Tensor, "n f h w"]:
        """Run the early stages only, up to the map that the mix block reads."""
        ...

    def embed(self, images: Float[Tensor, "n c H W"]) -> Float[Tensor, "n d"]:
        """Run the network up to what the heads read."""
        ...

    def features_and_embed(
        self, images: Float[Tensor, "n c H W"]
    ) -> tuple[Float[Tensor, "n f h w"], Float[Tensor, "n d"]]:
        """Do both in one pass."""
        ...
