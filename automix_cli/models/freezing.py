"""Parts of a network that keep what they begin with.

Parameters are frozen by `requires_grad`; batch-norm statistics by keeping the module in evaluation
mode, whatever mode the network is in: it then normalises by them and does not move them. A copy of
the network is frozen as it is.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Self

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from automix_cli.models.layers import layers_of


class Freezable(nn.Module):
    """A network whose early part is a backbone, and which knows what of it is frozen.

    Attributes:
        backbone: A timm model, or one of ours that is like them.
        frozen_norms: Names of the batch norms that stay in evaluation mode.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone: Any = backbone  # timm's methods are not those of `nn.Module`
        self.frozen_norms: frozenset[str] = frozenset()

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - as nn.Module has it
        """Switch modes, but keep frozen batch norms evaluating."""
        super().train(mode)
        for name in self.frozen_norms:
            self.get_submodule(name).eval()
        return self


def freeze_stages(network: Freezable, num_stages: int) -> None:
    """Freeze weights and batch-norm statistics of the first stages, of which 0 is the stem.

    Raises:
        ValueError: the backbone does not say what its layers are, or has no more than those.
    """
    layers = layers_of(network, coarse=True)
    num_there = max(layers.values())
    if num_stages > num_there:
        raise ValueError(f"the backbone has {num_there} stages, the stem included")
    frozen = {name for name, layer in layers.items() if layer < num_stages}
    for name, parameter in network.named_parameters():
        if name in frozen:
            parameter.requires_grad = False
    _keep_evaluating(network, [name for name, _ in _norms(network) if f"{name}.weight" in frozen])


def freeze_batch_norm(network: Freezable, *, statistics: bool, affine: bool) -> None:
    """Freeze the running statistics of all batch norms, their weights and biases, or both.

    Raises:
        ValueError: the network has no batch norm.
    """
    norms = dict(_norms(network))
    if not norms:
        raise ValueError("the backbone has no batch norm that could be frozen")
    if statistics:
        _keep_evaluating(network, norms)
    if affine:
        for norm in norms.values():
            norm.requires_grad_(requires_grad=False)


def _norms(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    return ((name, each) for name, each in network.named_modules() if isinstance(each, _BatchNorm))


def _keep_evaluating(network: Freezable, names: Iterable[str]) -> None:
    network.frozen_norms |= set(names)
    network.train(network.training)
