"""Accuracy on mixed images, by hand."""

import math

import pytest
import torch

from automix_cli.evaluation.mixed import mixed_accuracies, mixed_totals


def test_each_count_by_hand() -> None:
    logits = torch.tensor(
        [
            [5.0, 4.0, 0.0],  # larger first, second next: everything right
            [4.0, 5.0, 0.0],  # the smaller one first
            [5.0, 0.0, 4.0],  # larger first, then a stranger
            [0.0, 4.0, 5.0],  # a stranger first
            [5.0, 0.0, 4.0],  # both images are of one class
        ]
    )
    first = torch.tensor([0, 0, 0, 0, 0])
    second = torch.tensor([1, 1, 1, 1, 0])
    shares = torch.tensor([0.95, 0.95, 0.95, 0.95, 0.55])
    overall, by_share = mixed_accuracies(mixed_totals(logits, first, second, shares))
    assert overall.num_images == 5
    assert overall.top1_larger == 3 / 5
    assert overall.top1_either == 4 / 5
    assert (overall.num_of_two_classes, overall.top2_set) == (4, 2 / 4)
    assert [each.num_images for each in by_share] == [1, 0, 0, 0, 4]
    assert by_share[0].top1_larger == 1
    assert math.isnan(by_share[0].top2_set)
    assert math.isnan(by_share[1].top1_larger)


def test_exchanging_the_two_images_changes_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(200, 6, generator=generator)
    first, second = torch.randint(6, (2, 200), generator=generator)
    shares = torch.rand(200, generator=generator)
    there = mixed_totals(logits, first, second, shares)
    back = mixed_totals(logits, second, first, 1 - shares)
    torch.testing.assert_close(there, back)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_every_share_has_a_bin(share: float) -> None:
    label = torch.tensor([1])
    totals = mixed_totals(torch.eye(3)[:1], label, label, torch.tensor([share]))
    assert totals[0].sum() == 1
