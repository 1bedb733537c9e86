"""One pass over the images, whatever is counted."""

import subprocess
import sys
from functools import partial

import pytest
import torch

from automix_cli.evaluation.accuracy import accuracy_totals, class_totals, confusion_totals
from automix_cli.evaluation.adaptive_calibration import cell_totals
from automix_cli.evaluation.calibration import brier_totals, classwise_totals, reliability_totals
from automix_cli.evaluation.totals import Statistic, accumulate, predictions


def test_every_head_and_statistic_is_summed_over_the_batches() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(50, 4, generator=generator), torch.arange(50) % 4
    sums = accumulate(
        lambda images: {"head": images, "opposite": -images},
        zip(logits.split(7), labels.split(7), strict=True),
        {"classes": class_totals, "confusion": confusion_totals},
    )
    assert set(sums) == {"head", "opposite"}
    whole = confusion_totals(predictions(logits, labels))
    assert torch.equal(sums["head"]["confusion"], whole)
    assert torch.equal(sums["head"]["classes"], torch.stack([whole.sum(1), whole.diag()]))
    assert not torch.equal(sums["opposite"]["confusion"], whole)


def test_rows_of_the_confusion_are_true_classes_and_columns_what_they_are_taken_for() -> None:
    scored = predictions(
        torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]), torch.tensor([0, 1, 0])
    )
    assert confusion_totals(scored).tolist() == [[1, 1], [0, 1]]
    assert class_totals(scored).tolist() == [[2, 1], [1, 1]]


@pytest.mark.parametrize(
    "statistic",
    [
        *(accuracy_totals, class_totals, confusion_totals, brier_totals, cell_totals),
        *(partial(reliability_totals, num_bins=15), partial(classwise_totals, num_bins=15)),
    ],
)
def test_a_process_without_images_has_zeros_of_the_others_kind_to_add(statistic: Statistic) -> None:
    of_some = statistic(predictions(torch.randn(3, 4), torch.tensor([0, 1, 3])))
    of_none = statistic(predictions(torch.empty(0, 4), torch.empty(0, dtype=torch.long)))
    assert of_none.dtype == of_some.dtype == torch.float64
    assert torch.equal(of_none, torch.zeros_like(of_some))


def test_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match="no image"):
        accumulate(lambda images: {"head": images}, [], {"classes": class_totals})


MILLION = """
import resource, sys
import numpy as np, torch
from automix_cli.evaluation.accuracy import BASICS, class_totals, confusion_totals
from automix_cli.evaluation.adaptive_calibration import cell_totals
from automix_cli.evaluation.calibration import brier_totals, classwise_totals
from automix_cli.evaluation.totals import accumulate
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
seen = []
def batches():
    rng = np.random.default_rng(0)
    for number in range(2000):
        logits = torch.from_numpy(rng.normal(0, 3, (500, 10)))
        yield logits, torch.from_numpy(rng.integers(10, size=500))
        if number in (99, 1999):
            seen.append(peak())
statistics = {**BASICS, "cells": cell_totals, "classes": class_totals, "brier": brier_totals,
              "confusion": confusion_totals, "classwise": lambda each: classwise_totals(each, 15)}
sums = accumulate(lambda images: {"head": images}, batches(), statistics)
assert sums["head"]["cells"][0].sum() == 1_000_000
print(seen[1] - seen[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "darwin", reason="memory is counted in other units there")
def test_a_million_samples_take_no_more_memory_than_the_first_fifty_thousand() -> None:
    done = subprocess.run([sys.executable, "-c", MILLION], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # keeping nothing but one confidence and one hit of each would take 16,000 KiB
    assert int(done.stdout) < 4000
