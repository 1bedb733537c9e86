"""A pretrained network that says where in an image there is something to be seen.

For AttentiveMix+: it is neither trained nor saved with what is trained.

Legend: n images, c channels, H W image, f channels of the last feature map, h w its size.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor

FINEST_GRID, COARSEST_GRID = 16, 4
USUAL_GRID = 7
"""Cells along the side of an ImageNet network's last map, for images of 224 pixels."""


class Attender:
    """Looks at normalised images with a frozen network.

    A plain object and no `nn.Module`, so that a module that holds it does not take the network for
    a part of itself. The network follows the images to their device.

    Args:
        backbone: Name of a timm model that ends in a feature map.
        weights: Its weights, with or without those of its classification head.
        mean: What was subtracted from each channel of the images to come.
        std: What they were then divided by.
        image_size: Height and width of the images.

    Raises:
        ValueError: no such model, weights of another one, or an image size without a grid.

    Source:
        OpenMixup `attentivemix`, which enlarges images to 224 pixels and so has 7 x 7 cells.
        Differs: cells must be whole pixels, so that images are enlarged to the multiple of their
        divisor nearest to 7 (8 x 8 cells for images of 32 pixels); and the network gets images
        normalised as it was trained with, where the reference hands on those of the data set.
    """

    def __init__(
        self,
        backbone: str,
        weights: Mapping[str, Tensor],
        *,
        mean: Sequence[float],
        std: Sequence[float],
        image_size: int,
    ) -> None:
        if not timm.is_model(backbone):
            raise ValueError(f"backbone must be one of timm's models, got `{backbone}`")
        self.network: Any = timm.create_model(backbone, num_classes=0).eval()
        self.network.requires_grad_(requires_grad=False)
        _load(self.network, weights)
        self.mean, self.std = _per_channel(mean), _per_channel(std)
        config = self.network.pretrained_cfg
        self.wanted_mean, self.wanted_std = (
            _per_channel(config["mean"]),
            _per_channel(config["std"]),
        )
        self.size = grid_for(image_size) * self.network.feature_info[-1]["reduction"]

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Give the last feature map `(n, f, h, w)`; h and w divide the size of the images.

        Args:
            images: `(n, c, H, W)`, normalised; a single channel stands for all three.

        Raises:
            ValueError: the network does not end in a feature map.
        """
        device = images.device
        shown = images * self.std.to(device) + self.mean.to(device)
        if shown.shape[1] == 1:
            shown = shown.expand(-1, 3, -1, -1)
        shown = (shown - self.wanted_mean.to(device)) / self.wanted_std.to(device)
        shown = F.interpolate(shown, size=(self.size, self.size), mode="bilinear")
        last = self.network.to(device).forward_features(shown)
        if last.ndim != 4 or last.shape[2:] != (self.cells, self.cells):
            raise ValueError("the network that attends must end in a feature map")
        return last

    @property
    def cells(self) -> int:
        """Cells along a side of the map."""
        return self.size // self.network.feature_info[-1]["reduction"]


def grid_for(image_size: int) -> int:
    """How many cells along a side suit an image: its divisor nearest to the usual 7.

    Raises:
        ValueError: it has no divisor from 4 to 16.
    """
    divisors = [each for each in range(COARSEST_GRID, FINEST_GRID + 1) if image_size % each == 0]
    if not divisors:
        raise ValueError(
            f"image size must have a divisor from {COARSEST_GRID} to {FINEST_GRID}, for a grid of "
            f"whole pixels, got `{image_size}`"
        )
    return min(divisors, key=lambda each: (abs(each - USUAL_GRID), -each))


def _load(network: Any, weights: Mapping[str, Tensor]) -> None:
    """Load all but the classification head, and refuse weights of another network."""
    head = f"{network.pretrained_cfg.get('classifier')}."
    wanted = network.state_dict()
    kept = {name: each for name, each in weights.items() if not name.startswith(head)}
    wrong = sorted(wanted.keys() ^ kept.keys())
    wrong += [
        name for name in wanted.keys() & kept.keys() if wanted[name].shape != kept[name].shape
    ]
    if wrong:
        raise ValueError(f"the weights are of another network: they differ in `{wrong[0]}`")
    network.load_state_dict(kept)


def _per_channel(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1)
