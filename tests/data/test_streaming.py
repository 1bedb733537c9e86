"""Images made one by one depend on seed, epoch and image alone, whoever makes them and when."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import write_folder
from torch import Tensor

from automix_cli.data.appearance import Appearance
from automix_cli.data.batch_plan import Batch, BatchPlan
from automix_cli.data.batches import TrainBatches, evaluation_batches
from automix_cli.data.image_files import ImageFiles
from automix_cli.data.image_set import ImageSet
from automix_cli.data.loading import Loading, PictureSource
from automix_cli.data.memory import read_into_memory
from automix_cli.data.rand_augment import RandAugment
from automix_cli.data.recipe import Recipe, View
from automix_cli.data.streaming import StreamedBatches
from automix_cli.errors import DataError

CPU = torch.device("cpu")
VIEW = View((0.5, 0.4, 0.3), (0.2, 0.25, 0.3), size=24, crop_ratio=0.75)
EVERYTHING = Recipe(
    size=24,
    crop="random_resized",
    appearance=Appearance(
        RandAugment("timm", 2, 9, 0.5, 0.5, (128, 102, 77), "bicubic"),
        three_augment=True,
        color_jitter=0.4,
    ),
    erase_probability=0.5,
)
PLAN = BatchPlan(
    num_images=20,
    batch_size=8,
    accumulation_steps=1,
    drop_last=False,
    seed=0,
    rank=0,
    num_ranks=1,
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ImageFiles:
    return write_folder(tmp_path_factory.mktemp("pictures"), 20)


@pytest.fixture(autouse=True)
def threads_end() -> Iterator[None]:
    yield
    assert [each.name for each in threading.enumerate() if each.name.startswith("automix")] == []


def made(
    files: ImageFiles | ImageSet,
    steps: list[int],
    *,
    workers: int = 0,
    recipe: Recipe = EVERYTHING,
    **changes: int,
) -> list[list[Batch]]:
    plan = replace(PLAN, **changes)
    batches = StreamedBatches(PictureSource(files), recipe, VIEW, plan, Loading(CPU, workers))
    try:
        return [batches.at(step) for step in steps]
    finally:
        batches.close()


def pixels(steps: list[list[Batch]]) -> Tensor:
    return torch.cat([batch.images for batches in steps for batch in batches])


@pytest.mark.parametrize("workers", [1, 4])
def test_any_number_of_workers_makes_the_same_bytes(files: ImageFiles, workers: int) -> None:
    steps = list(range(6))  # two epochs
    assert torch.equal(pixels(made(files, steps, workers=workers)), pixels(made(files, steps)))


def test_a_resumed_run_sees_the_same_pixels_from_the_middle_of_an_epoch(files: ImageFiles) -> None:
    whole = made(files, [0, 1, 2, 3, 4, 5], workers=2)
    assert torch.equal(pixels(made(files, [4, 5], workers=2)), pixels(whole[4:]))


def test_steps_can_be_asked_for_in_any_order(files: ImageFiles) -> None:
    in_order = made(files, [0, 1, 2, 3], workers=2)
    at_random = made(files, [3, 0, 2, 1, 1], workers=2)
    for position, step in enumerate([3, 0, 2, 1, 1]):
        assert torch.equal(at_random[position][0].images, in_order[step][0].images)


def test_two_ranks_see_together_what_one_sees(files: ImageFiles) -> None:
    for step in range(3):
        alone = pixels(made(files, [step]))
        shared = [made(files, [step], rank=rank, num_ranks=2) for rank in range(2)]
        assert torch.equal(torch.cat([pixels(each) for each in shared]), alone)


def test_the_batch_size_does_not_change_what_is_done_to_an_image(files: ImageFiles) -> None:
    by_eights, by_fives = made(files, [0, 1, 2]), made(files, [0, 1, 2, 3], batch_size=5)
    assert torch.equal(pixels(by_eights), pixels(by_fives))


def test_epochs_and_seeds_differ(files: ImageFiles) -> None:
    def by_label(steps: list[list[Batch]]) -> Tensor:
        return pixels(steps).flatten(1).sum(1).sort().values

    first = by_label(made(files, [0, 1, 2]))
    assert not torch.isclose(first, by_label(made(files, [3, 4, 5]))).any()
    assert not torch.isclose(first, by_label(made(files, [0, 1, 2], seed=1))).any()


def test_labels_go_with_their_images() -> None:
    numbers = torch.arange(20)
    flat = (10 * numbers).to(torch.uint8).view(20, 1, 1, 1).expand(20, 3, 30, 40).contiguous()
    image_set = ImageSet(flat, numbers, tuple(map(str, range(20))))
    recipe = replace(EVERYTHING, appearance=Appearance(), erase_probability=0.0)
    for batches in made(image_set, [0, 1, 2], recipe=recipe, workers=2):
        for batch in batches:
            shown = (batch.images[:, 0] * VIEW.std[0] + VIEW.mean[0]) * 255 / 10
            assert shown.mean((1, 2)).round().long().tolist() == batch.labels.tolist()


def test_repeats_show_fewer_images_each_augmented_anew(files: ImageFiles) -> None:
    order = replace(PLAN, repeats=3).order(0)
    assert len(order.indices) == 20
    assert len(np.unique(order.indices)) == 7
    assert order.indices[:6].tolist() == [order.indices[0]] * 3 + [order.indices[3]] * 3
    first, second, third = made(files, [0], repeats=3)[0][0].images[:3]
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)


def test_repeats_of_images_in_memory_are_cropped_anew() -> None:
    images = torch.arange(6 * 3 * 24 * 24).remainder(251).to(torch.uint8).view(6, 3, 24, 24)
    image_set = ImageSet(images, torch.zeros(6, dtype=torch.int64), ("a",))
    recipe = Recipe(size=24, crop="pad", crop_padding=6)
    plan = replace(PLAN, num_images=6, batch_size=6, repeats=3)
    (batch,) = TrainBatches(image_set, recipe, VIEW, plan, "cpu").at(0)
    assert len({tuple(image.flatten().tolist()) for image in batch.images[:3]}) == 3


def test_images_in_memory_get_the_same_treatment_as_files(tmp_path: Path) -> None:
    files = write_folder(tmp_path, 4)
    same_size = files.take(np.array([0, 0, 0]))
    stored = read_into_memory(same_size, Loading(CPU, 2))
    plan = {"num_images": 3, "batch_size": 3}
    assert torch.equal(pixels(made(stored, [0], **plan)), pixels(made(same_size, [0], **plan)))


def test_files_of_different_sizes_do_not_fit_into_memory(files: ImageFiles) -> None:
    with pytest.raises(DataError, match=r"needs images of one size: wanted 48 x 57 .*001\.jpg"):
        read_into_memory(files, Loading(CPU, 2))


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_a_broken_file_is_named_and_the_workers_end(tmp_path: Path, workers: int) -> None:
    files = write_folder(tmp_path, 20)
    broken = tmp_path / files.paths[int(PLAN.order(0).indices[10])]
    broken.write_bytes(broken.read_bytes()[:200])
    batches = StreamedBatches(PictureSource(files), EVERYTHING, VIEW, PLAN, Loading(CPU, workers))
    batches.at(0)
    with pytest.raises(DataError, match=broken.name):
        batches.at(1)


def test_a_broken_file_stops_an_evaluation_by_name(tmp_path: Path) -> None:
    files = write_folder(tmp_path, 6)
    (tmp_path / files.paths[4]).write_bytes(b"")
    with pytest.raises(DataError, match=r"004\.jpg.* 0 bytes"):
        list(evaluation_batches(files, VIEW, Loading(CPU, 2), batch_size=2, rank=0, num_ranks=1))


def test_an_evaluation_that_is_given_up_ends_its_workers(files: ImageFiles) -> None:
    batches = evaluation_batches(files, VIEW, Loading(CPU, 2), batch_size=2, rank=0, num_ranks=1)
    for _ in batches:
        break


@pytest.mark.parametrize("num_ranks", [1, 3])
def test_an_evaluation_of_files_sees_each_image_once(files: ImageFiles, num_ranks: int) -> None:
    def seen(rank: int, ranks: int, workers: int) -> list[tuple[Tensor, Tensor]]:
        loading = Loading(CPU, workers)
        return list(
            evaluation_batches(files, VIEW, loading, batch_size=3, rank=rank, num_ranks=ranks)
        )

    alone = seen(0, 1, 0)
    shared = [each for rank in range(num_ranks) for each in seen(rank, num_ranks, 3)]
    assert torch.cat([labels for _, labels in alone]).tolist() == files.labels.tolist()
    for part in range(2):
        wanted = torch.cat([each[part] for each in alone])
        assert torch.equal(torch.cat([each[part] for each in shared]), wanted)


def test_erased_boxes_are_noise_in_a_normalised_image(files: ImageFiles) -> None:
    plain = replace(EVERYTHING, appearance=Appearance(), erase_probability=0.0)
    whole = pixels(made(files, [0, 1, 2], recipe=plain))
    erased = pixels(made(files, [0, 1, 2], recipe=replace(plain, erase_probability=1.0)))
    changed = erased[(erased != whole)]
    assert 0.1 < len(changed) / whole.numel() < 0.3  # 2 % to a third of each
    assert float(changed.mean()) == pytest.approx(0, abs=0.05)
    assert float(changed.std()) == pytest.approx(1, abs=0.05)


def test_erasing_with_the_mean_leaves_zeros(files: ImageFiles) -> None:
    plain = replace(EVERYTHING, appearance=Appearance(), erase_probability=0.0)
    whole = pixels(made(files, [0], recipe=plain))
    recipe = replace(plain, erase_probability=1.0, erase_fill="mean")
    erased = pixels(made(files, [0], recipe=recipe))
    assert (erased != whole).any()
    assert not erased[erased != whole].any()
