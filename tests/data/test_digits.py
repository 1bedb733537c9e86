"""The embedded digits are the published ones, divided as documented."""

import hashlib
from importlib.resources import files

import numpy as np
import pytest
import torch

from automix_cli.data import digits
from automix_cli.data.datasets import stratified_indices


@pytest.fixture(scope="module")
def stored() -> dict[str, np.ndarray]:
    file = files("automix_cli.data") / "digits.npz"
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
        return dict(arrays)


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def test_stored_arrays_are_those_of_the_published_test_set(stored: dict[str, np.ndarray]) -> None:
    # Taken from scikit-learn 1.9.1's `load_digits`, as unsigned bytes.
    assert sha256(stored["images"]) == (
        "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3"
    )
    assert sha256(stored["labels"]) == (
        "8ba4f891220f5e4c9c819638d1602d74b83618f167043c6da52a2a247841ddf0"
    )
    # UCI states these numbers of images per digit for `optdigits.tes`.
    histogram = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(stored["labels"]).tolist() == histogram


def test_the_division_is_the_documented_draw(stored: dict[str, np.ndarray]) -> None:
    drawn = stratified_indices(stored["labels"], 360, np.random.default_rng(1797))
    np.testing.assert_array_equal(stored["test_indices"], drawn)
    assert sha256(stored["test_indices"]) == (
        "f1d7873f468621fbefcca8eefcdfff061aaf281b653fb990db26b9861518ea31"
    )


def test_every_digit_keeps_its_share_in_both_parts() -> None:
    train, test = digits.load_digits()
    assert test.labels.bincount().tolist() == [36, 37, 35, 37, 36, 36, 36, 36, 35, 36]
    assert train.labels.bincount().tolist() == [142, 145, 142, 146, 145, 146, 145, 143, 139, 144]


def test_training_and_test_parts_are_the_whole_set_once(stored: dict[str, np.ndarray]) -> None:
    train, test = digits.load_digits()
    shown = digits.show_digits(torch.from_numpy(stored["images"]))
    is_test = np.isin(np.arange(1797), stored["test_indices"])
    assert torch.equal(test.images, shown[is_test])
    assert torch.equal(train.images, shown[~is_test])


def test_images_are_shown_the_same_on_every_machine() -> None:
    train, test = digits.load_digits()
    assert train.images.shape[1:] == (1, 32, 32)
    assert sha256(train.images.numpy()) == (
        "a4f462af64f55fba6773008780431e1a87f7f62b0f8684a4b8f6829aa58f5779"
    )
    assert sha256(test.images.numpy()) == (
        "e219ced08f5bf73ef88bf67202ba16943531e9f7d1fbf2043d20c2c8c96e6b52"
    )


def test_enlarging_is_bilinear_interpolation_between_pixel_centres() -> None:
    small = np.random.default_rng(0).integers(17, size=(3, 8, 8), dtype=np.uint8)
    at = np.clip((np.arange(32) + 0.5) / 4 - 0.5, 0, 7)  # centres, in stored pixels

    def enlarge(line: np.ndarray) -> np.ndarray:
        return np.interp(at, range(8), line)

    wide = np.apply_along_axis(enlarge, 2, small)
    wanted = np.rint(np.apply_along_axis(enlarge, 1, wide) * 255 / 16)
    shown = digits.show_digits(torch.from_numpy(small))[:, 0].numpy()
    np.testing.assert_array_equal(shown, wanted)


def test_stated_mean_and_deviation_are_those_of_the_training_images() -> None:
    train, _ = digits.load_digits()
    pixels = train.images.double() / 255
    # Four decimals are stated, hence half a unit of the fourth.
    assert pytest.approx((pixels.mean().item(),), abs=5e-5) == digits.MEAN
    assert pytest.approx((pixels.std(correction=0).item(),), abs=5e-5) == digits.STD


def test_source_and_licence_lie_beside_the_images() -> None:
    text = (files("automix_cli.data") / "digits.LICENSE.txt").read_text("ascii")
    for part in ("E. Alpaydin, C. Kaynak", "CC BY 4.0", "10.24432/C50P49", "What was changed"):
        assert part in text
