"""An image set is what it says it is."""

import numpy as np
import pytest
import torch

from automix_cli.data.image_set import ImageSet, image_set_from_arrays

NAMES = ("cat", "dog", "owl")
BLACK = torch.zeros(5, 3, 2, 2, dtype=torch.uint8)
LABELS = torch.zeros(5, dtype=torch.int64)


def some_images(num_images: int = 5) -> ImageSet:
    images = torch.arange(num_images * 12, dtype=torch.uint8).view(num_images, 3, 2, 2)
    return ImageSet(images, torch.arange(num_images) % 3, NAMES)


def test_it_knows_its_length_and_the_classes_that_exist() -> None:
    assert len(some_images()) == 5
    assert some_images(2).num_classes == 3


@pytest.mark.parametrize(
    ("images", "labels", "problem"),
    [
        (torch.zeros(5, 3, 2, 2), LABELS, r"images must be .*float32"),
        (torch.zeros(5, 2, 2, dtype=torch.uint8), LABELS, r"images must be .*\(5, 2, 2\)"),
        (BLACK, LABELS.float(), r"labels must be .*float32"),
        (BLACK, LABELS[:4], r"labels must be \(5,\)"),
    ],
    ids=["float-images", "no-channels", "float-labels", "too-few-labels"],
)
def test_other_shapes_and_types_are_refused(
    images: torch.Tensor, labels: torch.Tensor, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        ImageSet(images, labels, NAMES)


def test_images_are_taken_in_the_order_asked_for() -> None:
    whole = some_images()
    part = whole.take(np.array([4, 0]))
    assert torch.equal(part.images, torch.stack([whole.images[4], whole.images[0]]))
    assert part.labels.tolist() == [1, 0]
    assert part.class_names == NAMES


def test_moving_to_where_it_is_copies_nothing() -> None:
    whole = some_images()
    assert whole.to("cpu").images.data_ptr() == whole.images.data_ptr()


def test_moving_puts_images_and_labels_on_the_device() -> None:
    moved = some_images().to("meta")
    assert moved.images.is_meta
    assert moved.labels.is_meta


def test_arrays_are_copied() -> None:
    images = np.zeros((2, 1, 2, 2), np.uint8)
    made = image_set_from_arrays(images, np.array([0, 2], np.uint8), NAMES)
    images[:] = 9
    assert made.images.max() == 0
    assert made.labels.dtype == torch.int64


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_without_a_class_name_is_refused(label: int) -> None:
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 3\)"):
        image_set_from_arrays(np.zeros((1, 1, 2, 2), np.uint8), np.array([label]), NAMES)
