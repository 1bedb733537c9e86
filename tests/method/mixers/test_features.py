import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from automix_cli.method import alignmix, mix_features, mixup, sample_layer
from automix_cli.method.mixers.features import transport_plan


def test_features_are_blended_as_mixup_blends_images() -> None:
    features = torch.randn(5, 8, 3, 4)
    mixed = mix_features(features, np.random.default_rng(0), alpha=0.7)
    expected = mixup(features, np.random.default_rng(0), alpha=0.7)
    torch.testing.assert_close(mixed.images, expected.images)
    torch.testing.assert_close(mixed.first_weight, expected.first_weight)
    assert torch.equal(mixed.perm, expected.perm)
    assert mixed.mask is None


@pytest.mark.parametrize("mix", [mix_features, alignmix], ids=lambda mix: mix.__name__)
def test_the_gradient_flows_to_both_features(
    mix: Callable, fixed_ratio: Callable[..., np.random.Generator]
) -> None:
    features = torch.randn(3, 4, 2, 2, requires_grad=True)
    mixture = mix(features, fixed_ratio(0.25))
    mixture.images[0].sum().backward()
    assert features.grad is not None
    per_image = features.grad.sum(dim=(1, 2, 3))  # a sum of 16 values, with shares 1/4 and 3/4
    expected = torch.zeros(3)
    expected[0] += 4
    expected[mixture.perm[0]] += 12
    torch.testing.assert_close(per_image, expected, rtol=1e-3, atol=1e-3)


def test_each_layer_is_drawn_as_often() -> None:
    rng = np.random.default_rng(0)
    counts = np.bincount([sample_layer(rng) for _ in range(3000)])
    assert len(counts) == 3
    assert abs(counts - 1000).max() < 4 * math.sqrt(3000 * 2 / 9)


def test_no_layer_to_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="`num_layers` must be at least 1, got `0`"):
        sample_layer(np.random.default_rng(0), 0)


def test_a_plan_takes_and_brings_equal_parts() -> None:
    plan = transport_plan(torch.rand(3, 6, 9), entropy=0.1)
    assert (plan >= 0).all()
    torch.testing.assert_close(plan.sum(dim=1), torch.full((3, 9), 1 / 9))
    torch.testing.assert_close(plan.sum(dim=2), torch.full((3, 6), 1 / 6), rtol=1e-3, atol=0)


def test_a_plan_is_that_of_the_plain_algorithm() -> None:
    cost = torch.rand(5, 7, dtype=torch.float64)
    kernel, rows, columns = torch.exp(-cost / 0.1), torch.ones(5).double(), torch.ones(7).double()
    for _ in range(100):
        rows = (1 / 5) / (kernel @ columns)
        columns = (1 / 7) / (kernel.T @ rows)
    expected = rows[:, None] * kernel * columns
    plan = transport_plan(cost.float()[None])[0]
    torch.testing.assert_close(plan, expected.float(), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("constants", [{"entropy": 0.0}, {"iterations": 0}], ids=str)
def test_a_plan_without_entropy_or_iterations_is_refused(constants: dict) -> None:
    with pytest.raises(ValueError, match=f"`{next(iter(constants))}` must be"):
        transport_plan(torch.rand(1, 2, 2), **constants)


def test_maps_that_differ_in_layout_only_are_laid_out_alike(
    fixed_ratio: Callable[..., np.random.Generator],
) -> None:
    first = 10 * torch.randn(6, 2, 3)
    second = first.flatten(start_dim=1)[:, torch.randperm(6)].view(6, 2, 3)
    features, directions = torch.stack([first, second]), set()
    for seed in range(12):
        mixture = alignmix(features, fixed_ratio(0.3, seed))
        if mixture.perm.tolist() != [1, 0]:
            continue
        # whichever direction: the mixture of the pair is one of the two maps, not a blend
        towards_first = torch.allclose(mixture.images, features, atol=1e-3)
        towards_second = torch.allclose(mixture.images, features.flip(0), atol=1e-3)
        assert towards_first != towards_second
        directions.add(towards_first)
    assert directions == {True, False}


def test_a_single_map_and_huge_features_are_mixed() -> None:
    for features in (torch.randn(1, 4, 3, 3), 1e3 * torch.randn(4, 512, 4, 4)):
        assert alignmix(features, np.random.default_rng(0)).images.isfinite().all()


def test_half_precision_features_stay_half() -> None:
    features: Tensor = torch.randn(3, 8, 4, 4).bfloat16()
    assert alignmix(features, np.random.default_rng(0)).images.dtype == torch.bfloat16
