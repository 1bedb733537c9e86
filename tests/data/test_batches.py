"""Batches are functions of the step, however many ranks share them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from automix_cli.data.batch_plan import Batch, BatchPlan
from automix_cli.data.batches import TrainBatches, evaluation_batches
from automix_cli.data.image_set import ImageSet
from automix_cli.data.loading import Loading
from automix_cli.data.recipe import Recipe, View

PLAN = BatchPlan(
    num_images=10,
    batch_size=4,
    accumulation_steps=1,
    drop_last=False,
    seed=0,
    rank=0,
    num_ranks=1,
)
RECIPE = Recipe(size=6, crop="pad", crop_padding=2, flip=True)
VIEW = View((0.5,), (0.25,), size=6)
HERE = Loading(torch.device("cpu"), num_workers=0)
SHARED_OUT = [  # images, batch, ranks, accumulation steps
    (10, 4, 1, 1),
    (10, 4, 2, 1),
    (12, 4, 2, 2),
    (23, 8, 3, 2),
    (9, 8, 4, 2),  # a last batch of one image
    (11, 8, 4, 2),  # a last batch of fewer images than ranks
    (5, 8, 2, 3),  # fewer images than a batch
    (100, 7, 1, 7),
]
cases = pytest.mark.parametrize(("num_images", "batch_size", "num_ranks", "steps"), SHARED_OUT)


def numbered_images(num_images: int) -> ImageSet:
    """Random images whose label is their number."""
    pixels = np.random.default_rng(0).integers(256, size=(num_images, 1, 6, 6), dtype=np.uint8)
    names = tuple(str(number) for number in range(num_images))
    return ImageSet(torch.from_numpy(pixels), torch.arange(num_images), names)


def train_batches(num_images: int, **changes: int | bool) -> TrainBatches:
    plan = replace(PLAN, num_images=num_images, **changes)
    return TrainBatches(numbered_images(num_images), RECIPE, VIEW, plan, "cpu")


def all_ranks(
    num_images: int, batch_size: int, num_ranks: int, steps: int, **changes: int | bool
) -> list[TrainBatches]:
    return [
        train_batches(
            num_images,
            batch_size=batch_size,
            accumulation_steps=steps,
            rank=rank,
            num_ranks=num_ranks,
            **changes,
        )
        for rank in range(num_ranks)
    ]


def pixels_by_number(ranks: list[TrainBatches], step: int) -> dict[int, Tensor]:
    """The images that count at a step, by their number."""
    batches = [batch for rank in ranks for batch in rank.at(step) if batch.share]
    return {
        int(label): image
        for batch in batches
        for label, image in zip(batch.labels, batch.images, strict=True)
    }


@cases
def test_an_epoch_holds_every_image_once_over_all_ranks(
    num_images: int, batch_size: int, num_ranks: int, steps: int
) -> None:
    ranks = all_ranks(num_images, batch_size, num_ranks, steps)
    for epoch in range(2):
        first = epoch * ranks[0].steps_per_epoch
        seen = [
            int(index)
            for step in range(first, first + ranks[0].steps_per_epoch)
            for rank in ranks
            for indices in rank.indices_at(step)
            for index in indices
        ]
        assert sorted(seen) == list(range(num_images))


@cases
def test_batches_hold_the_images_their_indices_say(
    num_images: int, batch_size: int, num_ranks: int, steps: int
) -> None:
    for rank in all_ranks(num_images, batch_size, num_ranks, steps):
        for step in range(rank.steps_per_epoch):
            counted = [batch.labels.tolist() if batch.share else [] for batch in rank.at(step)]
            assert counted == [indices.tolist() for indices in rank.indices_at(step)]


@cases
def test_shares_of_a_step_sum_to_the_number_of_ranks(
    num_images: int, batch_size: int, num_ranks: int, steps: int
) -> None:
    ranks = all_ranks(num_images, batch_size, num_ranks, steps)
    for step in range(ranks[0].steps_per_epoch):
        shares = [batch.share for rank in ranks for batch in rank.at(step)]
        assert sum(shares) == pytest.approx(num_ranks)


@cases
def test_every_rank_has_as_many_batches_and_none_is_empty(
    num_images: int, batch_size: int, num_ranks: int, steps: int
) -> None:
    ranks = all_ranks(num_images, batch_size, num_ranks, steps)
    for step in range(ranks[0].steps_per_epoch):
        assert len({len(rank.at(step)) for rank in ranks}) == 1
        assert all(len(batch.labels) > 0 for rank in ranks for batch in rank.at(step))


@cases
def test_weighted_gradients_of_all_ranks_average_to_the_gradient_of_the_whole_batch(
    num_images: int, batch_size: int, num_ranks: int, steps: int
) -> None:
    def gradient(batches: list[tuple[Tensor, Tensor, float]]) -> Tensor:
        weights = torch.linspace(-1, 1, 36, dtype=torch.float64).requires_grad_()
        for images, labels, share in batches:
            error = images.flatten(1).double() @ weights - labels
            (share * (error**2).mean()).backward()
        assert weights.grad is not None
        return weights.grad

    alone = train_batches(num_images, batch_size=batch_size)
    ranks = all_ranks(num_images, batch_size, num_ranks, steps)
    for step in range(alone.steps_per_epoch):
        averaged = torch.stack([gradient([*rank.at(step)]) for rank in ranks]).mean(0)
        torch.testing.assert_close(averaged, gradient([*alone.at(step)]))


@cases
def test_any_number_of_ranks_sees_the_same_pixels_as_one(
    num_images: int, batch_size: int, num_ranks: int, steps: int
) -> None:
    alone = train_batches(num_images, batch_size=batch_size)
    ranks = all_ranks(num_images, batch_size, num_ranks, steps)
    for step in range(2 * alone.steps_per_epoch):
        wanted = pixels_by_number([alone], step)
        found = pixels_by_number(ranks, step)
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[number], wanted[number]) for number in wanted)


def test_a_rank_without_images_gets_the_first_of_the_batch_with_share_zero() -> None:
    ranks = all_ranks(num_images=9, batch_size=8, num_ranks=4, steps=2)
    (only,) = ranks[0].at(1)
    assert only.share == 4
    for rank in ranks[1:]:
        (filler,) = rank.at(1)
        assert filler.share == 0
        assert torch.equal(filler.images, only.images)
        assert filler.labels.tolist() == only.labels.tolist()
        assert [len(indices) for indices in rank.indices_at(1)] == [0]


def test_what_is_done_to_an_image_depends_on_seed_epoch_and_image_alone() -> None:
    by_fours, by_sevens = train_batches(28), train_batches(28, batch_size=7)
    one: dict[int, Tensor] = {}
    other: dict[int, Tensor] = {}
    for step in range(by_fours.steps_per_epoch):
        one |= pixels_by_number([by_fours], step)
    for step in range(by_sevens.steps_per_epoch):
        other |= pixels_by_number([by_sevens], step)
    assert len(one) == 28
    assert all(torch.equal(one[number], other[number]) for number in one)


def same(one: list[Batch], other: list[Batch]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels) and a.share == b.share
        for a, b in zip(one, other, strict=True)
    )


def test_any_step_can_be_asked_for_in_any_order() -> None:
    in_order, at_random = train_batches(10), train_batches(10)
    wanted = {step: in_order.at(step) for step in range(12)}
    for step in np.random.default_rng(0).permutation(12).tolist():
        assert same(at_random.at(step), wanted[step])


def test_epochs_differ_in_order_and_in_crops() -> None:
    batches = train_batches(40, batch_size=40)
    first, second = batches.indices_at(0)[0], batches.indices_at(1)[0]
    assert not np.array_equal(first, second)
    before, after = pixels_by_number([batches], 0), pixels_by_number([batches], 1)
    num_changed = sum(not torch.equal(before[number], after[number]) for number in before)
    assert num_changed > 30  # of 40; an image stays the same once in 50 times


def test_seeds_differ_in_order_and_in_crops() -> None:
    one, other = train_batches(40, batch_size=40), train_batches(40, batch_size=40, seed=1)
    assert not np.array_equal(one.indices_at(0)[0], other.indices_at(0)[0])
    before, after = pixels_by_number([one], 0), pixels_by_number([other], 0)
    assert sum(not torch.equal(before[number], after[number]) for number in before) > 30


def test_without_augmentation_images_are_only_normalised() -> None:
    recipe = replace(RECIPE, crop_padding=0, flip=False)
    (batch,) = TrainBatches(numbered_images(10), recipe, VIEW, PLAN, "cpu").at(0)
    stored = numbered_images(10).images[batch.labels]
    torch.testing.assert_close(batch.images, (stored / 255 - 0.5) / 0.25)


@cases
@pytest.mark.parametrize("drop_last", [False, True])
def test_the_smallest_batch_is_the_smallest_of_an_epoch_on_any_rank(
    num_images: int, batch_size: int, num_ranks: int, steps: int, *, drop_last: bool
) -> None:
    if drop_last and num_images < batch_size:
        pytest.skip("no step is left")
    shape = {"num_images": num_images, "batch_size": batch_size, "accumulation_steps": steps}
    plan = replace(PLAN, **shape, num_ranks=num_ranks, drop_last=drop_last)
    sizes = {
        part.end - part.begin
        for rank in range(num_ranks)
        for step in range(plan.steps_per_epoch)
        for part in replace(plan, rank=rank).parts_at(step)
    }
    assert plan.smallest_batch == min(sizes)


def test_the_last_short_batch_can_be_left_out() -> None:
    batches = train_batches(10, drop_last=True)
    assert batches.steps_per_epoch == 2
    seen = np.concatenate([batches.indices_at(step)[0] for step in range(2)])
    assert len(np.unique(seen)) == 8
    assert len(batches.at(2)[0].labels) == 4  # the next epoch


@pytest.mark.parametrize("num_images", [0, 3])
def test_a_set_that_fills_no_step_is_refused(num_images: int) -> None:
    with pytest.raises(ValueError, match=f"{num_images} training images do not fill one batch"):
        train_batches(num_images, drop_last=True)


def test_a_batch_that_cannot_be_shared_out_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size must be at least 6 to give each of 3 proc"):
        replace(PLAN, batch_size=5, num_ranks=3, accumulation_steps=2)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"accumulation_steps": 0}, "accumulation_steps and repeats must be >= 1, got 0 and 1"),
        ({"rank": 2, "num_ranks": 2}, r"rank must be in \[0, 2\), got 2"),
        ({"rank": -1}, r"rank must be in \[0, 1\), got -1"),
    ],
)
def test_a_plan_out_of_range_is_refused(changes: dict[str, int], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        replace(PLAN, **changes)


def test_a_negative_step_is_refused() -> None:
    with pytest.raises(ValueError, match="step must be >= 0, got -1"):
        train_batches(10).at(-1)


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 8])
@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_evaluation_sees_every_image_once_and_unchanged(num_ranks: int, batch_size: int) -> None:
    image_set = numbered_images(5)
    batches = [
        batch
        for rank in range(num_ranks)
        for batch in evaluation_batches(
            image_set, VIEW, HERE, batch_size=batch_size, rank=rank, num_ranks=num_ranks
        )
    ]
    assert torch.cat([labels for _, labels in batches]).tolist() == list(range(5))
    wanted = (image_set.images / 255 - 0.5) / 0.25
    torch.testing.assert_close(torch.cat([images for images, _ in batches]), wanted)
    assert max(len(labels) for _, labels in batches) <= batch_size


@pytest.mark.parametrize(
    ("batch_size", "rank", "problem"),
    [(0, 0, "batch_size must be >= 1, got 0"), (1, 2, r"rank must be in \[0, 2\), got 2")],
)
def test_an_evaluation_out_of_range_is_refused(batch_size: int, rank: int, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        evaluation_batches(
            numbered_images(5), VIEW, HERE, batch_size=batch_size, rank=rank, num_ranks=2
        )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.accelerator.is_available(), reason="no accelerator on this machine")
def test_an_accelerator_makes_the_same_batches_as_the_processor() -> None:
    device = torch.accelerator.current_accelerator()
    assert device is not None
    here = train_batches(40, batch_size=16)
    plan = replace(PLAN, num_images=40, batch_size=16)
    there = TrainBatches(numbered_images(40), RECIPE, VIEW, plan, device)
    for step in range(2 * here.steps_per_epoch):
        for one, other in zip(here.at(step), there.at(step), strict=True):
            assert other.images.device.type == device.type
            # Which pixels: exactly; their values: up to one fused rounding.
            torch.testing.assert_close(other.images.cpu(), one.images, rtol=1e-6, atol=1e-6)
            assert torch.equal(other.labels.cpu(), one.labels)
