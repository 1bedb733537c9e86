"""Means over few runs: against numbers that R 4 gave, and against properties of Student's t."""

import math
import statistics

import pytest

from automix_cli.reporting.student import estimate, share_within, student_quantile

QT_OF_R = {
    1: 12.7062047361747,
    2: 4.30265272974946,
    3: 3.18244630528371,
    4: 2.77644510519779,
    5: 2.57058183563631,
    9: 2.2621571627982,
    29: 2.04522964213270,
    30: 2.04227245630124,
}
"""`qt(0.975, df)` by degrees of freedom."""


@pytest.mark.parametrize(("degrees", "expected"), QT_OF_R.items())
def test_the_quantiles_are_those_of_r(degrees: int, expected: float) -> None:
    assert student_quantile(0.975, degrees) == pytest.approx(expected, rel=1e-12)


def test_one_degree_is_cauchy_and_many_are_normal() -> None:
    assert student_quantile(0.9, 1) == pytest.approx(math.tan(math.pi * 0.4), rel=1e-12)
    normal = statistics.NormalDist().inv_cdf(0.975)
    assert student_quantile(0.975, 100_000) == pytest.approx(normal, rel=1e-4)


@pytest.mark.parametrize("degrees", [1, 2, 3, 8, 15])
def test_the_share_is_the_integral_of_the_density(degrees: int) -> None:
    def density(t: float) -> float:
        log = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)
        power = (1 + t**2 / degrees) ** (-(degrees + 1) / 2)
        return math.exp(log) / math.sqrt(degrees * math.pi) * power

    end, parts = 1.7, 20_000
    width = end / parts
    integral = 2 * width * sum(density((part + 0.5) * width) for part in range(parts))
    angle = math.atan(end / math.sqrt(degrees))
    assert share_within(angle, degrees) == pytest.approx(integral, abs=1e-9)


def test_an_interval_is_mean_plus_minus_quantile_times_standard_error() -> None:
    got = estimate([68.24, 69.1, 67.95])
    assert got.mean == pytest.approx(68.43)
    assert got.deviation == pytest.approx(math.sqrt((0.19**2 + 0.67**2 + 0.48**2) / 2))
    half = 4.30265272974946 * math.sqrt((0.19**2 + 0.67**2 + 0.48**2) / 6)
    assert got.interval == pytest.approx((68.43 - half, 68.43 + half))
    assert got.n == 3


def test_a_single_run_has_no_deviation_and_no_interval() -> None:
    got = estimate([0.5])
    assert (got.mean, got.deviation, got.interval, got.n) == (0.5, None, None, 1)


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda: estimate([]), "at least one number"),
        (lambda: student_quantile(0.4, 1), "probability"),
        (lambda: student_quantile(1.0, 1), "probability"),
        (lambda: student_quantile(0.9, 0), "degrees"),
    ],
)
def test_what_has_no_answer_is_refused(call, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        call()
