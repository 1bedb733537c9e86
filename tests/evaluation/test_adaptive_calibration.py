"""The error over bins of equal mass, from cells, against sorting."""

import numpy as np
import pytest
import torch

from automix_cli.evaluation.adaptive_calibration import adaptive_error, cell_totals
from automix_cli.evaluation.totals import Predictions, predictions

UNCERTAINTY_CALIBRATION_ECE_EM = 0.14010061856417858
"""Of the fixture `overconfident`, 10 bins: `get_ece_em` of uncertainty-calibration 0.1.4."""


def by_sorting(scored: Predictions, num_bins: int) -> float:
    """The definition; images must divide evenly among the bins."""
    confidence, predicted = scored.log_probabilities.exp().max(1)
    order = confidence.argsort(stable=True)
    hits = (predicted == scored.labels).double()[order].view(num_bins, -1)
    gaps = hits.sum(1) - confidence[order].view(num_bins, -1).sum(1)
    return float(gaps.abs().sum() / len(order))


def test_it_equals_the_number_another_library_gave(overconfident) -> None:
    error = adaptive_error(cell_totals(overconfident), 10)
    assert error.value == pytest.approx(UNCERTAINTY_CALIBRATION_ECE_EM, rel=1e-9)


@pytest.mark.parametrize("scale", [0.1, 3.0, 12.0, 40.0], ids="logits of deviation {}".format)
@pytest.mark.parametrize("num_classes", [2, 100])
def test_it_is_within_its_bound_of_sorting(scale: float, num_classes: int) -> None:
    generator = torch.Generator().manual_seed(5)
    logits = scale * torch.randn(6000, num_classes, generator=generator).double()
    labels = torch.randint(num_classes, (6000,), generator=generator)
    scored = predictions(logits, labels)
    error = adaptive_error(cell_totals(scored), 15)
    assert abs(error.value - by_sorting(scored, 15)) <= error.bound + 1e-12
    if scale in (3, 12):  # all confidences lie in few cells with 0.1, and most are 1 with 40
        assert error.bound < 0.005


def test_equal_confidences_give_one_number_in_any_order() -> None:
    logits = torch.tensor([[2.0, 0.0]], dtype=torch.float64).expand(100, 2)
    labels = torch.arange(100) % 2
    orders = (torch.arange(100), labels.argsort(), labels.argsort(descending=True))
    values = {
        adaptive_error(cell_totals(predictions(logits, labels[order])), 10).value
        for order in orders
    }
    assert len(values) == 1
    confidence = float(torch.sigmoid(torch.tensor(2.0, dtype=torch.float64)))
    assert values.pop() == pytest.approx(confidence - 0.5, rel=1e-9)


def test_sure_predictions_have_a_cell() -> None:
    logits = 1e4 * torch.eye(3, dtype=torch.float64)
    error = adaptive_error(cell_totals(predictions(logits, torch.tensor([0, 1, 0]))), 1)
    assert error.value == pytest.approx(1 / 3)


def test_a_million_samples_in_batches_are_as_exact() -> None:
    rng = np.random.default_rng(0)
    total = torch.zeros(3, 2**16, dtype=torch.float64)
    for _ in range(20):
        logits = torch.from_numpy(rng.normal(0, 3, (50_000, 3)))
        total += cell_totals(predictions(logits, torch.from_numpy(rng.integers(3, size=50_000))))
    assert total[0].sum() == 1_000_000
    error = adaptive_error(total, 15)
    assert error.bound < 1e-3
    # labels are drawn at random: right in a third of all cases, however sure
    confidence = float(total[2].sum() / 1e6)
    assert error.value == pytest.approx(confidence - 1 / 3, abs=2e-3)


def test_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match="no image"):
        adaptive_error(torch.zeros(3, 2**16, dtype=torch.float64), 15)
