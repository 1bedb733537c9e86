"""Every contour of a score map at every threshold, as OpenCV finds them.

A contour is the outer border of an 8-connected region of {level > t}, or the border of a hole in
one: a 4-connected region of {level <= t} that does not reach the edge of the map.

Why it is like this: the published evaluator cuts each map 1,000 times and searches each cut, 19 ms
a map with OpenCV. Here regions of all cuts are found together, see `regions`; holes are those of
the map upside down.

Legend: h w positions of the map, k summits, t thresholds, b boxes. A level is an integer in [0,
255]; a threshold in [0, 254] stands for {level > threshold}. A box is x0, y0, x1, y1 in positions,
both ends included.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from automix_cli.evaluation.regions import EIGHT, FOUR, NOTHING, Regions, regions_of

LEVELS = 256
"""Levels of a score map as the published evaluator has it."""


class Contours(NamedTuple):
    """All contours of a map, and the largest one at each threshold."""

    boxes: Int[np.ndarray, "b 4"]
    """Their bounding boxes."""

    thresholds: Int[np.ndarray, " b"]
    """The threshold in [0, 254] that each belongs to."""

    largest: Int[np.ndarray, "256 4"]
    """The box of the contour of largest area at each threshold; -1 where there is none."""


def contours_of(scores: Float[np.ndarray, "h w"], levels: Int[np.ndarray, "h w"]) -> Contours:
    """Find every contour of a map.

    Args:
        scores: What the levels were rounded from: it says which way is up where levels are equal.
            Levels must not fall where scores rise.
        levels: In [0, 255].

    Source:
        clovaai/wsolevaluation `compute_bboxes_from_scoremaps`, OpenCV's `findContours` with
        `RETR_TREE` and `contourArea`. Differs: contours of equal area (specks of one position) may
        be told apart otherwise.
    """
    height, width = levels.shape
    tops = regions_of(scores, levels, EIGHT, LEVELS)
    pits = regions_of(-scores, LEVELS - 1 - levels, FOUR, LEVELS)
    above = _boxes(tops.sides)[:, 1:]  # threshold t: column t + 1
    pit_sides = pits.sides[:, :, ::-1][:, :, :-1]  # {level <= t} is {255 - level >= 255 - t}
    inside = np.array([0, 0, 1 - width, 1 - height])[:, None, None] < pit_sides
    is_hole = (pit_sides[0] < NOTHING) & inside.all(axis=0)
    below = _boxes(pit_sides) + np.array([-1, -1, 1, 1])  # on the positions around the hole
    places, holes = np.nonzero(tops.exist[:, 1:]), np.nonzero(is_hole)
    largest = np.full((LEVELS, 4), -1)
    largest[:-1] = _largest(tops, above, levels, _hole_areas(below, is_hole))
    return Contours(
        np.concatenate([above[places], below[holes]]),
        np.concatenate([places[1], holes[1]]),
        largest,
    )


def _boxes(sides: Int[np.ndarray, "4 k l"]) -> Int[np.ndarray, "k l 4"]:
    x0, y0, x1, y1 = sides
    return np.stack([x0, y0, -x1, -y1], axis=2)


def _hole_areas(
    boxes: Int[np.ndarray, "k t 4"], is_hole: Bool[np.ndarray, "k t"]
) -> Int[np.ndarray, " t"]:
    """More than the area of all holes together at each threshold; 0 where there is none."""
    x0, y0, x1, y1 = boxes.astype(np.int64).transpose(2, 0, 1)
    return np.where(is_hole, (x1 - x0) * (y1 - y0), 0).sum(axis=0)


def _largest(
    tops: Regions,
    boxes: Int[np.ndarray, "k t 4"],
    levels: Int[np.ndarray, "h w"],
    hole_areas: Int[np.ndarray, " t"],
) -> Int[np.ndarray, "t 4"]:
    """The box of the region of largest area at each threshold, holes filled; -1: no region."""
    exist = tops.exist[:, 1:]
    areas = np.where(exist, tops.areas[:, 1:], -1)
    thresholds = np.arange(exist.shape[1])
    winner = areas.argmax(axis=0)
    largest = boxes[winner, thresholds]
    largest[areas.max(axis=0) < 0] = -1
    if len(areas) == 1:
        return largest
    first, second = np.sort(areas, axis=0)[::-1][:2]
    for threshold in np.nonzero((hole_areas > 0) & (second + hole_areas > first))[0]:
        largest[threshold] = _largest_filled(levels > threshold)
    return largest


def _largest_filled(shown: Bool[np.ndarray, "h w"]) -> Int[np.ndarray, " 4"]:
    """The box of the region of largest area in one cut, after its holes are filled."""
    outside = _reaching_edge(~shown)
    filled = (~outside).astype(np.int64)
    regions = regions_of(filled.astype(float), filled, EIGHT, 2)
    areas = np.where(regions.exist, regions.areas, -1)[:, 1]
    return _boxes(regions.sides)[areas.argmax(), 1]


def _reaching_edge(shown: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Those positions that have a way to the edge, from each to its four neighbours."""
    reached = np.zeros_like(shown)
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        reached[edge] = shown[edge]
    num_reached = -1
    while num_reached != reached.sum():
        num_reached = reached.sum()
        for turned in (np.s_[:, :], np.s_[:, ::-1]):
            reached[turned] = _swept(reached[turned], shown[turned])
            reached.T[turned] = _swept(reached.T[turned], shown.T[turned])
    return reached


def _swept(
    reached: Bool[np.ndarray, "h w"], shown: Bool[np.ndarray, "h w"]
) -> Bool[np.ndarray, "h w"]:
    """What is reached by going to the right as far as it is shown."""
    place = np.arange(shown.shape[1])
    last_reached = np.maximum.accumulate(np.where(reached, place, -1), axis=1)
    last_blocked = np.maximum.accumulate(np.where(shown, -1, place), axis=1)
    return shown & (last_reached > last_blocked)
