"""Contours of all thresholds at once: what OpenCV recorded, and what a flood finds cut by cut."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from automix_cli.evaluation.contours import Contours, contours_of

GOLDEN = Path(__file__).parents[1] / "golden" / "contours.npz"


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN, allow_pickle=False) as file:
        assert str(file["versions"]).startswith("opencv 5.0.0")
        return {name: file[name] for name in file.files}


def found(scores: np.ndarray) -> Contours:
    scores = scores.astype(np.float64)
    return contours_of(scores, (scores * 255).astype(np.int64))


def listed(contours: Contours) -> list[list[int]]:
    return sorted(np.column_stack([contours.thresholds, contours.boxes]).tolist())


@pytest.mark.parametrize("number", range(7))
def test_every_contour_at_every_threshold_is_the_one_opencv_finds(golden, number: int) -> None:
    """Smooth maps, noise, plateaus, rings with islands: outer borders and holes."""
    assert listed(found(golden[f"map{number}"])) == golden[f"contours{number}"].tolist()


@pytest.mark.parametrize("number", range(7))
def test_the_largest_contour_is_the_one_of_largest_contour_area_in_opencv(
    golden, number: int
) -> None:
    """Recorded where no two contours are as large."""
    largest = found(golden[f"map{number}"]).largest
    recorded = golden[f"largest{number}"]
    assert len(recorded) > 20
    assert largest[recorded[:, 0]].tolist() == recorded[:, 1:].tolist()


def flooded(shown: np.ndarray, steps: list[tuple[int, int]]) -> Iterator[set[tuple[int, int]]]:
    """Connected parts, one position at a time."""
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(shown), strict=True)}
    while left:
        part, border = set(), {left.pop()}
        while border:
            part |= border
            border = {(y + dy, x + dx) for y, x in border for dy, dx in steps} & left
            left -= border
        yield part


def box_of(part: set[tuple[int, int]], margin: int = 0) -> list[int]:
    rows, columns = zip(*part, strict=True)
    low, high = (min(columns) - margin, min(rows) - margin), (max(columns), max(rows))
    return [*low, high[0] + margin, high[1] + margin]


FOUR = [(0, 1), (1, 0), (0, -1), (-1, 0)]
EIGHT = [*FOUR, (1, 1), (1, -1), (-1, 1), (-1, -1)]


@pytest.mark.parametrize("seed", range(6))
def test_every_contour_is_one_that_a_flood_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(3, 11, 2)
    scores = rng.integers(0, rng.integers(2, 7), (height, width)) / 6
    levels = (scores * 255).astype(int)
    wanted = []
    for threshold in range(255):
        above = levels > threshold
        wanted += [[threshold, *box_of(part)] for part in flooded(above, EIGHT)]
        padded = np.pad(~above, 1, constant_values=True)
        holes = [part for part in flooded(padded, FOUR) if (0, 0) not in part]
        inside = [{(y - 1, x - 1) for y, x in part} for part in holes]
        wanted += [[threshold, *box_of(part, margin=1)] for part in inside]
    assert listed(found(scores)) == sorted(wanted)


def test_a_frame_around_more_than_a_block_is_larger_though_it_has_fewer_positions() -> None:
    """The area of a contour is what it encloses, not what it is made of."""
    scores = np.zeros((20, 30))
    scores[2:12, 2:12] = 1
    scores[3:11, 3:11] = 0  # 36 positions that enclose 81 squares
    scores[12:20, 20:27] = 0.9  # 56 positions, 42 squares
    assert found(scores).largest[200].tolist() == [2, 2, 11, 11]


def test_a_map_of_one_level_has_no_contour_at_it() -> None:
    contours = found(np.zeros((5, 6)))
    assert len(contours.boxes) == 0
    assert (contours.largest == -1).all()
