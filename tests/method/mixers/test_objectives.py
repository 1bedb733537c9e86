"""The losses of mixtures beside the cross-entropy, each against its formula written out."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from automix_cli.method import (
    JointMixture,
    Mixture,
    decoupled_cross_entropy,
    label_weights,
    mixture_binary_cross_entropy,
    mixup,
    snapmix,
    vanilla,
)

NUM_CLASSES = 7


@pytest.fixture
def logits() -> Tensor:
    return 3 * torch.randn(6, NUM_CLASSES, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def mixture(images: Tensor) -> Mixture:
    """Ratios of every kind, and one image that meets itself."""
    perm, first = torch.tensor([3, 0, 5, 1, 4, 2]), torch.tensor([0.0, 0.2, 0.4, 0.5, 0.9, 1.0])
    return Mixture(images, perm, first, 1 - first, mask=None)


def by_hand(labels: Tensor, mixture: Mixture) -> list[list[float]]:
    rows = [[0.0] * NUM_CLASSES for _ in labels]
    for i, partner in enumerate(mixture.perm.tolist()):
        rows[i][int(labels[i])] += float(mixture.first_weight[i])
        rows[i][int(labels[partner])] += float(mixture.second_weight[i])
    return rows


def test_each_class_counts_as_much_as_its_images(labels: Tensor, mixture: Mixture) -> None:
    labels = labels // 2  # two images of each class
    weights = label_weights(labels, mixture, NUM_CLASSES)
    torch.testing.assert_close(weights, torch.tensor(by_hand(labels, mixture)))


def test_classes_of_joint_mixtures_add_up_over_their_images(labels: Tensor, images: Tensor) -> None:
    shares = torch.softmax(torch.randn(6, 6), dim=1)
    weights = label_weights(labels // 2, JointMixture(images, shares), NUM_CLASSES)
    expected = torch.zeros(6, NUM_CLASSES)
    for i in range(6):
        for j in range(6):
            expected[i, int(labels[j]) // 2] += shares[i, j]
    torch.testing.assert_close(weights, expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_binary_cross_entropy_is_its_formula(
    logits: Tensor, labels: Tensor, mixture: Mixture, smoothing: float
) -> None:
    expected = 0.0
    for row, weights in zip(logits.tolist(), by_hand(labels, mixture), strict=True):
        for z, weight in zip(row, weights, strict=True):
            target, p = (1 - smoothing) * weight + smoothing / NUM_CLASSES, 1 / (1 + math.exp(-z))
            expected -= target * math.log(p) + (1 - target) * math.log(1 - p)
    weights = label_weights(labels, mixture, NUM_CLASSES)
    loss = mixture_binary_cross_entropy(logits, weights, smoothing)
    assert float(loss) == pytest.approx(expected / 6, rel=1e-5)


def test_a_binary_cross_entropy_has_a_minimum_where_weights_are_above_1(images: Tensor) -> None:
    """Two images of one class in SnapMix may weigh up to 2 together."""
    activations = torch.rand(6, 16, 16)
    labels, rng = torch.zeros(6, dtype=torch.int64), np.random.default_rng(0)
    heavy = [label_weights(labels, snapmix(images, rng, activations), 2) for _ in range(20)]
    weights = next(each for each in heavy if (each > 1.1).any())
    sure = torch.tensor([[1e3, -1e3]]).expand(6, 2)
    assert float(mixture_binary_cross_entropy(sure, weights)) >= 0


def test_the_decoupled_loss_is_its_formula(
    logits: Tensor, labels: Tensor, mixture: Mixture
) -> None:
    expected = 0.0
    for row, weights in zip(logits.tolist(), by_hand(labels, mixture), strict=True):
        shown = {each for each, weight in enumerate(weights) if weight > 0}
        others = sum(math.exp(row[each]) for each in range(NUM_CLASSES) if each not in shown)
        for each in shown:
            expected -= math.log(math.exp(row[each]) / (math.exp(row[each]) + others))
    loss = decoupled_cross_entropy(logits, label_weights(labels, mixture, NUM_CLASSES))
    assert float(loss) == pytest.approx(expected / 6, rel=1e-5)


def test_the_decoupled_loss_does_not_see_the_ratio(logits: Tensor, images: Tensor) -> None:
    labels = torch.arange(6)
    losses = set()
    for alpha in (0.5, 8.0):
        mixture = mixup(images, np.random.default_rng(0), alpha=alpha)
        shifted = mixture._replace(perm=(torch.arange(6) + 1) % 6)
        weights = label_weights(labels, shifted, NUM_CLASSES)
        losses.add(float(decoupled_cross_entropy(logits, weights)))
    assert len(losses) == 1


def test_with_nothing_mixed_the_decoupled_loss_is_the_cross_entropy(
    logits: Tensor, labels: Tensor, images: Tensor, rng: np.random.Generator
) -> None:
    weights = label_weights(labels, vanilla(images, rng), NUM_CLASSES)
    expected = torch.nn.functional.cross_entropy(logits, labels)
    torch.testing.assert_close(decoupled_cross_entropy(logits, weights), expected)


def test_the_decoupled_loss_has_a_finite_gradient_where_every_class_is_shown() -> None:
    logits = torch.randn(4, 2, requires_grad=True)
    loss = decoupled_cross_entropy(logits, torch.full((4, 2), 0.5))
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.equal(logits.grad, torch.zeros(4, 2))
