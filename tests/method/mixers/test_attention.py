import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from automix_cli.method import (
    attentivemix,
    class_activation_maps,
    cutmix,
    mixture_cross_entropy,
    resizemix,
    snapmix,
    transmix,
)
from automix_cli.method.mixers.boxes import sample_box


@pytest.mark.parametrize("seed", range(6))
def test_attentivemix_keeps_the_cells_of_the_highest_mean(seed: int) -> None:
    images, features = torch.randn(5, 3, 12, 16), torch.randn(5, 7, 3, 4)
    mixture = attentivemix(images, np.random.default_rng(seed), features)
    rng = np.random.default_rng(seed)
    kept = max(1, math.floor(rng.beta(2.0, 2.0) * 12))
    for i, partner in enumerate(rng.permutation(5)):
        attended = features[i].mean(dim=0).flatten().argsort(descending=True)[:kept].tolist()
        expected = images[partner].clone()
        for cell in attended:
            place = (
                ...,
                slice(cell // 4 * 4, cell // 4 * 4 + 4),
                slice(cell % 4 * 4, cell % 4 * 4 + 4),
            )
            expected[place] = images[i][place]
        assert torch.equal(mixture.images[i], expected)
    torch.testing.assert_close(mixture.first_weight, torch.full((5,), kept / 12))


@pytest.mark.parametrize(("lam", "kept"), [(0.0, 1), (0.13, 2), (0.5, 8), (0.99, 15), (1.0, 16)])
def test_attentivemix_rounds_the_number_of_cells_down_but_keeps_one(
    lam: float, kept: int, fixed_ratio: Callable[..., np.random.Generator]
) -> None:
    images = torch.randn(2, 1, 8, 8)
    mixture = attentivemix(images, fixed_ratio(lam), torch.randn(2, 3, 4, 4))
    assert mixture.first_weight.tolist() == [kept / 16] * 2


def test_class_activations_are_weighted_features_of_the_class(labels: Tensor) -> None:
    features, weight = torch.randn(6, 5, 3, 4), torch.randn(7, 5)
    maps = class_activation_maps(features, weight, labels, (3, 4))
    for i in range(6):
        expected = sum(weight[labels[i], f] * features[i, f] for f in range(5))
        assert isinstance(expected, Tensor)
        torch.testing.assert_close(maps[i], expected - expected.min())


def test_class_activations_have_the_size_of_the_image_and_no_graph(labels: Tensor) -> None:
    features = torch.randn(6, 5, 4, 4, requires_grad=True)
    maps = class_activation_maps(features, torch.randn(7, 5), labels, (16, 20))
    assert maps.shape == (6, 16, 20)
    assert not maps.requires_grad
    assert (maps >= 0).all()


def snapmix_by_hand(
    images: Tensor, activations: Tensor, rng: np.random.Generator
) -> tuple[Tensor, list[float], list[float]]:
    size = (images.shape[2], images.shape[3])
    target = sample_box(rng, size, math.sqrt(1 - rng.beta(1.0, 1.0)))
    source = sample_box(rng, size, math.sqrt(1 - rng.beta(1.0, 1.0)))
    perm = rng.permutation(len(images))
    mixed, first, second = images.clone(), [1.0] * len(perm), [0.0] * len(perm)
    if target.area == 0 or source.area == 0:
        return mixed, first, second
    for i, partner in enumerate(perm):
        piece = images[partner : partner + 1, :, source.top : source.bottom][
            ..., source.left : source.right
        ]
        piece = F.interpolate(piece, size=target.size, mode="bilinear", align_corners=True)
        mixed[i, :, target.top : target.bottom, target.left : target.right] = piece[0]
        hidden = activations[i, target.top : target.bottom, target.left : target.right].sum()
        shown = activations[partner, source.top : source.bottom, source.left : source.right].sum()
        first[i] = (1 - hidden / activations[i].sum()).item()
        second[i] = (shown / activations[partner].sum()).item()
    return mixed, first, second


@pytest.mark.parametrize("seed", range(8))
def test_snapmix_weighs_labels_by_the_activation_that_is_seen(seed: int) -> None:
    images, activations = torch.randn(5, 3, 9, 12), torch.rand(5, 9, 12)
    mixture = snapmix(images, np.random.default_rng(seed), activations)
    mixed, first, second = snapmix_by_hand(images, activations, np.random.default_rng(seed))
    torch.testing.assert_close(mixture.images, mixed)
    torch.testing.assert_close(mixture.first_weight, torch.tensor(first))
    torch.testing.assert_close(mixture.second_weight, torch.tensor(second))


def test_without_any_activation_snapmix_weighs_labels_by_area(
    fixed_ratio: Callable[..., np.random.Generator],
) -> None:
    images = torch.randn(3, 1, 16, 16)
    absent = snapmix(images, fixed_ratio(0.5, 2), torch.zeros(3, 16, 16))
    even = snapmix(images, fixed_ratio(0.5, 2), torch.ones(3, 16, 16))
    assert 0 < even.first_weight[0] < 1
    torch.testing.assert_close(absent.first_weight, even.first_weight)
    torch.testing.assert_close(absent.second_weight, even.second_weight)


def test_transmix_takes_the_mean_of_area_and_attention() -> None:
    images = torch.randn(4, 3, 16, 16)
    mixture = cutmix(images, np.random.default_rng(2), alpha=2.0)
    attention = torch.rand(4, 3, 16)
    corrected = transmix(mixture, attention, (4, 4))
    assert mixture.mask is not None
    for i in range(4):
        shows_first = mixture.mask[i, 0, ::4, ::4].flatten()  # nearest: a patch's first pixel
        attended = attention[i].mean(dim=0)
        share = (shows_first * attended).sum() / attended.sum()
        expected = (mixture.first_weight[i] + share) / 2
        torch.testing.assert_close(corrected.first_weight[i], expected)
    torch.testing.assert_close(corrected.second_weight, 1 - corrected.first_weight)
    assert torch.equal(corrected.images, mixture.images)
    assert corrected.first_weight.unique().numel() == 4


def test_the_gradient_of_the_loss_does_not_reach_the_attention(labels: Tensor) -> None:
    mixture = cutmix(torch.randn(6, 3, 8, 8), np.random.default_rng(1), alpha=1.0)
    attention = torch.rand(6, 2, 4, requires_grad=True)
    logits = torch.randn(6, 7, requires_grad=True)
    corrected = transmix(mixture, attention, (2, 2))
    mixture_cross_entropy(logits, labels, corrected).backward()
    assert logits.grad is not None
    assert attention.grad is None


def test_transmix_refuses_what_it_cannot_correct() -> None:
    images, rng = torch.randn(4, 3, 16, 16), np.random.default_rng(0)
    with pytest.raises(ValueError, match="`mixture` must have a mask, got `None`"):
        transmix(resizemix(images, rng), torch.rand(4, 1, 16), (4, 4))
    with pytest.raises(ValueError, match=r"as many patches as `attention`, `16`, got `\(4, 5\)`"):
        transmix(cutmix(images, rng), torch.rand(4, 1, 16), (4, 5))
