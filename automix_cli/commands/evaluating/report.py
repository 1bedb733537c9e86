"""Everything `automix eval` says of one network, as plain values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from automix_cli.commands.heads import accuracy_record
from automix_cli.evaluation.accuracy import (
    BASICS,
    accuracy_from,
    class_totals,
    confusion_totals,
    wilson_interval,
)
from automix_cli.evaluation.adaptive_calibration import adaptive_error, cell_totals
from automix_cli.evaluation.calibration import (
    Reliability,
    brier_totals,
    classwise_error,
    classwise_totals,
    reliability_totals,
)
from automix_cli.evaluation.logit_sample import LogitSample
from automix_cli.evaluation.temperature import fit_temperature
from automix_cli.evaluation.totals import Predictions, Statistic, accumulate, predictions
from automix_cli.randomness import Purpose, stream

MOST_CLASSES_IN_CONFUSION = 1000
"""A confusion matrix of more classes is not counted: nobody could read it."""


class FittedTemperature(NamedTuple):
    """Logits to judge, what each is divided by, and where that was found."""

    logits: Tensor
    labels: Tensor
    temperatures: tuple[float, ...]  # image i is divided by number i modulo their count
    fitted_on: str


def statistics(num_bins: int, num_classes: int) -> dict[str, Statistic]:
    """What is summed over the test set."""
    chosen: dict[str, Statistic] = {
        **BASICS,
        "bins": partial(reliability_totals, num_bins=num_bins),
        "cells": cell_totals,
        "classwise": partial(classwise_totals, num_bins=num_bins),
        "brier": brier_totals,
        "classes": class_totals,
    }
    if num_classes <= MOST_CLASSES_IN_CONFUSION:
        chosen["confusion"] = confusion_totals
    return chosen


def head_report(
    sums: Mapping[str, Tensor], num_bins: int, class_names: tuple[str, ...]
) -> dict[str, Any]:
    """Accuracy, calibration and classes of one head, from its sums."""
    sums = {name: total.cpu() for name, total in sums.items()}
    confusion = sums.get("confusion")
    return {
        **accuracy_record(accuracy_from(sums)),
        "calibration": calibration_record(sums, num_bins),
        "classes": class_records(sums["classes"], class_names),
        "confusion": None if confusion is None else confusion.long().tolist(),
    }


def calibration_record(sums: Mapping[str, Tensor], num_bins: int) -> dict[str, Any]:
    """Every calibration error, each with what it was measured with."""
    measured = Reliability(sums["bins"])
    adaptive = adaptive_error(sums["cells"], num_bins)
    counts, hits, confidences = sums["bins"].tolist()
    return {
        "num_bins": num_bins,
        "ece": measured.expected_error(),
        "ece_interval": list(measured.interval(stream(Purpose.RESAMPLE, 0))),
        "adaptive_ece": adaptive.value,
        "adaptive_ece_bound": adaptive.bound,
        "classwise_ece": classwise_error(sums["classwise"]),
        "mce": measured.largest_error(),
        "rmsce": measured.root_mean_square_error(),
        "overconfidence": measured.overconfidence(),
        "underconfidence": measured.underconfidence(),
        "brier": float(sums["brier"]) / measured.num_images,
        "bins": {"num_images": counts, "num_right": hits, "sum_of_confidences": confidences},
    }


def class_records(totals: Tensor, class_names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Accuracy of each class with its interval, in label order."""
    records: list[dict[str, Any]] = []
    for name, num_images, right in zip(class_names, *totals.tolist(), strict=True):
        share = right / num_images if num_images else math.nan
        records.append(
            {
                "name": name,
                "num_images": int(num_images),
                "accuracy": share if num_images else None,
                "interval": list(wilson_interval(share, int(num_images))) if num_images else None,
            }
        )
    return records


def kept_logits(
    network: torch.nn.Module, batches: Iterable[tuple[Tensor, Tensor]], sample: LogitSample
) -> None:
    """Put a sample's images through a network, for nothing but their logits."""
    accumulate(lambda images: {"head": network(images)}, batches, {"kept": sample.keep})


def fit(
    test: tuple[Tensor, Tensor], held_out: tuple[Tensor, Tensor] | None
) -> FittedTemperature | None:
    """Find the temperature on images that it is not judged on.

    Args:
        test: Logits and labels of test images.
        held_out: The same of images held out of training; without them each half of the test
            images (every other one) is divided by the temperature of the other half.

    Returns:
        None if there are too few images to divide.
    """
    logits, labels = test
    if held_out is not None:
        where = f"the {len(held_out[1]):,} images held out of training"
        return FittedTemperature(logits, labels, (fit_temperature(*held_out),), where)
    if len(labels) < 2:
        return None
    halves = tuple(fit_temperature(logits[other::2], labels[other::2]) for other in (1, 0))
    return FittedTemperature(logits, labels, halves, "the other half of the test images")


def temperature_record(fitted: FittedTemperature, num_bins: int) -> dict[str, Any]:
    """What dividing by the temperature does, measured on the same test images."""

    def numbers(scored: Predictions) -> dict[str, float]:
        of_label = scored.log_probabilities.gather(1, scored.labels[:, None])
        return {
            "nll": -float(of_label.mean()),
            "ece": Reliability(reliability_totals(scored, num_bins)).expected_error(),
            "adaptive_ece": adaptive_error(cell_totals(scored), num_bins).value,
        }

    divided = fitted.logits.clone()
    for place, temperature in enumerate(fitted.temperatures):
        divided[place :: len(fitted.temperatures)] /= temperature
    return {
        "temperatures": list(fitted.temperatures),
        "fitted_on": fitted.fitted_on,
        "num_images": len(fitted.labels),
        "before": numbers(predictions(fitted.logits, fitted.labels)),
        "after": numbers(predictions(divided, fitted.labels)),
    }
