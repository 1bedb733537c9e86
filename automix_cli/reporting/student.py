"""Means over few runs and how sure they are: Student's t, exact for whole degrees of freedom."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A mean over runs.

    Args:
        values: One a run, in the order of the seeds; at least one.
        mean: Their mean.
        deviation: Sample standard deviation (n - 1); None for a single run, which has none.
        interval: 95 % interval of the mean by Student's t; None for a single run.
    """

    values: tuple[float, ...]
    mean: float
    deviation: float | None
    interval: tuple[float, float] | None

    @property
    def n(self) -> int:
        """Number of runs."""
        return len(self.values)


def estimate(values: Sequence[float]) -> Estimate:
    """Mean, sample standard deviation and 95 % interval of the mean.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("values must hold at least one number, got none")
    mean = statistics.fmean(values)
    if len(values) == 1:
        return Estimate(tuple(values), mean, None, None)
    deviation = statistics.stdev(values)
    half = student_quantile(0.975, len(values) - 1) * deviation / math.sqrt(len(values))
    return Estimate(tuple(values), mean, deviation, (mean - half, mean + half))


def student_quantile(probability: float, degrees: int) -> float:
    """The value below which a t-distributed number lies with a probability.

    Args:
        probability: In [0.5, 1), at most 1 - 1e-9.
        degrees: Degrees of freedom, >= 1.

    Returns:
        A number >= 0, to about twelve digits.

    Raises:
        ValueError: an argument is out of range.

    Source:
        Bisection of `share_within`.
    """
    if not 0.5 <= probability <= 1 - 1e-9:
        raise ValueError(f"probability must be in [0.5, 1 - 1e-9], got {probability}")
    if degrees < 1:
        raise ValueError(f"degrees must be at least 1, got {degrees}")
    wanted = 2 * probability - 1
    low, high = 0.0, math.pi / 2  # of the angle, in which the share is smooth
    for _ in range(80):
        middle = (low + high) / 2
        if share_within(middle, degrees) < wanted:
            low = middle
        else:
            high = middle
    return math.sqrt(degrees) * math.tan((low + high) / 2)


def share_within(angle: float, degrees: int) -> float:
    """The probability that |t| is at most sqrt(degrees) * tan(angle).

    Args:
        angle: In [0, pi / 2].
        degrees: Degrees of freedom, >= 1.

    Source:
        Abramowitz and Stegun (1964), 26.7.3 and 26.7.4: finite sums. No difference.
    """
    is_odd = degrees % 2 == 1
    term = math.cos(angle) if is_odd else 1.0
    total = 0.0
    for exponent in range(1 if is_odd else 0, degrees - 1, 2):
        total += term
        term *= (exponent + 1) / (exponent + 2) * math.cos(angle) ** 2
    if is_odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total
