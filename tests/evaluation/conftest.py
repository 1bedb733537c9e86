"""Predictions that are sure of too much, the same ones in every process and for every library."""

import numpy as np
import pytest
import torch

from automix_cli.evaluation.totals import Predictions, predictions


@pytest.fixture
def overconfident() -> Predictions:
    """500 predictions for 4 classes whose labels were drawn at a temperature of 1.7."""
    rng = np.random.default_rng(7)
    logits = rng.normal(0, 2, (500, 4))
    drawn_from = np.exp(logits / 1.7)
    drawn_from /= drawn_from.sum(1, keepdims=True)
    labels = np.array([rng.choice(4, p=row) for row in drawn_from])
    return predictions(torch.from_numpy(logits), torch.from_numpy(labels))
