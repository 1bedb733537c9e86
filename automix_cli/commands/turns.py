"""Measuring several things in turns, so that a busy machine slows all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Rounds:
    """What was measured of one thing, round by round: seconds, or images per second."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return median(self.values)

    def ratios(self, other: Rounds) -> tuple[float, ...]:
        """Each round of this over the same round of another: what a busy machine leaves alone."""
        return tuple(one / two for one, two in zip(self.values, other.values, strict=True))


def in_turns(measures: Sequence[Callable[[int], float]], rounds: int) -> list[Rounds]:
    """Measure several things `rounds` times each, taking turns, after a round that does not count.

    Args:
        measures: From the number of a round, counted from 0, to what is measured.
        rounds: At least 1.
    """
    found = [[measure(number) for measure in measures] for number in range(rounds + 1)]
    return [Rounds(tuple(column)) for column in zip(*found[1:], strict=True)]
