"""Who gets which place, for a CPU: only the cells that still look for a place are followed.

The rule is that of `puzzle_transport`, which looks at the costs of all cells and all places in each
round. Here three facts save nearly all of that. A cell prefers the nearest places that are seen. A
place that is seen costs its own cell no more than 0, so a cell to which it costs more never gets
it, and need not apply. And who holds a place stays until someone offers less, so only those
without one apply.

Legend: n images, h w grid, p = h w cells. A cell or place of the batch is a number in [0, n p).
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int64

NOBODY = np.iinfo(np.int64).max
"""Holds a place that no cell applied for."""

CHUNK = 8
"""How many places a cell looks at in one go."""


class _Nearest(NamedTuple):
    """All places of a grid, as seen from each cell: from the nearest on, the first of equals."""

    place: Int64[np.ndarray, "p p"]

    way: Float32[np.ndarray, "p p"]
    """Squared distance, with the longer side of the grid as 1."""


class _Batch(NamedTuple):
    """What is looked for and found."""

    gain: Float32[np.ndarray, " np"]
    """What is won if a cell is seen: its saliency."""

    visible: Bool[np.ndarray, " np"]
    """Of each place."""

    nearest: _Nearest
    """With ways as costs."""

    rank: Int64[np.ndarray, " np"]
    """Where a cell applies, as its place among the nearest."""

    holder: Int64[np.ndarray, " np"]
    """The cell that has the place, or `NOBODY`."""

    offer: Float32[np.ndarray, " np"]
    """What it costs that cell; 0 without one."""


def sources_of_visible(
    saliency: Float32[np.ndarray, "n h w"], visible: Bool[np.ndarray, "n h w"], distance_cost: float
) -> Int64[np.ndarray, "n p"]:
    """Decide which cell's content each visible place shows.

    Args:
        saliency: Of each cell, in [0, 1].
        visible: Whether the place is seen.
        distance_cost: Of the longest side of the grid, squared; >= 0.

    Returns:
        For each place the index of a cell, row by row; for a hidden place its own.

    Source:
        See `sources_of_cells`. Differs from it where ways cost nothing: of places that are then
        equally good each cell prefers the nearest.
    """
    n, rows, columns = saliency.shape
    size = rows * columns
    nearest = _nearest(rows, columns)
    way = nearest.way * np.float32(distance_cost)
    gain, seen = saliency.reshape(-1), visible.reshape(-1)
    holder = np.where(seen, np.arange(n * size), NOBODY)
    offer = np.where(seen, -gain, np.float32(0))
    batch = _Batch(gain, seen, nearest._replace(way=way), np.zeros(n * size, int), holder, offer)
    # in the first round each visible cell has its own place, so only the hidden ones search
    looking = np.flatnonzero(~seen & (gain > way[:, 1:2].min(initial=np.inf)))
    for _ in range(max(rows, columns)):
        looking = _apply(_search(looking, batch), batch)
        if looking.size == 0:
            break
    own = np.arange(size)
    taken = holder.reshape(n, size)
    return np.where(taken == NOBODY, own, taken % size)


def _search(
    cells: Int64[np.ndarray, " a"], batch: _Batch
) -> tuple[Int64[np.ndarray, " b"], Int64[np.ndarray, " b"], Float32[np.ndarray, " b"]]:
    """Let each cell find the next visible place that it gains from: cells, places and offers."""
    size = len(batch.nearest.place)
    found: list[np.ndarray] = []
    while cells.size:
        own = cells % size
        last = batch.rank[cells, None] + np.arange(CHUNK)
        ranks = np.minimum(last, size - 1)
        place = batch.nearest.place[own[:, None], ranks]
        worth = (batch.nearest.way[own[:, None], ranks] < batch.gain[cells, None]) & (last < size)
        possible = worth & batch.visible[(cells - own)[:, None] + place]
        first = possible.argmax(axis=1)
        success = possible[np.arange(len(cells)), first]
        batch.rank[cells] += np.where(success, first, CHUNK)
        found.append(cells[success])
        cells = cells[~success & worth[:, -1]]
    applicants = np.concatenate([*found, cells])
    own, rank = applicants % size, batch.rank[applicants]
    place = applicants - own + batch.nearest.place[own, rank]
    return applicants, place, batch.nearest.way[own, rank] - batch.gain[applicants]


def _apply(
    applications: tuple[
        Int64[np.ndarray, " a"], Int64[np.ndarray, " a"], Float32[np.ndarray, " a"]
    ],
    batch: _Batch,
) -> Int64[np.ndarray, " b"]:
    """Give each place to the lowest offer, the first of equal ones.

    Returns:
        The cells that are left without a place, and look at the next one from now on.
    """
    cells, places, offers = applications
    best, holder = batch.offer, batch.holder
    before = best[places]
    np.minimum.at(best, places, offers)
    leading = offers == best[places]
    contested, leaders, old = places[leading], cells[leading], holder[places[leading]]
    holder[contested[offers[leading] < before[leading]]] = NOBODY
    np.minimum.at(holder, contested, leaders)
    replaced = (holder[contested] != old) & (old != NOBODY)
    losers = np.concatenate([cells[holder[places] != cells], np.unique(old[replaced])])
    batch.rank[losers] += 1
    return losers


@lru_cache(maxsize=8)
def _nearest(rows: int, columns: int) -> _Nearest:
    """Sort the places of a grid by their distance from each cell."""
    row, column = np.divmod(np.arange(rows * columns), columns)
    squared = (row[:, None] - row) ** 2 + (column[:, None] - column) ** 2
    place = squared.argsort(axis=1, kind="stable")
    way = np.take_along_axis(squared, place, axis=1) / np.float32((max(rows, columns) - 1) ** 2)
    return _Nearest(place, way.astype(np.float32))
