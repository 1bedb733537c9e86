"""Connected regions of a score map above every level, without looking at one level at a time.

Regions only grow as the level falls, and only merge at saddles. So each position is sent uphill to
its summit once, what a summit's slope holds above each level is counted at once, and slopes are
joined at the highest level at which they touch. The result is exact.

Legend: h w positions of the map, k summits, l levels. A level is an integer in [0, l - 1]. The last
axis of what is counted is the level: column v is {level >= v}.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

EIGHT = ((0, 1), (1, 0), (1, 1), (1, -1))
FOUR = ((0, 1), (1, 0))
"""Steps, down and right, to the half of the neighbours that come later."""

NOTHING = np.int32(2**30)
"""Where a region has no position yet."""


class Regions(NamedTuple):
    """Connected regions of {level >= v}, by one of their summits."""

    sides: Int[np.ndarray, "4 k l"]
    """Least x, y, -x and -y; `NOTHING` where summit k has no region of its own."""

    areas: Float[np.ndarray, "k l"]
    """Of the polygons through the outermost positions, holes left out."""

    @property
    def exist(self) -> Bool[np.ndarray, "k l"]:
        """Which regions there are."""
        return self.sides[0] < NOTHING


def regions_of(
    scores: Float[np.ndarray, "h w"],
    levels: Int[np.ndarray, "h w"],
    steps: tuple[tuple[int, int], ...],
    num_levels: int,
) -> Regions:
    """Find the connected regions of {level >= v} for every v.

    Args:
        scores: Rise where levels rise.
        levels: In [0, `num_levels` - 1].
        steps: Who is a neighbour, `EIGHT` or `FOUR`.
        num_levels: l.
    """
    summits, num_summits = _summits(scores, steps)
    cells = summits * num_levels + levels
    shape = (num_summits, num_levels)
    rows, columns = np.indices(levels.shape)
    sides = np.full((4, num_summits * num_levels), NOTHING, dtype=np.int32)
    for side, place in zip(sides, (columns, rows, -columns, -rows), strict=True):
        np.minimum.at(side, cells.ravel(), place.ravel().astype(np.int32))
    sides = np.minimum.accumulate(sides.reshape(4, *shape)[:, :, ::-1], axis=2)[:, :, ::-1]
    areas = _areas(summits, levels, shape)
    _join(sides, areas, _saddles(summits, levels, steps))
    return Regions(sides, areas)


def _summits(
    scores: Float[np.ndarray, "h w"], steps: tuple[tuple[int, int], ...]
) -> tuple[Int[np.ndarray, "h w"], int]:
    """Number the summits, and say which one the steepest way up leads to from each position.

    The part of a slope above any level is connected: the way up never falls below where it is.
    """
    order = np.argsort(scores, axis=None, kind="stable")
    rank = np.empty(scores.size, dtype=np.int64)
    rank[order] = np.arange(scores.size)  # no two are equal
    rank = rank.reshape(scores.shape)
    best = rank.copy()
    for here, there in _neighbours(scores.shape, steps):
        np.maximum(best[here], rank[there], out=best[here])
        np.maximum(best[there], rank[here], out=best[there])
    goal = order[best.ravel()]
    while True:
        further = goal[goal]
        if np.array_equal(further, goal):
            break
        goal = further
    is_summit = goal == np.arange(goal.size)
    number = np.cumsum(is_summit) - 1
    return number[goal].reshape(scores.shape), int(is_summit.sum())


def _neighbours(
    shape: tuple[int, ...], steps: tuple[tuple[int, int], ...]
) -> list[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Two views of a map for each step: positions, and where the step leads from them."""
    height, width = shape
    pairs = []
    for down, right in steps:
        columns = (slice(0, width - right), slice(right, width))
        if right < 0:
            columns = (slice(-right, width), slice(0, width + right))
        pairs.append(((slice(0, height - down), columns[0]), (slice(down, height), columns[1])))
    return pairs


def _saddles(
    summits: Int[np.ndarray, "h w"],
    levels: Int[np.ndarray, "h w"],
    steps: tuple[tuple[int, int], ...],
) -> Int[np.ndarray, "e 3"]:
    """Pairs of slopes that touch, with the highest level where they do, the highest first."""
    found = []
    for here, there in _neighbours(levels.shape, steps):
        one, other = summits[here], summits[there]
        touching = one != other
        level = np.minimum(levels[here], levels[there])[touching]
        pair = np.stack([one[touching], other[touching]], axis=1)
        found.append(np.column_stack([level, pair.min(axis=1), pair.max(axis=1)]))
    edges = np.concatenate(found)
    edges = edges[np.lexsort((-edges[:, 0], edges[:, 2], edges[:, 1]))]
    is_first = np.ones(len(edges), dtype=bool)
    is_first[1:] = (np.diff(edges[:, 1:], axis=0) != 0).any(axis=1)
    edges = edges[is_first]
    return edges[np.argsort(-edges[:, 0], kind="stable")]


def _join(
    sides: Int[np.ndarray, "4 k l"],
    areas: Float[np.ndarray, "k l"],
    saddles: Int[np.ndarray, "e 3"],
) -> None:
    """Give what lies below a saddle to one of its two summits, in place."""
    parent = list(range(len(areas)))

    def root(summit: int) -> int:
        while parent[summit] != summit:
            parent[summit] = parent[parent[summit]]
            summit = parent[summit]
        return summit

    for level, one, other in saddles.tolist():
        kept, lost = root(one), root(other)
        if kept == lost:
            continue
        parent[lost] = kept
        joined = slice(0, level + 1)
        np.minimum(sides[:, kept, joined], sides[:, lost, joined], out=sides[:, kept, joined])
        sides[:, lost, joined] = NOTHING
        areas[kept, joined] += areas[lost, joined]
        areas[lost, joined] = 0


def _areas(
    summits: Int[np.ndarray, "h w"], levels: Int[np.ndarray, "h w"], shape: tuple[int, int]
) -> Float[np.ndarray, "k l"]:
    """Area of each slope above each level, of the polygon through its outermost positions.

    Of a square between four positions, half is inside with three of them and all with four.
    """
    parts = [np.s_[:-1, :-1], np.s_[:-1, 1:], np.s_[1:, :-1], np.s_[1:, 1:]]
    corners = np.stack([levels[part] for part in parts])
    highest = corners.argmax(axis=0)[None]
    owner = np.take_along_axis(np.stack([summits[part] for part in parts]), highest, 0)[0]
    ordered = np.sort(corners, axis=0)
    cells = (owner * shape[1] + ordered[:2]).ravel()
    halves = np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)
    return np.cumsum(halves[:, ::-1], axis=1)[:, ::-1] / 2
