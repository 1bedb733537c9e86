"""Images that are odd in number, colour or size: every method trains on them, or says why not."""

from pathlib import Path

import numpy as np
import pytest
import torch

from automix_cli import build
from automix_cli.data.datasets import DataSplits, ImageSet
from automix_cli.errors import SettingsError
from automix_cli.settings.layering import Overrides, load
from automix_cli.settings.mix import ALPHAS
from tests.needs import needs


def splits_of(n: int, channels: int, size: int) -> DataSplits:
    """Random images of three classes."""
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (n, channels, size, size), dtype=np.uint8))
    images = ImageSet(pixels, torch.arange(n) % 3, ("a", "b", "c"))
    per_channel = (0.5,) * channels
    return DataSplits(images, images, None, per_channel, per_channel, "random")


def loss_of_a_step(method: str, folder: Path, splits: DataSplits, *sets: str) -> float:
    """Build what is trained and make one forward and backward with all of the images."""
    sets = (f"mix.method={method}", *needs(method, folder), *sets)
    settings, _ = load(Overrides(preset="digits-tiny", sets=sets), environment={})
    training = build.method(settings.model, settings.mix, splits)
    rng, n = np.random.default_rng(1), len(splits.train)
    draws = build.draw(settings.mix, torch.device("cpu"))(rng, n, step=0, shared_rng=rng)
    images = splits.train.images / 128 - 1
    values = build.values_at(settings, steps_per_epoch=1)(0)
    total = training(images, splits.train.labels, draws, **values.of_method).total
    total.backward()
    return float(total)


@pytest.mark.parametrize("channels", [1, 3], ids=["grayscale", "colour"])
@pytest.mark.parametrize("n", [1, 3], ids=["one image", "three images"])
@pytest.mark.parametrize("method", ALPHAS)
def test_one_image_and_no_colour_are_enough(
    tmp_path: Path, method: str, n: int, channels: int
) -> None:
    assert np.isfinite(loss_of_a_step(method, tmp_path, splits_of(n, channels, size=32)))


@pytest.mark.parametrize("method", [name for name in ALPHAS if name != "transmix"])
def test_a_size_that_the_feature_stage_does_not_divide_is_refused(
    tmp_path: Path, method: str
) -> None:
    with pytest.raises(SettingsError, match=r"feature_stage 3 has 8 x 8 cells of 4 x 4 pixels"):
        loss_of_a_step(method, tmp_path, splits_of(2, 3, size=30))


@pytest.mark.parametrize(
    ("method", "size", "part"),
    [
        ("puzzlemix", 36, "`puzzlemix` cannot train this model on these images"),
        ("attentivemix", 68, "must have a divisor from 4 to 16.*got `34`"),
        ("transmix", 36, "cannot build the model"),
    ],
)
def test_a_size_that_only_the_mixer_cannot_divide_is_refused(
    tmp_path: Path, method: str, size: int, part: str
) -> None:
    # stage 2 of the ResNet has cells of 2 pixels
    size, sets = (34, ("model.feature_stage=2",)) if method == "attentivemix" else (size, ())
    with pytest.raises((SettingsError, Exception), match=part):
        loss_of_a_step(method, tmp_path, splits_of(2, 3, size), *sets)


@pytest.mark.parametrize(
    "method", [name for name in ALPHAS if name not in ("puzzlemix", "transmix")]
)
def test_any_other_multiple_of_the_cell_is_trained_on(tmp_path: Path, method: str) -> None:
    assert np.isfinite(loss_of_a_step(method, tmp_path, splits_of(2, 3, size=36)))
