"""Boxes from maps: the published evaluator's test values, and an evaluator that loops."""

import numpy as np
import pytest
import torch

from automix_cli.evaluation.localization import (
    OVERLAPS,
    THRESHOLDS,
    box_at,
    central_map,
    cut_map,
    judge,
    localization_from,
    localization_totals,
    overlap,
    resized,
)
from tests.evaluation.test_contours import EIGHT, FOUR, box_of, flooded

PUBLISHED = np.array(
    [[0, 0, 0, 0, 0], [0, 0.4, 0.4, 0.4, 0.6], [0, 0.4, 1, 0.8, 0.6], [0, 0.4, 0.4, 0.4, 0.6]]
)
"""The map in the unit test of the published evaluator (clovaai/wsolevaluation)."""


@pytest.mark.parametrize(
    ("tau", "box"),
    [
        (0.0, (1, 1, 4, 3)),
        (0.2, (1, 1, 4, 3)),
        (0.4, (2, 1, 4, 3)),
        (0.6, (2, 2, 4, 3)),
        (0.8, (2, 2, 3, 3)),
    ],
)
def test_boxes_are_those_of_the_published_evaluators_test(tau: float, box: tuple[int, ...]) -> None:
    assert box_at(cut_map(PUBLISHED), tau) == box


def test_overlap_is_that_of_the_published_evaluators_test() -> None:
    one, other = np.array([[1, 2, 5, 6]]), np.array([[3, 1, 4, 5]])
    assert overlap(one, other)[0, 0] == pytest.approx(8 / 27, rel=1e-12)


def test_a_resized_box_is_that_of_the_published_evaluators_test() -> None:
    assert resized((1, 2, 4, 3), (10, 20), (35, 10)) == (3, 1, 14, 1)


def by_loops(
    maps: list[np.ndarray], truths: list[np.ndarray], *, largest: bool
) -> dict[float, list[float]]:
    """Share of images found at each overlap, for each tau, with nothing shared with ours."""
    shares = {each: np.zeros(len(THRESHOLDS)) for each in OVERLAPS}
    for scores, truth in zip(maps, truths, strict=True):
        height, width = scores.shape
        levels = (scores * 255).astype(int)
        known: dict[int, float] = {}
        for place, tau in enumerate(THRESHOLDS):
            level = int(tau * levels.max())
            if level not in known:
                known[level] = overlap_at(levels > level, truth, (height, width), largest=largest)
            for each in OVERLAPS:
                shares[each][place] += known[level] >= each
    return {each: (row / len(maps)).tolist() for each, row in shares.items()}


def overlap_at(
    above: np.ndarray, truth: np.ndarray, size: tuple[int, int], *, largest: bool
) -> float:
    parts = [(len(part), box_of(part)) for part in flooded(above, EIGHT)]
    if not largest:
        padded = np.pad(~above, 1, constant_values=True)
        for part in flooded(padded, FOUR):
            if (0, 0) not in part:
                inside = {(y - 1, x - 1) for y, x in part}
                parts.append((0, box_of(inside, margin=1)))
    boxes = [max(parts)[1]] if largest and parts else [box for _, box in parts]
    boxes = [
        (x0, y0, min(x1 + 1, size[1] - 1), min(y1 + 1, size[0] - 1)) for x0, y0, x1, y1 in boxes
    ] or [(0, 0, 0, 0)]
    return max(pixelwise(box, true) for box in boxes for true in truth.tolist())


def pixelwise(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """Overlap by counting pixels."""
    sets = [
        {(x, y) for x in range(box[0], box[2] + 1) for y in range(box[1], box[3] + 1)}
        for box in (one, other)
    ]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def blobs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two filled rectangles of different heights and sizes, and two true boxes."""
    rng = np.random.default_rng(seed)
    scores = np.zeros((12, 14))
    for value in (1.0, 0.7, 0.4):
        y, x = rng.integers(0, 8, 2)
        h, w = rng.integers(2, 6, 2)
        scores[y : y + h, x : x + w] = np.maximum(scores[y : y + h, x : x + w], value)
    x, y = rng.integers(0, 8, (2, 2))
    return scores, np.stack([x, y, x + 3, y + 4], axis=1)


def test_both_measures_equal_an_evaluator_that_loops_over_thresholds_and_pixels() -> None:
    maps, truths = zip(*(blobs(seed) for seed in range(12)), strict=True)
    totals = sum(
        localization_totals(judge(cut_map(scores), truth), is_recognised=seed % 3 > 0)
        for seed, (scores, truth) in enumerate(zip(maps, truths, strict=True))
    )
    ours = localization_from(totals)
    of_any = by_loops(list(maps), list(truths), largest=False)
    assert [share for _, share, _ in ours.of_overlaps] == [max(of_any[each]) for each in OVERLAPS]
    assert ours.max_box_acc_v2 == pytest.approx(np.mean([max(row) for row in of_any.values()]))
    of_largest = by_loops(list(maps), list(truths), largest=True)[0.5]
    assert list(ours.curve) == of_largest
    assert ours.max_box_acc == max(of_largest)
    assert of_largest[int(np.argmax(ours.tau == THRESHOLDS))] == ours.max_box_acc
    assert 0 < ours.max_box_acc < 1


def test_top1_localisation_counts_what_is_found_and_recognised() -> None:
    scores = np.zeros((10, 10))
    scores[2:6, 3:8] = 1
    hit, miss = np.array([[3, 2, 8, 6]]), np.array([[0, 8, 1, 9]])
    images = [(hit, True), (hit, False), (miss, True), (hit, True)]
    totals = sum(
        localization_totals(judge(cut_map(scores), truth), is_recognised=is_right)
        for truth, is_right in images
    )
    ours = localization_from(totals)
    assert (ours.num_images, ours.top1) == (4, 3 / 4)
    assert (ours.max_box_acc, ours.top1_localization) == (3 / 4, 2 / 4)


def test_any_of_several_true_boxes_may_be_found() -> None:
    scores = np.zeros((10, 10))
    scores[2:6, 3:8] = 1
    truth = np.array([[0, 8, 1, 9], [3, 2, 8, 6]])
    assert judge(cut_map(scores), truth).largest[0] == 1


def test_an_empty_map_gives_the_first_pixel() -> None:
    found = judge(cut_map(np.zeros((4, 4))), np.array([[0, 0, 1, 0]]))
    assert found.largest.tolist() == found.best.tolist() == [0.5] * len(THRESHOLDS)


def test_the_map_that_looks_at_no_image_gives_boxes_in_the_middle() -> None:
    x0, y0, x1, y1 = box_at(cut_map(central_map(64)), 0.5)
    assert x0 == y0
    assert x1 == y1 == 64 - x0  # the far sides are a pixel further


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(ValueError, match=r"scores must be in \[0, 1\]"):
        cut_map(np.full((2, 2), 1.5))
    with pytest.raises(ValueError, match=r"scores must be in \[0, 1\]"):
        cut_map(np.full((2, 2), np.nan))
    with pytest.raises(ValueError, match="at least one true box"):
        judge(cut_map(PUBLISHED), np.zeros((0, 4), dtype=int))
    with pytest.raises(ValueError, match="no image"):
        localization_from(torch.zeros(6, len(THRESHOLDS), dtype=torch.float64))
