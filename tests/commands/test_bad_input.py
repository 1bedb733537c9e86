"""Images that are odd in number, colour or size: every method trains on them, or says why not."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from automix_cli import build
from automix_cli.commands.training.bookkeeping import Bookkeeper
from automix_cli.commands.training.run import accelerator_for, prepare_run
from automix_cli.data.datasets import DataSplits, ImageSet
from automix_cli.engine.finite import not_finite
from automix_cli.errors import CheckpointError, SettingsError
from automix_cli.settings.layering import Overrides, load
from automix_cli.settings.mix import ALPHAS
from tests.needs import needs


def splits_of(n: int, channels: int, size: int) -> DataSplits:
    """Random images of three classes."""
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (n, channels, size, size), dtype=np.uint8))
    images = ImageSet(pixels, torch.arange(n) % 3, ("a", "b", "c"))
    per_channel = (0.5,) * channels
    return DataSplits(images, images, None, per_channel, per_channel, "random", size, "pad")


def loss_of_a_step(method: str, folder: Path, splits: DataSplits, *sets: str) -> float:
    """Build what is trained and make one forward and backward with all of the images.

    All gradients must be finite.
    """
    sets = (f"mix.method={method}", *needs(method, folder), *sets)
    settings, _ = load(Overrides(preset="digits-tiny", sets=sets), environment={})
    training = build.method(settings.model, settings.mix, splits)
    rng, n = np.random.default_rng(1), len(splits.train)
    draws = build.draw(settings.mix, torch.device("cpu"))(rng, n, step=0, shared_rng=rng)
    images = splits.train.images / 128 - 1
    values = build.values_at(settings, steps_per_epoch=1)(0)
    total = training(images, splits.train.labels, draws, **values.of_method).total
    total.backward()
    assert not not_finite(gradients_of(training))
    return float(total.detach())


def gradients_of(training: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The gradients of what is trained, by name."""
    named = ((name, each.grad) for name, each in training.named_parameters())
    return {name: each for name, each in named if each is not None}


@pytest.mark.parametrize("method", ALPHAS)
def test_one_image_is_enough(tmp_path: Path, method: str) -> None:
    assert np.isfinite(loss_of_a_step(method, tmp_path, splits_of(1, 3, size=32)))


@pytest.mark.parametrize("method", ALPHAS)
def test_images_need_no_colour(tmp_path: Path, method: str) -> None:
    assert np.isfinite(loss_of_a_step(method, tmp_path, splits_of(3, 1, size=32)))


@pytest.mark.parametrize("method", [name for name in ALPHAS if name != "transmix"])
def test_a_size_that_the_feature_stage_does_not_divide_is_refused(
    tmp_path: Path, method: str
) -> None:
    with pytest.raises(SettingsError, match=r"feature_stage 3 has 8 x 8 cells of 4 x 4 pixels"):
        loss_of_a_step(method, tmp_path, splits_of(2, 3, size=30))


@pytest.mark.parametrize(
    ("method", "part"),
    [
        ("puzzlemix", "`puzzlemix` cannot train this model on these images"),
        ("comixup", "`comixup` cannot train this model on these images"),
        ("attentivemix", "must have a divisor from 4 to 16.*got `34`"),
        ("transmix", "`test_vit` for images of 3 x 34 x 34"),
    ],
)
def test_a_size_that_the_mixer_or_the_patches_do_not_divide_is_refused(
    tmp_path: Path, method: str, part: str
) -> None:
    """Stage 2 of the ResNet has cells of 2 pixels, which would do."""
    sets = () if method == "transmix" else ("model.feature_stage=2",)
    with pytest.raises((SettingsError, CheckpointError), match=part):
        loss_of_a_step(method, tmp_path, splits_of(2, 3, size=34), *sets)


@pytest.mark.parametrize(
    "method", [name for name in ALPHAS if name not in ("puzzlemix", "transmix")]
)
def test_any_other_multiple_of_the_cell_is_trained_on(tmp_path: Path, method: str) -> None:
    assert np.isfinite(loss_of_a_step(method, tmp_path, splits_of(2, 3, size=36)))


@pytest.mark.parametrize("method", ALPHAS)
def test_images_that_are_all_the_same_colour_give_finite_gradients(
    tmp_path: Path, method: str
) -> None:
    """No variance for batch norm, no saliency, no difference between the images of a pair."""
    splits = splits_of(2, 3, size=32)
    splits.train.images.fill_(128)
    splits.train.labels.fill_(1)
    assert np.isfinite(loss_of_a_step(method, tmp_path, splits))


SHRUNK = (
    "model.backbone=resnet18",
    "model.stem=imagenet",
    "data.train_limit=17",
    "train.batch_size=16",
    "run.device=cpu",
)
"""A network that leaves one position of 32 x 32 pixels; the last batch has one image."""


@pytest.mark.parametrize(
    ("more", "is_refused"),
    [
        ((), True),
        (("train.accumulation_steps=16", "train.drop_last=true"), True),
        (("train.drop_last=true",), False),
    ],
)
def test_one_image_of_which_batch_norm_has_one_value_is_refused_before_the_first_step(
    more: tuple[str, ...], *, is_refused: bool
) -> None:
    settings, _ = load(Overrides(preset="digits-tiny", sets=(*SHRUNK, *more)), environment={})
    refused = pytest.raises(SettingsError, match="would see one value")
    with refused if is_refused else nullcontext():
        prepare_run(settings)


@pytest.mark.parametrize(("num_images", "shown"), [(17, [8, 8]), (18, [8, 8, 2]), (1, [1])])
def test_batch_norm_is_estimated_with_no_image_in_a_batch_of_its_own(
    num_images: int, shown: list[int]
) -> None:
    sets = ("evaluation.batch_size=8", "mix.method=vanilla", "run.device=cpu")
    settings, _ = load(Overrides(preset="digits-tiny", sets=sets), environment={})
    splits = splits_of(num_images, 3, size=32)
    training: Any = SimpleNamespace(accelerator=accelerator_for(settings, 0))
    books = object.__new__(Bookkeeper)
    vars(books).update(settings=settings, splits=splits, training=training)
    assert [len(images) for images in books.images_for_batch_norm()] == shown
