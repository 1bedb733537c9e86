"""Which loss reaches which part."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from automix_cli.method import AutoMix, Draws

MakeAutoMix = Callable[..., AutoMix]
WEIGHT = 0.1  # of the mask-area loss


def reached(automix: AutoMix) -> set[str]:
    """Parts of the module in which some parameter has a gradient that is not zero."""
    return {
        ".".join(name.split(".")[:2])
        for name, parameter in automix.named_parameters()
        if parameter.grad is not None and parameter.grad.any()
    }


@pytest.mark.parametrize(
    ("loss", "parts"),
    [
        ("one_hot", {"classifier.backbone", "classifier.head_one_hot"}),
        ("mixed", {"classifier.backbone", "classifier.head_mixed"}),
        ("mix_block", {"mix_block.query", "mix_block.value"}),
        ("mask_area", {"mix_block.query", "mix_block.value"}),
    ],
)
def test_each_loss_reaches_its_own_parts_only(
    make_automix: MakeAutoMix,
    images: Tensor,
    labels: Tensor,
    draws: Draws,
    loss: str,
    parts: set[str],
) -> None:
    automix = make_automix(mask_area_margin=0.0)
    getattr(automix(images, labels, draws, WEIGHT), loss).backward()
    assert reached(automix) == parts


def test_the_total_trains_classifier_and_mix_block_with_the_gradients_of_their_losses(
    make_automix: MakeAutoMix, images: Tensor, labels: Tensor, draws: Draws
) -> None:
    automix = make_automix(mask_area_margin=0.0)
    losses = automix(images, labels, draws, WEIGHT)
    for part, own in (
        (automix.classifier, losses.one_hot + losses.mixed),
        (automix.mix_block, losses.mix_block + WEIGHT * losses.mask_area),
    ):
        parameters = list(part.parameters())
        torch.testing.assert_close(
            torch.autograd.grad(losses.total, parameters, retain_graph=True),
            torch.autograd.grad(own, parameters, retain_graph=True),
        )


def test_only_the_mix_blocks_mask_carries_a_graph(
    make_automix: MakeAutoMix, images: Tensor, draws: Draws
) -> None:
    masks = make_automix().masks(images, draws)
    assert masks.for_mix_block.requires_grad
    assert not masks.for_classifier.requires_grad


def test_the_optimizer_does_not_move_the_momentum_classifier(
    make_automix: MakeAutoMix, images: Tensor, labels: Tensor, draws: Draws
) -> None:
    automix = make_automix()
    before = copy.deepcopy(list(automix.momentum_classifier.parameters()))
    optimizer = torch.optim.SGD(automix.parameters(), lr=1.0, weight_decay=0.1)
    automix(images, labels, draws, WEIGHT).total.backward()
    optimizer.step()
    after = list(automix.momentum_classifier.parameters())
    assert not any(parameter.requires_grad for parameter in after)
    assert all(map(torch.equal, before, after))


def test_a_skipped_step_spares_the_momentum_pass_and_still_gives_the_mix_block_a_gradient(
    make_automix: MakeAutoMix, images: Tensor, labels: Tensor, draws: Draws
) -> None:
    automix = make_automix()
    losses = automix(images, labels, draws._replace(skip_mix_block=True), 0.0)
    losses.total.backward()
    assert losses.mix_block == 0
    assert automix.momentum_classifier.backbone.bn3.num_batches_tracked == 1
    assert all((p.grad == 0).all() for p in automix.mix_block.parameters())
    assert reached(automix) >= {"classifier.backbone"}
