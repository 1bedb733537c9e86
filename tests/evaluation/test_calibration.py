"""Calibration errors against torchmetrics, recorded numbers of other libraries, and identities."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from automix_cli.evaluation.calibration import (
    Reliability,
    bins_of,
    brier_totals,
    classwise_error,
    classwise_totals,
    reliability_totals,
)
from automix_cli.evaluation.totals import Predictions, predictions

# Of the fixture `overconfident`: netcal 1.4.0 (ECE, MCE), scikit-learn 1.9.1 (Brier)
NETCAL_ECE = {10: 0.1313168947478054, 15: 0.1360880010807057}
NETCAL_MCE = {10: 0.3685501157037318, 15: 0.2207468665374698}
SCIKIT_BRIER = 0.6113217061293922


def reliability(scored: Predictions, num_bins: int) -> Reliability:
    return Reliability(reliability_totals(scored, num_bins))


def part(scored: Predictions, rows: slice) -> Predictions:
    return Predictions(*(each[rows] for each in scored))


@pytest.mark.parametrize("num_bins", [10, 15])
def test_ece_and_mce_equal_the_numbers_netcal_gave(overconfident, num_bins: int) -> None:
    measured = reliability(overconfident, num_bins)
    assert measured.expected_error() == pytest.approx(NETCAL_ECE[num_bins], rel=1e-12)
    assert measured.largest_error() == pytest.approx(NETCAL_MCE[num_bins], rel=1e-12)


@pytest.mark.parametrize("num_bins", [1, 10, 15, 100])
@pytest.mark.parametrize("num_classes", [2, 30])
def test_errors_equal_torchmetrics(num_bins: int, num_classes: int) -> None:
    generator = torch.Generator().manual_seed(num_bins)
    logits = 3 * torch.randn(700, num_classes, generator=generator)
    labels = torch.randint(num_classes, (700,), generator=generator)
    measured = reliability(predictions(logits, labels), num_bins)
    ours = (
        measured.expected_error(),
        measured.root_mean_square_error(),
        measured.largest_error(),
    )
    theirs = [
        float(
            multiclass_calibration_error(
                logits.softmax(1), labels, num_classes, n_bins=num_bins, norm=norm
            )
        )
        for norm in ("l1", "l2", "max")
    ]
    assert ours == pytest.approx(theirs, abs=1e-5)  # they add up in float32


def test_ece_is_overconfidence_plus_underconfidence_and_their_difference_the_mean_gap(
    overconfident,
) -> None:
    measured = reliability(overconfident, 15)
    over, under = measured.overconfidence(), measured.underconfidence()
    assert over > under > 0
    assert over + under == pytest.approx(measured.expected_error(), rel=1e-12)
    confidence, predicted = overconfident.log_probabilities.exp().max(1)
    gap = confidence.mean() - (predicted == overconfident.labels).double().mean()
    assert over - under == pytest.approx(float(gap), rel=1e-9)


def test_a_probability_on_an_edge_belongs_to_the_bin_below() -> None:
    edges = torch.linspace(0, 1, 16, dtype=torch.float64)
    assert bins_of(edges, 15).tolist() == [0, *range(15)]
    above = torch.nextafter(edges[:-1], torch.ones(15, dtype=torch.float64))
    assert bins_of(above, 15).tolist() == list(range(15))


def test_a_classifier_that_is_right_as_often_as_it_says_has_no_error() -> None:
    logits = torch.tensor([[3.0, 1.0]], dtype=torch.float64).log().expand(400, 2)
    labels = torch.cat([torch.zeros(300), torch.ones(100)]).long()  # right in 3 of 4
    measured = reliability(predictions(logits, labels), 15)
    assert measured.expected_error() == pytest.approx(0, abs=1e-12)
    assert classwise_error(classwise_totals(predictions(logits, labels), 15)) == pytest.approx(
        0, abs=1e-12
    )


def test_the_one_bin_error_of_a_sure_classifier_is_its_error() -> None:
    logits = 1e4 * torch.nn.functional.one_hot(torch.tensor([0, 1, 2, 0])).double()
    measured = reliability(predictions(logits, torch.tensor([0, 1, 2, 1])), 15)
    assert measured.expected_error() == pytest.approx(0.25)
    assert measured.accuracies[-1] == 0.75


def test_classwise_error_is_the_mean_of_a_loop_over_classes_and_bins(overconfident) -> None:
    probabilities = overconfident.log_probabilities.exp().numpy()
    labels = overconfident.labels.numpy()
    errors = []
    for k in range(4):
        own = probabilities[:, k]
        for low in np.arange(10) / 10:
            inside = (own > low) & (own <= low + 0.1)
            errors.append(abs(own[inside].sum() - (labels[inside] == k).sum()) / 500)
    ours = classwise_error(classwise_totals(overconfident, 10))
    assert ours == pytest.approx(sum(errors) / 4, rel=1e-9)


def test_brier_equals_the_number_scikit_learn_gave(overconfident) -> None:
    assert float(brier_totals(overconfident)) / 500 == pytest.approx(SCIKIT_BRIER, rel=1e-12)


@pytest.mark.parametrize(
    "statistic", [reliability_totals, classwise_totals], ids=["reliability", "classwise"]
)
def test_totals_of_parts_add_up_to_those_of_the_whole(overconfident, statistic) -> None:
    parts = [part(overconfident, slice(start, start + 77)) for start in range(0, 500, 77)]
    total = sum(statistic(each, 15) for each in parts)
    torch.testing.assert_close(total, statistic(overconfident, 15), rtol=1e-12, atol=1e-12)


def test_the_interval_holds_the_estimate_and_repeats_with_its_generator(overconfident) -> None:
    measured = reliability(overconfident, 15)
    low, high = measured.interval(np.random.default_rng(0))
    assert 0 < low < measured.expected_error() < high
    assert (low, high) == measured.interval(np.random.default_rng(0))


def test_the_interval_covers_the_true_error_of_a_known_classifier() -> None:
    """Confidence 0.9, right in 80 %: the true ECE is 0.1. 95 of 100 intervals should hold it."""
    rng = np.random.default_rng(1)
    held = 0
    for right in rng.binomial(1000, 0.8, size=200):
        totals = torch.zeros(3, 15, dtype=torch.float64)
        totals[:, 13] = torch.tensor([1000.0, float(right), 900.0])
        low, high = Reliability(totals).interval(rng, num_resamples=400)
        held += low <= 0.1 <= high
    assert 0.9 <= held / 200 <= 0.99


def test_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match="no image"):
        Reliability(torch.zeros(3, 15, dtype=torch.float64))
