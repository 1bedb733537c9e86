"""The layers of a backbone, in the order in which images pass them, as timm counts them."""

from collections.abc import Iterator
from typing import Any, cast

from timm.models import group_parameters
from torch import nn

from automix_cli.models.backbones import REFUSALS

_HEADS = "(heads)"
BACKBONE = "backbone."
"""How the names of its tensors begin."""


def layers_of(network: nn.Module, *, coarse: bool) -> dict[str, int]:
    """The layer of each parameter of a network; what is not its backbone's is the last one.

    Args:
        network: Whose `backbone` says by `group_matcher` what its layers are.
        coarse: Whether stages count instead of blocks, where the backbone has stages.

    Returns:
        By name, the number of the layer: 0 is the stem. What belongs to no layer, such as a norm
        behind an unused pooling, counts with the heads.

    Raises:
        ValueError: the backbone does not say what its layers are.
    """
    backbone: Any = network.backbone
    try:
        matcher = backbone.group_matcher(coarse=coarse)
        found: Any = group_parameters(cast(Any, _WithHeads(backbone)), matcher, reverse=True)
    except REFUSALS as error:
        raise ValueError(f"the backbone does not say what its layers are: {error}") from error
    last = found.pop(_HEADS)
    layers = {f"{BACKBONE}{name}": layer for name, layer in found.items()}
    return {name: layers.get(name, last) for name, _ in network.named_parameters()}


class _WithHeads:
    """The parameters of a backbone and, so that timm counts them, one that stands for the heads."""

    def __init__(self, backbone: nn.Module) -> None:
        self._backbone = backbone

    def named_parameters(self) -> Iterator[tuple[str, object]]:
        yield from self._backbone.named_parameters()
        yield _HEADS, None
