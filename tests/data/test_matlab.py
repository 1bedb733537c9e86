"""MATLAB files, against files that scipy has written (`tests/golden/matlab.npz`)."""

from pathlib import Path

import numpy as np
import pytest

from automix_cli.data.matlab import read_matlab

GOLDEN = Path(__file__).parents[1] / "golden" / "matlab.npz"


def golden(name: str) -> bytes:
    with np.load(GOLDEN, allow_pickle=False) as files:
        return files[name].tobytes()


def test_numbers_text_and_cells_are_what_scipy_wrote() -> None:
    read = read_matlab(golden("kinds"))
    assert read["numbers"].tolist() == [[1.5, -2, 3e300]]
    assert (read["short"].tolist(), read["short"].dtype) == ([[1], [-2]], np.int16)
    assert (read["long"].item(), read["single"].item()) == (2**40, 0.25)
    assert read["empty"].shape == (0, 0)
    assert (read["text"], read["rows"]) == ("caf\xe9", ["abc", "de "])
    assert (read["nested"][0].tolist(), read["nested"][1]) == ([[0, 1, 2]], "x")


def test_an_array_of_four_axes_keeps_its_order() -> None:
    with np.load(GOLDEN, allow_pickle=False) as files:
        assert np.array_equal(read_matlab(golden("svhn"))["X"], files["svhn_X"])


def test_structures_are_dictionaries() -> None:
    rows = read_matlab(golden("cars_annos"))["annotations"]
    assert [row["relative_im_path"] for row in rows][-1] == "car_ims/000004.jpg"
    assert [row["class"].item() for row in rows] == [1, 2, 2, 1]


@pytest.mark.parametrize("name", ["kinds", "cars_annos", "cars_meta"])
def test_damaged_files_are_refused_or_read_but_never_anything_else(name: str) -> None:
    content, rng = golden(name), np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(content)
        damaged[int(rng.integers(len(damaged)))] = int(rng.integers(256))
        try:
            read_matlab(bytes(damaged[: int(rng.integers(1, len(damaged)))]))
        except ValueError:
            refused += 1
    assert refused > 200


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a MATLAB file"),
        (b"\x89HDF" + bytes(200), "not a MATLAB file"),
        (bytes(126) + b"IM" + b"\x0f\0\0\0\x04\0\0\0abcd", "damaged"),
        (bytes(126) + b"IM" + b"\x0e\0\0\0\xff\xff\xff\x7f", "ends too early"),
    ],
    ids=["empty", "version-7.3", "not-compressed", "cut-off"],
)
def test_what_is_no_matlab_file_is_said(content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_matlab(content)
