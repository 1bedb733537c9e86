"""Temperature scaling finds the one minimum."""

import pytest
import torch
import torch.nn.functional as F

from automix_cli.evaluation.temperature import LARGEST, fit_temperature

SCIPY_TEMPERATURE, SCIPY_NLL = 1.7479418097314163, 1.0680050389252675
"""Of the fixture `overconfident`: `scipy.optimize.minimize_scalar`, scipy 1.17.1."""


def test_it_equals_the_minimum_scipy_found(overconfident) -> None:
    temperature = fit_temperature(overconfident.logits, overconfident.labels)
    assert temperature == pytest.approx(SCIPY_TEMPERATURE, rel=1e-6)
    nll = F.cross_entropy(overconfident.logits / temperature, overconfident.labels)
    assert float(nll) == pytest.approx(SCIPY_NLL, rel=1e-12)


@pytest.mark.parametrize("factor", [0.01, 0.3, 4.0, 50.0])
def test_logits_times_a_factor_need_the_temperature_times_that_factor(
    overconfident, factor: float
) -> None:
    scaled = fit_temperature(factor * overconfident.logits, overconfident.labels)
    assert scaled == pytest.approx(factor * SCIPY_TEMPERATURE, rel=1e-6)


def test_where_every_image_is_recognised_it_stops_at_the_smallest() -> None:
    logits = torch.eye(3, dtype=torch.float64)
    assert fit_temperature(logits, torch.arange(3)) == pytest.approx(1 / LARGEST, rel=0.01)


def test_where_everything_is_wrong_it_stops_at_the_largest() -> None:
    logits = torch.eye(3, dtype=torch.float64)
    assert fit_temperature(logits, torch.tensor([1, 2, 0])) == pytest.approx(LARGEST, rel=0.01)


def test_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match="no image"):
        fit_temperature(torch.zeros(0, 3).double(), torch.zeros(0).long())
