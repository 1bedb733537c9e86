"""A classifier of pixels: what an attacker sees, with the normalisation inside.

Legend: n images, c channels, h w pixels in [0, 1], k classes.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from automix_cli.evaluation.totals import finite


class PixelClassifier(nn.Module):
    """From images with values in [0, 1] to logits, in one differentiable piece.

    The network is put into evaluation mode and its parameters are frozen: an attack wants the
    gradient of the images alone, and batch-norm must not learn from attacked images.

    Args:
        network: From normalised images to logits; changed as said.
        mean: What is subtracted from each channel, units of 255.
        std: What each channel is then divided by, same units.

    Raises:
        ValueError: if `mean` and `std` differ in length or a standard deviation is not positive.
    """

    def __init__(self, network: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        if len(mean) != len(std) or min(std) <= 0:
            raise ValueError(f"mean and std must be as long, and std > 0, got {mean} and {std}")
        self.network = network.eval().requires_grad_(requires_grad=False)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Normalise and classify.

        Raises:
            NotFiniteError: if the outputs hold NaN or infinity, which withstand no attack and show
                no image to be unknown.
        """
        return finite(self.network((images - self.mean) / self.std))

    def train(self, mode: bool = True) -> PixelClassifier:  # noqa: FBT001, FBT002 - torch's own
        """Stay in evaluation mode.

        Raises:
            ValueError: if asked for anything else.
        """
        if mode:
            raise ValueError("a network under attack must stay in evaluation mode")
        return super().train(mode)
