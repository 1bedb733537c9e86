"""Accuracy, likelihood and interval against independent references."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from automix_cli.evaluation.accuracy import Accuracy, measure, totals, wilson_interval


@pytest.fixture
def scored() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(101, 7, generator=generator)
    return logits, torch.randint(7, (101,), generator=generator)


def test_totals_equal_a_loop_over_images(scored: tuple[Tensor, Tensor]) -> None:
    logits, labels = scored
    top1 = top5 = 0
    nll = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        ranked = sorted(range(7), key=lambda k: -row[k])
        top1 += ranked[0] == label
        top5 += label in ranked[:5]
        nll -= row[label] - math.log(sum(math.exp(value) for value in row))
    assert totals(logits, labels).tolist() == pytest.approx([101, top1, top5, nll], rel=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 100, 101])
def test_measures_do_not_depend_on_the_batch_size(
    scored: tuple[Tensor, Tensor], batch_size: int
) -> None:
    logits, labels = scored
    batches = zip(logits.split(batch_size), labels.split(batch_size), strict=True)
    measured = measure(lambda images: {"head": images}, batches)["head"]
    expected = totals(logits, labels).tolist()
    assert measured.num_images == 101
    assert measured.top1 == expected[1] / 101
    assert measured.top5 == expected[2] / 101
    assert measured.nll == pytest.approx(expected[3] / 101, rel=1e-12)


def test_two_processes_that_add_up_measure_what_one_does(scored: tuple[Tensor, Tensor]) -> None:
    logits, labels = scored
    kept: list[Tensor] = []

    def keep(total: Tensor) -> Tensor:
        kept.append(total)
        return total

    def measured(rows: slice, add: Callable[[Tensor], Tensor]) -> Accuracy:
        batches = [(logits[rows], labels[rows])]
        return measure(lambda images: {"head": images}, batches, add_over_processes=add)["head"]

    measured(slice(1, None, 2), keep)
    together = measured(slice(0, None, 2), lambda own: own + kept.pop(0))
    alone = measured(slice(None), lambda own: own)
    assert kept == []
    assert together.num_images == alone.num_images == 101
    assert (together.top1, together.top5) == (alone.top1, alone.top5)
    assert (together.nll, together.ece) == pytest.approx((alone.nll, alone.ece), rel=1e-12)


def test_with_fewer_than_five_classes_every_image_is_a_top5_hit() -> None:
    measured = totals(torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([0]))
    assert measured[1:3].tolist() == [0, 1]


def test_a_test_set_without_images_is_refused() -> None:
    with pytest.raises(ValueError, match="no image"):
        measure(lambda images: {"head": images}, [])


# Newcombe (1998), Statistics in Medicine 17, table I, method 3 (score, no continuity correction)
@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_equals_the_published_examples(
    successes: int, trials: int, low: float, high: float
) -> None:
    assert wilson_interval(successes / trials, trials) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("share", "trials"), [(0.5, 0), (1.1, 10), (-0.1, 10), (float("nan"), 10)])
def test_wilson_interval_refuses_what_is_no_share(share: float, trials: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        wilson_interval(share, trials)


def test_an_accuracy_knows_its_interval() -> None:
    accuracy = Accuracy(num_images=263, top1=81 / 263, top5=1.0, nll=0.5, ece=0.1)
    assert accuracy.top1_interval() == wilson_interval(81 / 263, 263)
