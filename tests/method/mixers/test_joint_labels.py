"""The labelling of Co-Mixup against all labellings of small grids.

As for PuzzleMix, costs are measured with the cheapest label of every cell moved to 0.
"""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from automix_cli.method.mixers.joint_labels import (
    cheapest_labels,
    labelling_cost,
)

Problem = tuple[Tensor, Tensor]


def random_problem(
    n: int, size: int, num_images: int, num_halves: int, *, smoothness: float = 0.32
) -> Problem:
    """Costs as in Co-Mixup: saliencies and a prior of images, halves of the first of them."""
    rng = np.random.default_rng(0)
    saliency = rng.gamma(1.0, 1, (n, num_images, size, size))
    cost = -saliency / saliency.sum(axis=(2, 3), keepdims=True)
    prior = rng.dirichlet([2.0] * num_images, n)[:, :, None, None]
    cost -= 0.05 / size**2 * np.log(prior)
    num_labels = num_images + num_halves
    pair_cost = np.broadcast_to(1 - np.eye(num_labels), (n, num_labels, num_labels)).copy()
    for half, pair in enumerate([(0, 1), (0, 2), (1, 2)][:num_halves]):
        mean = cost[:, list(pair)].mean(axis=1, keepdims=True) - 5e-4
        cost = np.concatenate([cost, mean], axis=1)
        for image in pair:
            pair_cost[:, num_images + half, image] = pair_cost[:, image, num_images + half] = 0.25
    cost -= cost.min(axis=1, keepdims=True)
    pair_cost *= smoothness / size**2
    return torch.from_numpy(cost).float(), torch.from_numpy(pair_cost).float()


def least_cost(cost: np.ndarray, pair_cost: np.ndarray) -> float:
    """Of all labellings of one grid."""
    num_labels, height, width = cost.shape
    cells = height * width
    labels = np.array(list(itertools.product(range(num_labels), repeat=cells)), dtype=np.int8)
    labels = labels.reshape(-1, height, width)
    total = np.zeros(len(labels))
    for row, column in itertools.product(range(height), range(width)):
        here = labels[:, row, column]
        total += cost[here, row, column]
        if row > 0:
            total += pair_cost[labels[:, row - 1, column], here]
        if column > 0:
            total += pair_cost[labels[:, row, column - 1], here]
    return total.min()


@pytest.mark.parametrize(
    ("n", "size", "num_images", "num_halves"),
    [(200, 3, 3, 0), (10, 3, 3, 1), (5, 2, 20, 3)],
    ids=["3 x 3 cells, 3 images", "3 x 3 cells, 3 images, 1 half", "2 x 2, 20 images, 3 halves"],
)
def test_the_cost_is_within_a_percent_of_the_least_of_all_labellings(
    n: int, size: int, num_images: int, num_halves: int
) -> None:
    cost, pair_cost = random_problem(n, size, num_images, num_halves)
    found = labelling_cost(cheapest_labels(cost, pair_cost), cost, pair_cost)
    least = torch.tensor([least_cost(cost[i].numpy(), pair_cost[i].numpy()) for i in range(n)])
    over = (found - least) / least.clamp(min=1e-6)
    assert over.min() > -1e-4
    assert over.max() < 0.01


def test_the_cost_of_a_labelling_is_that_of_the_definition() -> None:
    cost, pair_cost = random_problem(4, 3, 4, 1)
    labels = torch.randint(5, (4, 3, 3))
    for i in range(4):
        expected = torch.zeros(())
        for row, column in itertools.product(range(3), range(3)):
            expected += cost[i, labels[i, row, column], row, column]
            for below, beside in ((row + 1, column), (row, column + 1)):
                if max(below, beside) < 3:
                    expected += pair_cost[i, labels[i, row, column], labels[i, below, beside]]
        found = labelling_cost(labels[i : i + 1], cost[i : i + 1], pair_cost[i : i + 1])
        torch.testing.assert_close(found[0], expected)


def test_labels_that_are_not_allowed_are_not_chosen() -> None:
    cost, pair_cost = random_problem(20, 4, 3, 3)
    cost[:, 1:5] = torch.inf
    assert set(cheapest_labels(cost, pair_cost).unique().tolist()) <= {0, 5}


def test_without_pairs_each_cell_takes_its_cheapest_label() -> None:
    cost, pair_cost = random_problem(20, 5, 6, 0)
    assert torch.equal(cheapest_labels(cost, 0 * pair_cost), cost.argmin(dim=1))


def test_dear_pairs_make_one_label_of_all() -> None:
    cost, pair_cost = random_problem(20, 4, 6, 0, smoothness=1e3)
    labels = cheapest_labels(cost, pair_cost)
    expected = cost.sum(dim=(2, 3)).argmin(dim=1).view(-1, 1, 1).expand(-1, 4, 4)
    assert torch.equal(labels, expected)


@pytest.mark.parametrize("size", [(1, 6), (6, 1), (1, 1)], ids=str)
def test_a_single_row_or_column_is_solved(size: tuple[int, int]) -> None:
    cost, pair_cost = torch.rand(5, 3, *size), (1 - torch.eye(3)).expand(5, 3, 3) * 0.2
    found = labelling_cost(cheapest_labels(cost, pair_cost), cost, pair_cost)
    for i in range(5):
        least = least_cost(cost[i].numpy(), pair_cost[i].numpy())
        assert found[i].item() == pytest.approx(least, rel=1e-5)


def test_labels_far_too_dear_for_every_cell_change_nothing() -> None:
    cost, pair_cost = random_problem(30, 4, 20, 3)
    far = torch.cat([cost, 50 + torch.rand(30, 5, 4, 4)], dim=1)
    pairs = torch.nn.functional.pad(pair_cost, (0, 5, 0, 5), value=pair_cost.max().item())
    assert torch.equal(cheapest_labels(far, pairs), cheapest_labels(cost, pair_cost))
