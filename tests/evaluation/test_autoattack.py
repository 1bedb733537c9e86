"""AutoAttack through its package, on a model whose robustness is known exactly."""

import pytest
import torch
from torch import Tensor, nn

from automix_cli.evaluation.attacks import Attack
from automix_cli.evaluation.autoattack import withstands_autoattack

pytest.importorskip("pyautoattack", reason="AutoAttack is the extra `attack`")


class FirstPixels(nn.Module):
    """Class i is the likelier the larger pixel i is: the margin is half the gap of the two best."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes

    def forward(self, images: Tensor) -> Tensor:
        return 10 * images.flatten(1)[:, : self.num_classes]


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Margins of 0.05 and 0.2 in turns, in linf."""
    clean = torch.full((8, 1, 4, 4), 0.3)
    clean[:, 0, 0, 0] = torch.tensor([0.4, 0.7]).repeat(4)
    return clean


@pytest.mark.slow
def test_it_finds_exactly_the_images_within_epsilon(images: Tensor) -> None:
    labels = torch.zeros(8, dtype=torch.int64)
    labels[7] = 3  # not recognised without an attack
    state = torch.random.get_rng_state()
    attack = Attack(epsilon=0.1)
    robust = withstands_autoattack(FirstPixels(4), images, labels, attack, seed=0, batch_size=4)
    assert robust.tolist() == [False, True] * 3 + [False, False]
    assert torch.equal(torch.random.get_rng_state(), state)


def test_too_few_classes_are_refused(images: Tensor) -> None:
    labels = torch.zeros(8, dtype=torch.int64)
    with pytest.raises(ValueError, match="at least 4 classes, got 3"):
        withstands_autoattack(
            FirstPixels(3), images, labels, Attack(epsilon=0.1), seed=0, batch_size=8
        )
