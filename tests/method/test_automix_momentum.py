"""How the momentum classifier lives inside AutoMix."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from automix_cli.method import AutoMix, AutoMixOptions, Draws

MakeAutoMix = Callable[..., AutoMix]
WEIGHT = 0.1  # of the mask-area loss


def buffers_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in network.named_buffers()}


def test_it_starts_as_a_copy_and_can_be_loaded_to_differ(make_automix: MakeAutoMix) -> None:
    automix, other = make_automix(), make_automix()
    ours, theirs = automix.classifier.state_dict(), automix.momentum_classifier.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    state = automix.state_dict()
    state |= {f"momentum_classifier.{k}": v for k, v in other.classifier.state_dict().items()}
    automix.load_state_dict(state)
    assert not torch.equal(
        automix.classifier.backbone.conv1.weight,
        automix.momentum_classifier.backbone.conv1.weight,
    )


def test_after_a_step_it_is_the_weighted_mean_and_its_own_forwards_moved_its_buffers(
    make_automix: MakeAutoMix, images: Tensor, labels: Tensor, draws: Draws
) -> None:
    automix = make_automix()
    old = copy.deepcopy(list(automix.momentum_classifier.parameters()))
    optimizer = torch.optim.SGD(automix.classifier.parameters(), lr=0.1)
    automix(images, labels, draws, WEIGHT).total.backward()
    optimizer.step()
    buffers = buffers_of(automix.momentum_classifier)
    automix.update_momentum(0.9)

    new = zip(
        automix.momentum_classifier.parameters(), automix.classifier.parameters(), strict=True
    )
    for (now, leader), before in zip(new, old, strict=True):
        torch.testing.assert_close(now.detach(), 0.9 * before + 0.1 * leader)
    for name, buffer in automix.momentum_classifier.named_buffers():
        assert torch.equal(buffer, buffers[name])
    assert buffers["backbone.bn3.num_batches_tracked"] == 2


def test_averaged_buffers_follow_the_classifiers_and_not_its_own_forwards(
    make_automix: MakeAutoMix, images: Tensor, labels: Tensor, draws: Draws
) -> None:
    automix = make_automix(momentum_buffers="average")
    before = buffers_of(automix.momentum_classifier)
    automix(images, labels, draws, WEIGHT)
    for name, buffer in automix.momentum_classifier.named_buffers():
        assert torch.equal(buffer, before[name])

    automix.update_momentum(0.75)
    leaders = buffers_of(automix.classifier)
    for name, buffer in automix.momentum_classifier.named_buffers():
        if buffer.is_floating_point():
            expected = 0.75 * before[name] + 0.25 * leaders[name]
            torch.testing.assert_close(buffer, expected)
        else:
            assert buffer == leaders[name] == 2


def test_an_early_clean_pass_changes_late_buffers_and_nothing_else(
    make_automix: MakeAutoMix, images: Tensor, labels: Tensor, draws: Draws
) -> None:
    full, early = make_automix(), make_automix(momentum_clean_pass="early")
    early.load_state_dict(full.state_dict())
    results = [automix(images, labels, draws, WEIGHT) for automix in (full, early)]
    assert all(map(torch.equal, *results))
    gradients = [
        torch.autograd.grad(losses.total, [*automix.classifier.parameters()])
        for automix, losses in zip((full, early), results, strict=True)
    ]
    assert all(map(torch.equal, *gradients))
    ours, theirs = full.state_dict(), early.state_dict()
    different = {name for name in ours if not torch.equal(ours[name], theirs[name])}
    assert different == {
        f"momentum_classifier.backbone.bn3.{name}"
        for name in ("running_mean", "running_var", "num_batches_tracked")
    }


def test_in_mode_eval_it_stays_evaluating_whatever_the_others_do(
    make_automix: MakeAutoMix, images: Tensor, labels: Tensor, draws: Draws
) -> None:
    automix = make_automix(momentum_mode="eval", momentum_buffers="average")
    for module in (automix, automix.train()):
        assert module.classifier.training
        assert not any(each.training for each in module.momentum_classifier.modules())
    before = buffers_of(automix.momentum_classifier)
    features = automix.momentum_classifier.features(images)
    automix(images, labels, draws, WEIGHT)
    alone = automix.momentum_classifier.features(images[:1])
    torch.testing.assert_close(alone, features[:1])  # no statistics of the batch
    for name, buffer in automix.momentum_classifier.named_buffers():
        assert torch.equal(buffer, before[name])


def test_in_mode_train_it_changes_mode_with_the_others(make_automix: MakeAutoMix) -> None:
    automix = make_automix()
    assert automix.momentum_classifier.training
    assert not automix.eval().momentum_classifier.training


def test_networks_of_different_shape_are_refused(
    make_automix: MakeAutoMix, make_classifier: Callable[[], nn.Module]
) -> None:
    wider = make_classifier()
    wider.head_mixed = nn.Linear(24, 8)
    with pytest.raises(ValueError, match="`momentum_classifier` must have the parameters"):
        AutoMix(make_classifier(), wider, make_automix().mix_block, AutoMixOptions())


@pytest.mark.parametrize(
    ("options", "is_early"),
    [
        ({}, False),
        ({"momentum_buffers": "average"}, True),
        ({"momentum_mode": "eval", "momentum_buffers": "average"}, True),
        ({"momentum_buffers": "precise"}, False),
    ],
)
def test_a_full_clean_pass_is_early_where_it_would_move_nothing(
    make_automix: MakeAutoMix,
    images: Tensor,
    labels: Tensor,
    draws: Draws,
    options: dict[str, str],
    is_early: bool,
) -> None:
    automix = make_automix(**options)
    passes: list[int] = []
    last = automix.momentum_classifier.backbone.bn3
    last.register_forward_hook(lambda *_: passes.append(1))
    automix(images, labels, draws, WEIGHT)
    assert len(passes) == (1 if is_early else 2)  # of mixed images always
