"""Methods compared over seeds: plain numbers in, rows for tables, files and the figure out.

Runs of one seed share their first weights and the order and augmentation of images, whatever the
method, so two methods are compared by their differences seed by seed. All intervals are over seeds:
they say nothing of how well the test set stands for other images.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from automix_cli.reporting.student import Estimate, estimate

SCHEMA_VERSION = 1
MEASURES = ("top1", "classifier_top1", "nll", "ece")
"""What is averaged over seeds: `top1` of the network and head the run stands for, the top-1 of the
trained classifier's one-hot head, and of the first negative log-likelihood and calibration error.
Shares are fractions."""

DETECTION_MEASURES = ("ap", "ap50", "ap75")
"""The same of detectors: average precision, and at an IoU of 0.5 and 0.75. Fractions."""

COSTS = ("seconds_per_epoch", "images_per_second", "peak_memory_bytes")
"""Of what the median over seeds is taken. Seconds are those of training steps, without evaluation
and saving."""


@dataclass(frozen=True)
class RunResult:
    """The numbers of one finished run; a measure that the run has not is left out."""

    folder: str
    seed: int
    measures: Mapping[str, float]
    costs: Mapping[str, float]


@dataclass(frozen=True)
class Row:
    """One method, or variant of it, over its seeds.

    Args:
        name: What the tables call it.
        method: The setting `mix.method`.
        runs: Ordered by seed, each seed once.
        measures: By name, where every run has it.
        costs: Medians by name, where every run has it.
        cost_ratio: Seconds per epoch over the baseline's; None without a baseline.
        difference: Score minus the baseline's, over the seeds of both; None without.
        is_best: Whether no other row has a higher mean score.
        is_tied: Whether the 95 % interval of its difference to the best row holds 0; None where
            fewer than two seeds are shared, so that nothing can be said.
        score: Which measure decides: `top1`, or `ap` of detectors.
    """

    name: str
    method: str
    runs: tuple[RunResult, ...]
    measures: Mapping[str, Estimate]
    costs: Mapping[str, float]
    cost_ratio: float | None = None
    difference: Estimate | None = None
    is_best: bool = False
    is_tied: bool | None = None
    score: str = "top1"

    @property
    def mean_score(self) -> Estimate:
        """The measure that decides."""
        return self.measures[self.score]


@dataclass(frozen=True)
class Comparison:
    """A whole comparison.

    Args:
        subject: What was compared on: `preset`, `dataset`, `num_images`, `stands_for`, `seeds`.
        rows: One a method, in the order asked for.
        baseline: Name of the row that ratios and differences refer to, or None.
        missing: By run that is not there, why.
        notes: Sentences a reader must know.
    """

    subject: Mapping[str, Any]
    rows: tuple[Row, ...]
    baseline: str | None
    missing: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def score(self) -> str:
        """The measure that decides; the same for all rows."""
        return self.rows[0].score

    @property
    def measured(self) -> tuple[str, ...]:
        """What can be measured of such networks."""
        return DETECTION_MEASURES if self.score == "ap" else MEASURES


def compare_rows(
    groups: Mapping[str, tuple[str, Sequence[RunResult]]], baseline: str | None
) -> tuple[Row, ...]:
    """Average over seeds, refer to the baseline, and find the best and what ties with it.

    Args:
        groups: By name, the method and its runs; at least one run each.
        baseline: One of the names, or None.
    """
    runs = {name: sorted(each, key=lambda run: run.seed) for name, (_, each) in groups.items()}
    measures = {name: _estimates(each) for name, each in runs.items()}
    costs = {name: _medians(each) for name, each in runs.items()}
    score = "ap" if all("ap" in each for each in measures.values()) else "top1"
    top = max(each[score].mean for each in measures.values())
    best = next(name for name in groups if measures[name][score].mean == top)
    rows: list[Row] = []
    for name, (method, _) in groups.items():
        to_best = paired_difference(runs[best], runs[name], score)
        is_best = measures[name][score].mean == top
        base = None if baseline is None else costs[baseline]
        others = [] if baseline in {None, name} else runs[str(baseline)]
        rows.append(
            Row(
                name,
                method,
                tuple(runs[name]),
                measures[name],
                costs[name],
                None if base is None else _ratio(costs[name], base),
                paired_difference(runs[name], others, score),
                is_best,
                None if is_best else _holds_zero(to_best),
                score,
            )
        )
    return tuple(rows)


def paired_difference(
    runs: Sequence[RunResult], others: Sequence[RunResult], score: str = "top1"
) -> Estimate | None:
    """Score of one method minus that of another, over the seeds that both have."""
    of_others = {run.seed: run.measures[score] for run in others}
    shared = [run for run in runs if run.seed in of_others]
    if not shared:
        return None
    return estimate([run.measures[score] - of_others[run.seed] for run in shared])


def _estimates(runs: Sequence[RunResult]) -> dict[str, Estimate]:
    return {
        name: estimate([run.measures[name] for run in runs])
        for name in (*MEASURES, *DETECTION_MEASURES)
        if all(name in run.measures for run in runs)
    }


def _medians(runs: Sequence[RunResult]) -> dict[str, float]:
    return {
        name: statistics.median(run.costs[name] for run in runs)
        for name in COSTS
        if all(name in run.costs for run in runs)
    }


def _ratio(costs: Mapping[str, float], base: Mapping[str, float]) -> float | None:
    name = "seconds_per_epoch"
    return costs[name] / base[name] if name in costs and name in base else None


def _holds_zero(difference: Estimate | None) -> bool | None:
    if difference is None or difference.interval is None:
        return None
    low, high = difference.interval
    return low <= 0 <= high


def comparison_record(comparison: Comparison) -> dict[str, Any]:
    """A comparison as plain values for `compare.json`; accuracies are fractions."""
    return {
        "schema_version": SCHEMA_VERSION,
        **comparison.subject,
        "baseline": comparison.baseline,
        "methods": [_row_record(row, comparison.measured) for row in comparison.rows],
        "missing": dict(comparison.missing),
        "notes": list(comparison.notes),
    }


def _row_record(row: Row, measured: Sequence[str]) -> dict[str, Any]:
    return {
        "name": row.name,
        "method": row.method,
        "runs": [run.folder for run in row.runs],
        "seeds": [run.seed for run in row.runs],
        **{name: _estimate_record(row.measures.get(name)) for name in measured},
        **{name: row.costs.get(name) for name in COSTS},
        "cost_ratio": row.cost_ratio,
        f"{row.score}_minus_baseline": _estimate_record(row.difference),
        "is_best": row.is_best,
        "is_tied_with_best": row.is_tied,
    }


def _estimate_record(value: Estimate | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {
        "n": value.n,
        "mean": value.mean,
        "deviation": value.deviation,
        "interval": None if value.interval is None else list(value.interval),
        "values": list(value.values),
    }
