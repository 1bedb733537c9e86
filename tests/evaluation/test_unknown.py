"""Out-of-distribution detection against recorded numbers of scikit-learn and definitions."""

import numpy as np
import pytest
import torch

from automix_cli.evaluation.unknown import SCORES, detect

SCIKIT = (0.769275, 0.66, 0.8253353286407724, 0.6989215629674091)
"""AUROC, FPR95 and average precision (both ways) by scikit-learn 1.9.1 on the scores below, which
are rounded so that there are many ties."""


def scikit_scores() -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(7)
    logits = rng.normal(0, 2, (500, 4))
    drawn_from = np.exp(logits / 1.7)
    for row in drawn_from / drawn_from.sum(1, keepdims=True):
        rng.choice(4, p=row)  # the recording drew other numbers before
    known, unknown = (np.round(rng.normal(mean, 1, size), 1) for mean, size in ((1, 300), (0, 200)))
    return torch.from_numpy(known), torch.from_numpy(unknown)


def test_detection_equals_the_numbers_scikit_learn_gave() -> None:
    found = detect(*scikit_scores())
    ours = (found.auroc, found.fpr95, found.aupr_known, found.aupr_unknown)
    assert ours == pytest.approx(SCIKIT, rel=1e-12)


def test_scores_that_separate_perfectly_and_not_at_all() -> None:
    low, high = torch.arange(5).double(), torch.arange(5).double() + 10
    perfect = detect(high, low)
    assert (perfect.auroc, perfect.fpr95) == (1, 0)
    assert (perfect.aupr_known, perfect.aupr_unknown) == (1, 1)
    same = detect(torch.ones(4).double(), torch.ones(4).double())
    assert (same.auroc, same.fpr95, same.aupr_known) == (0.5, 1, 0.5)


def test_exchanging_known_and_unknown_is_looking_from_the_other_side() -> None:
    known, unknown = scikit_scores()
    there, back = detect(known, unknown), detect(-unknown, -known)
    assert back.auroc == pytest.approx(there.auroc, rel=1e-12)
    assert back.aupr_known == pytest.approx(there.aupr_unknown, rel=1e-12)


def test_each_score_by_its_definition() -> None:
    logits = torch.tensor([[2.0, 1.0, -1.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(
        SCORES["max_softmax"](logits).exp(), logits.double().softmax(1).amax(1)
    )
    torch.testing.assert_close(SCORES["max_logit"](logits), logits.double().amax(1))
    torch.testing.assert_close(SCORES["energy"](logits), logits.double().exp().sum(1).log())


def test_confidences_that_round_to_one_are_still_told_apart() -> None:
    sure, surer = SCORES["max_softmax"](torch.tensor([[0.0, 30.0], [0.0, 35.0]]))
    assert surer > sure


def test_no_image_is_refused() -> None:
    scores = torch.zeros(3, dtype=torch.float64)
    with pytest.raises(ValueError, match="3 known and 0 unknown"):
        detect(scores, scores[:0])
