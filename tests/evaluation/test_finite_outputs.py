"""NaN and infinity in a network's outputs are refused: they are neither right nor wrong."""

import pytest
import torch
from torch import Tensor, nn

from automix_cli.evaluation.accuracy import measure
from automix_cli.evaluation.attacks import Attack
from automix_cli.evaluation.mixed import mixed_totals
from automix_cli.evaluation.pixel_classifier import PixelClassifier
from automix_cli.evaluation.robust_accuracy import Chance, attack_batch
from automix_cli.evaluation.totals import NotFiniteError

LABELS = torch.tensor([0, 1, 2])


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_an_accuracy_of_outputs_that_are_not_finite_is_refused(number: float) -> None:
    logits = torch.eye(3)
    logits[1, 2] = number  # with -inf the likelihood would still be finite
    batches = [(logits[:1], LABELS[:1]), (logits[1:], LABELS[1:])]
    with pytest.raises(NotFiniteError, match="outputs for 1 of 2 images"):
        measure(lambda images: {"head": images}, batches)
    with pytest.raises(NotFiniteError, match="outputs for 1 of 3 images"):
        mixed_totals(logits, LABELS, LABELS, torch.ones(3))


class OfWholePixels(nn.Module):
    """Logits of an image are its three pixels, or NaN unless all are 0 or 1.

    Args:
        has_gradient: Whether the gradient of the former is a number.
    """

    def __init__(self, *, has_gradient: bool) -> None:
        super().__init__()
        self.has_gradient = has_gradient

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.flatten(1)
        whole = (pixels == pixels.round()).all(dim=1, keepdim=True)
        if self.has_gradient:
            return pixels.masked_fill(~whole, float("nan"))
        return torch.where(whole, pixels, pixels * float("nan"))


@pytest.mark.parametrize(("has_gradient", "what"), [(True, "outputs"), (False, "gradients")])
def test_an_attack_that_gets_no_answer_has_neither_fooled_the_network_nor_failed(
    *, has_gradient: bool, what: str
) -> None:
    network = PixelClassifier(OfWholePixels(has_gradient=has_gradient), (0.0,), (1.0,))
    images = torch.eye(3).view(3, 1, 1, 3)
    assert (network(images).argmax(dim=1) == LABELS).all()
    attack = Attack(epsilon=0.1)
    with pytest.raises(NotFiniteError, match=f"the {what} for 3 of 3 images"):
        attack_batch(network, images, LABELS, attack, Chance(), every_image=True)
