"""Normalisation of a mix block's queries and keys.

Legend: n images, d channels, h w feature map.
"""

from jaxtyping import Float
from torch import Tensor, nn

from automix_cli.method.options import ProjectionNorm


def norm_of_projection(width: int, kind: ProjectionNorm) -> nn.Module:
    """Normalisation of queries or keys with `width` channels."""
    if kind == "batch":
        return nn.BatchNorm2d(width)
    if kind == "layer":
        return _ChannelNorm(width)
    return nn.Identity()


class _ChannelNorm(nn.Module):
    """Layer norm over the channels at each position."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=1e-6)

    def forward(self, maps: Float[Tensor, "n d h w"]) -> Float[Tensor, "n d h w"]:
        """Move channels last, where `nn.LayerNorm` wants them, and back."""
        return self.norm(maps.movedim(1, -1)).movedim(-1, 1)
