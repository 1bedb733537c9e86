"""What a learned mixer's classifier is asked, against formulas written out."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from automix_cli.method import AutoMixOptions, Combination, Pairing
from automix_cli.method.classifier_loss import class_weights, clean_loss, mixture_loss

LABELS = torch.tensor([0, 1, 2, 1])
LOGITS = torch.tensor([[2.0, -1, 0, 1], [0.5, 0, -2, 1], [1, 1, 3, -1], [0, 2, 0.1, -0.3]])
PAIRING = Pairing(torch.tensor([0.7, 0.2, 1.0, 0.4]), torch.tensor([1, 0, 2, 3]))
PAIRS = Combination.of_pairs(PAIRING)
THREE = Combination(
    torch.tensor([[0.2, 0.5, 0.3]]).repeat(4, 1),
    torch.tensor([[0, 1, 2], [3, 1, 0], [2, 2, 1], [1, 3, 0]]),
)


def asked(**options: Any) -> AutoMixOptions:
    return AutoMixOptions(**options)


def targets(combination: Combination) -> Tensor:
    """Rows of class shares, one number after the other."""
    table = torch.zeros(4, 4)
    for i in range(4):
        for j, source in enumerate(combination.sources[i]):
            table[i, LABELS[source]] += combination.lam[i, j]
    return table


@pytest.mark.parametrize("combination", [PAIRS, THREE], ids=["pairs", "three images"])
def test_classes_count_with_the_shares_of_their_images(combination: Combination) -> None:
    torch.testing.assert_close(class_weights(LABELS, combination, 4), targets(combination))


@pytest.mark.parametrize("combination", [PAIRS, THREE], ids=["pairs", "three images"])
def test_cross_entropy_is_torch_s_with_these_targets(combination: Combination) -> None:
    got = mixture_loss(LOGITS, LABELS, combination, asked(label_smoothing=0.1))
    wanted = F.cross_entropy(LOGITS, targets(combination), label_smoothing=0.1)
    torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("combination", [PAIRS, THREE], ids=["pairs", "three images"])
def test_bce_asks_of_each_class_for_itself(combination: Combination) -> None:
    got = mixture_loss(LOGITS, LABELS, combination, asked(loss="bce"))
    shares = targets(combination)
    present, absent = F.logsigmoid(LOGITS), F.logsigmoid(-LOGITS)
    wanted = -(shares * present + (1 - shares) * absent).sum(dim=1).mean()
    torch.testing.assert_close(got, wanted)


def test_bce_of_unmixed_images_is_that_of_mixtures_of_one_image() -> None:
    alone = Combination(torch.ones(4, 1), torch.arange(4).view(4, 1))
    options = asked(loss="bce", label_smoothing=0.2)
    torch.testing.assert_close(
        clean_loss(LOGITS, LABELS, options), mixture_loss(LOGITS, LABELS, alone, options)
    )


def test_the_decoupled_loss_is_added_with_its_weight() -> None:
    plain = mixture_loss(LOGITS, LABELS, PAIRS, asked())
    both = mixture_loss(LOGITS, LABELS, PAIRS, asked(decoupled_weight=0.5))
    decoupled = 0.0
    for i, row in enumerate(targets(PAIRS)):
        shown = {c for c in range(4) if row[c] > 0}
        for c in shown:
            others = [LOGITS[i, d].exp() for d in range(4) if d not in shown]
            decoupled += float(-(LOGITS[i, c].exp() / (LOGITS[i, c].exp() + sum(others))).log())
    assert float(both - plain) == pytest.approx(0.5 * decoupled / 4, rel=1e-5)


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="decoupled_weight"):
        asked(decoupled_weight=-0.1)
