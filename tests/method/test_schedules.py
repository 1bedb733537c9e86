import math
from dataclasses import replace

import pytest

from automix_cli.method.schedules import (
    LearningRateSchedule,
    learning_rate,
    mask_area_weight,
    momentum_coefficient,
)

CIFAR = LearningRateSchedule(base=0.1, minimum=0.05, epochs=400, steps_per_epoch=500)
TRANSFORMER = LearningRateSchedule(
    base=5e-4, minimum=1e-4, epochs=200, steps_per_epoch=500, unit="step", warmup_epochs=5.0
)


def test_by_epoch_the_rate_starts_at_the_base_and_is_halfway_after_half_the_epochs() -> None:
    assert learning_rate(0, CIFAR) == 0.1
    assert learning_rate(200 * 500, CIFAR) == pytest.approx((0.1 + 0.05) / 2)


def test_by_epoch_the_rate_is_constant_inside_an_epoch_and_not_yet_at_the_minimum() -> None:
    first, last = learning_rate(399 * 500, CIFAR), learning_rate(400 * 500 - 1, CIFAR)
    assert first == last
    assert first == pytest.approx(0.05 + 0.05 * (1 + math.cos(math.pi * 399 / 400)) / 2)
    assert first > 0.05


def test_by_step_the_rate_follows_the_cosine_of_the_step() -> None:
    schedule = replace(TRANSFORMER, warmup_epochs=0.0)
    assert learning_rate(0, schedule) == 5e-4
    assert learning_rate(25_000, schedule) == pytest.approx(
        1e-4 + 4e-4 * (1 + math.cos(math.pi / 4)) / 2
    )
    assert learning_rate(100_000, schedule) == pytest.approx(1e-4)


def test_warm_up_multiplies_the_rate_by_a_factor_that_rises_linearly_to_one() -> None:
    without = replace(TRANSFORMER, warmup_epochs=0.0)
    factors = [
        learning_rate(step, TRANSFORMER) / learning_rate(step, without)
        for step in (0, 625, 1250, 2499, 2500, 2501)
    ]
    assert factors[:3] == pytest.approx([1e-5, 0.25 + 0.75e-5, 0.5 + 0.5e-5])
    assert factors[3] < 1
    assert factors[4:] == [1, 1]


def test_a_constant_schedule_keeps_the_base_and_may_warm_up() -> None:
    schedule = replace(TRANSFORMER, shape="constant")
    assert learning_rate(99_999, schedule) == 5e-4
    assert learning_rate(1250, schedule) == pytest.approx(5e-4 * (0.5 + 0.5e-5))


@pytest.mark.parametrize(
    ("fraction", "end", "expected"),
    [
        (0, 0.999999, 0.999),
        (0.0999, 0.999999, 0.999),
        (0.1, 0.999999, 0.99902445),
        (0.25, 0.999999, 0.99914630),
        (0.5, 0.999999, 0.99949950),
        (0.75, 0.999999, 0.99985270),
        (0.9, 0.999999, 0.99997455),
        (1, 0.999999, 0.999999),
        (0.1, 0.99999, 0.99902423),
        (0.25, 0.99999, 0.99914498),
        (0.5, 0.99999, 0.99949500),
        (0.75, 0.99999, 0.99984502),
        (0.9, 0.99999, 0.99996577),
        (1, 0.99999, 0.99999),
    ],
)
def test_momentum_is_constant_first_and_then_a_cosine_of_the_whole_run(
    fraction: float, end: float, expected: float
) -> None:
    step = round(fraction * 200_000)
    coefficient = momentum_coefficient(step, 200_000, base=0.999, end=end, constant_fraction=0.1)
    assert coefficient == pytest.approx(expected, abs=6e-9)


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [(0.1, 0.999), (0.25, 0.99914059), (0.5, 0.99948), (0.75, 0.99981941), (0.9, 0.99993651)],
)
def test_momentum_of_transformers_is_constant_for_a_quarter(
    fraction: float, expected: float
) -> None:
    step = round(fraction * 200_000)
    coefficient = momentum_coefficient(
        step, 200_000, base=0.999, end=0.99996, constant_fraction=0.25
    )
    assert coefficient == pytest.approx(expected, abs=6e-9)


@pytest.mark.parametrize(
    ("schedule", "at_start", "halfway", "at_end"),
    [("constant", 0.1, 0.1, 0.1), ("cosine", 0.1, 0.05, 0), ("linear", 0.1, 0.05, 0)],
)
def test_the_mask_area_weight_goes_from_the_base_to_zero_unless_constant(
    schedule: str, at_start: float, halfway: float, at_end: float
) -> None:
    weights = [mask_area_weight(step, 1000, base=0.1, schedule=schedule) for step in (0, 500, 1000)]
    assert weights == pytest.approx([at_start, halfway, at_end])


def test_cosine_and_linear_differ_at_a_quarter() -> None:
    cosine, linear = (
        mask_area_weight(250, 1000, base=0.1, schedule=schedule)
        for schedule in ("cosine", "linear")
    )
    assert cosine == pytest.approx(0.05 * (1 + math.cos(math.pi / 4)))
    assert linear == pytest.approx(0.075)


def test_the_compounding_weight_is_the_product_of_all_cosine_factors_so_far() -> None:
    weight = 0.1
    for step in range(301):
        weight *= (1 + math.cos(math.pi * step / 300)) / 2
        closed = mask_area_weight(step, 300, base=0.1, schedule="openmixup_compounding")
        assert closed == pytest.approx(weight, rel=1e-9, abs=1e-300)


def test_the_compounding_weight_of_imagenet_is_at_a_tenth_after_8884_of_500500_steps() -> None:
    before, after = (
        mask_area_weight(step, 500_500, base=0.1, schedule="openmixup_compounding")
        for step in (8883, 8884)
    )
    assert after <= 0.01 < before


@pytest.mark.parametrize("step", [-1, 11])
def test_a_step_outside_the_run_is_refused(step: int) -> None:
    with pytest.raises(ValueError, match=rf"`step` must be in \[0, 10\], got `{step}`"):
        learning_rate(step, LearningRateSchedule(base=0.1, epochs=5, steps_per_epoch=2))
    with pytest.raises(ValueError, match="`step` must be"):
        momentum_coefficient(step, 10, base=0.9, end=1.0, constant_fraction=0.1)
    with pytest.raises(ValueError, match="`step` must be"):
        mask_area_weight(step, 10, base=0.1, schedule="cosine")
