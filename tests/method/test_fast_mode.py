"""Less work by design: each piece leaves out what it says, and nothing else."""

import copy
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from automix_cli.method import AutoMix, AutoMixOptions, Draws, Losses, sample_draws

Make = Callable[..., AutoMix]
WEIGHT = 0.1  # of the mask-area loss
HALVES = {"clean_share": 0.5, "mixed_share": 0.5}


@pytest.fixture(params=["automix", "samix"])
def make(request: pytest.FixtureRequest, make_automix: Make, make_samix: Make) -> Make:
    return {"automix": make_automix, "samix": make_samix}[request.param]


def gradients(network: nn.Module) -> dict[str, Tensor]:
    return {name: each.grad for name, each in network.named_parameters() if each.grad is not None}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def twins(make: Make, *options: dict[str, object]) -> list[AutoMix]:
    """The same weights with different options."""
    made = [make(**each) for each in options]
    for each in made[1:]:
        each.load_state_dict(made[0].state_dict())
    return made


def test_with_all_pieces_off_nothing_of_them_is_drawn_or_computed(
    make: Make, images: Tensor, labels: Tensor
) -> None:
    written_out = {"mix_block_interval": 1, "clean_share": 1.0, "mixed_share": 1.0}
    results: list[tuple[Losses, dict[str, Tensor]]] = []
    for automix in twins(make, {}, written_out):
        draws = sample_draws(np.random.default_rng(5), 6, automix.options, step=3)
        losses = automix(images, labels, draws, WEIGHT)
        losses.total.backward()
        results.append((losses, gradients(automix)))
    assert all(map(torch.equal, results[0][0], results[1][0]))
    assert_same(results[0][1], results[1][1])


@pytest.mark.parametrize("interval", [2, 3])
def test_the_mix_block_learns_at_every_kth_step_from_the_first_on(interval: int) -> None:
    options = AutoMixOptions(mix_block_interval=interval)
    draws = [sample_draws(np.random.default_rng(0), 4, options, step=step) for step in range(7)]
    assert [each.mix_block_learns for each in draws] == [step % interval == 0 for step in range(7)]


def test_the_interval_changes_no_other_draw() -> None:
    full, fast = (
        sample_draws(np.random.default_rng(2), 6, AutoMixOptions(mix_block_interval=k), step=1)
        for k in (1, 2)
    )
    for one, other in zip(full[:2], fast[:2], strict=True):
        assert all(map(torch.equal, one, other))
    assert full[2:6] == fast[2:6]


def test_a_step_of_rest_trains_the_classifier_as_usual_and_nothing_else(
    make: Make, images: Tensor, labels: Tensor, draws: Draws
) -> None:
    full, fast = twins(make, {}, {"mix_block_interval": 2})
    losses = full(images, labels, draws, WEIGHT)
    losses.total.backward()
    resting = fast(images, labels, draws._replace(mix_block_learns=False), WEIGHT)
    resting.total.backward()
    assert gradients(fast.mix_block) == {}
    assert_same(gradients(full.classifier), gradients(fast.classifier))
    assert resting.mix_block == 0
    for name in ("one_hot", "mixed", "mask_area", "area_ratio"):
        assert torch.equal(getattr(losses, name), getattr(resting, name))


def test_a_step_of_rest_spares_the_momentum_classifier_the_mixed_images(
    make: Make, images: Tensor, labels: Tensor, draws: Draws
) -> None:
    automix = make()
    automix(images, labels, draws._replace(mix_block_learns=False), WEIGHT)
    assert automix.momentum_classifier.backbone.bn3.num_batches_tracked == 1
    masks = automix.masks(images, draws._replace(mix_block_learns=False))
    assert not masks.for_mix_block.requires_grad


def test_a_step_at_which_the_mix_block_learns_is_the_full_step(
    make: Make, images: Tensor, labels: Tensor
) -> None:
    results: list[tuple[Losses, AutoMix]] = []
    for automix in twins(make, {}, {"mix_block_interval": 4}):
        draws = sample_draws(np.random.default_rng(5), 6, automix.options, step=8)
        losses = automix(images, labels, draws, WEIGHT)
        losses.total.backward()
        results.append((losses, automix))
    assert all(map(torch.equal, results[0][0], results[1][0]))
    assert_same(gradients(results[0][1]), gradients(results[1][1]))


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_an_optimizer_with_momentum_does_not_move_a_resting_mix_block(
    make_automix: Make, images: Tensor, labels: Tensor, draws: Draws, weight_decay: float
) -> None:
    automix = make_automix(mix_block_interval=2)
    optimizer = torch.optim.SGD(
        automix.parameters(), lr=0.1, momentum=0.9, weight_decay=weight_decay, foreach=True
    )
    moved: list[bool] = []
    for learns in (True, False, True, False):
        before = copy.deepcopy(automix.mix_block.state_dict())
        automix(images, labels, draws._replace(mix_block_learns=learns), WEIGHT).total.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        after = automix.mix_block.state_dict()
        moved.append(any(not torch.equal(after[name], before[name]) for name in before))
    assert moved == [True, False, True, False]


class Shares(NamedTuple):
    """How n images are shared out, and how many should be clean and mixed."""

    n: int
    clean: float
    mixed: float
    first: int
    last: int


@pytest.mark.parametrize(
    "shares",
    [
        Shares(6, 0.5, 0.5, 3, 3),
        Shares(5, 0.5, 0.5, 3, 3),
        Shares(6, 1.0, 0.5, 6, 3),
        Shares(6, 0.34, 0.67, 3, 5),
    ],
)
def test_each_loss_is_the_full_methods_on_its_own_part_of_the_batch(
    make: Make, images: Tensor, labels: Tensor, shares: Shares
) -> None:
    """Clean images are the first ones, mixed ones the last, whose partners are among them."""
    n, clean, mixed, first, last = shares
    full, fast = twins(make, {}, {"clean_share": clean, "mixed_share": mixed})
    images, labels = images[:n], labels[:n]
    draws = sample_draws(np.random.default_rng(1), n, fast.options)
    assert len(draws.for_classifier.lam) == len(draws.for_mix_block.perm) == last
    losses = fast(images, labels, draws, WEIGHT)
    of_mixed = full(images[n - last :], labels[n - last :], draws, WEIGHT)
    for name in ("mixed", "mix_block", "mask_area", "area_ratio"):
        assert torch.equal(getattr(losses, name), getattr(of_mixed, name))
    expected = torch.nn.functional.cross_entropy(full.classifier(images[:first]), labels[:first])
    torch.testing.assert_close(losses.one_hot, expected)
    expected = losses.one_hot + losses.mixed + losses.mix_block + WEIGHT * losses.mask_area
    torch.testing.assert_close(losses.total, expected)


@pytest.mark.parametrize(("share", "n", "count"), [(0.07, 100, 7), (0.3, 10, 3), (0.01, 7, 1)])
def test_a_share_is_rounded_up_and_rounding_errors_are_not(
    share: float, n: int, count: int
) -> None:
    options = AutoMixOptions(mixed_share=share)
    assert len(sample_draws(np.random.default_rng(0), n, options).for_classifier.lam) == count


def test_a_single_image_is_in_both_halves(make: Make, images: Tensor, labels: Tensor) -> None:
    full, fast = twins(make, {}, HALVES)
    full.eval(), fast.eval()  # a batch of one has no statistics
    results: list[Losses] = []
    for automix in (full, fast):
        draws = sample_draws(np.random.default_rng(1), 1, automix.options)
        results.append(automix(images[:1], labels[:1], draws, WEIGHT))
    assert all(map(torch.equal, *results))


def test_in_halves_all_of_the_trained_parameters_have_a_gradient(
    make: Make, images: Tensor, labels: Tensor
) -> None:
    fast = make(**HALVES)
    fast(
        images, labels, sample_draws(np.random.default_rng(1), 6, fast.options), 0.1
    ).total.backward()
    wanted = {name for name, each in fast.named_parameters() if each.requires_grad}
    assert gradients(fast).keys() == wanted


def test_a_fraction_of_zero_is_the_method_without_clean_images(
    make: Make, images: Tensor, labels: Tensor, draws: Draws
) -> None:
    without, dropped = twins(make, {"one_hot_weight": 0.0}, {"one_hot_fraction": 0.0})
    first = without(images, labels, draws, WEIGHT)
    second = dropped(images, labels, draws, WEIGHT, one_hot_weight=0.0)
    first.total.backward()
    second.total.backward()
    assert all(map(torch.equal, first, second))
    assert_same(gradients(without), gradients(dropped))
    assert_same(dict(without.named_buffers()), dict(dropped.named_buffers()))


def test_before_they_are_dropped_clean_and_mixed_images_have_one_head(
    make: Make, images: Tensor, labels: Tensor, draws: Draws
) -> None:
    automix = make(one_hot_fraction=0.5)
    automix(images, labels, draws, WEIGHT, one_hot_weight=1.0).total.backward()
    assert automix.classifier.backbone.bn1.num_batches_tracked == 2
    trained = {name for name, each in automix.named_parameters() if each.requires_grad}
    assert gradients(automix).keys() == trained
    assert not any("head_mixed" in name for name in trained)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"clean_share": 0.4, "mixed_share": 0.5}, "`mixed_share` must be at least 1 - `clean_sh"),
        ({"mixed_share": 0.5, "one_hot_weight": 0.0}, "`mixed_share` must be 1 without clean im"),
        ({"mixed_share": 0.5, "one_hot_fraction": 0.5}, "`mixed_share` must be 1 without clean im"),
    ],
)
def test_parts_that_leave_images_unused_are_refused(options: dict[str, float], wanted: str) -> None:
    with pytest.raises(ValueError, match=wanted):
        AutoMixOptions(**options)
