"""Whether a map of scores shows where an object is: boxes from contours, against true boxes.

Threshold rule: a map in [0, 1] is rounded down to 256 levels and cut at int(tau * its highest
level), for tau = 0, 0.001, ..., 0.999; what lies above is shown. MaxBoxAcc judges the box of the
largest contour of a cut, MaxBoxAccV2 whichever contour's box fits best. Both report the tau that is
best for all images together, chosen on the images that are judged, as the published evaluator does.

Legend: h w pixels, T thresholds, b boxes, g true boxes. A box is x0, y0, x1, y1 in pixels, both
ends included; an overlap is intersection over union, in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from automix_cli.evaluation.contours import Contours, contours_of

THRESHOLDS = np.arange(0, 1, 0.001)
"""tau, as a share of the highest level of a map."""

OVERLAPS = (0.3, 0.5, 0.7)
"""How large an overlap counts as found, for MaxBoxAccV2; MaxBoxAcc takes the second."""

USUAL = OVERLAPS.index(0.5)
ANY, LARGEST, LARGEST_AND_RIGHT, COUNTS = slice(0, 3), 3, 4, 5
"""Rows of `localization_totals`."""


class Cuts(NamedTuple):
    """A map, cut at every level."""

    contours: Contours
    size: tuple[int, int]  # h, w
    highest: int


class Found(NamedTuple):
    """How well the boxes of a map fit the true ones, for each tau."""

    best: Float[np.ndarray, " T"]
    """Overlap of the best of all contours."""

    largest: Float[np.ndarray, " T"]
    """Overlap of the largest contour."""


def cut_map(scores: Float[np.ndarray, "h w"]) -> Cuts:
    """Find the contours of a map at every threshold.

    Raises:
        ValueError: a score is outside [0, 1].
    """
    if not (scores.min() >= 0 and scores.max() <= 1):
        raise ValueError(f"scores must be in [0, 1], got {scores.min()} to {scores.max()}")
    levels = (scores * 255).astype(np.int64)
    return Cuts(contours_of(scores, levels), (len(levels), len(levels[0])), int(levels.max()))


def level_of(tau: float, highest: int) -> int:
    """The level above which a map is shown.

    Source:
        clovaai/wsolevaluation `compute_bboxes_from_scoremaps`. No difference.
    """
    return int(tau * highest)


def published_boxes(boxes: Int[np.ndarray, "b 4"], size: tuple[int, int]) -> Int[np.ndarray, "b 4"]:
    """Boxes of contours as the published evaluator has them.

    Source:
        clovaai/wsolevaluation: the far sides are one pixel further (OpenCV's `boundingRect` gives
        width and height), if that is inside; of no contour (here -1), the box is the pixel (0, 0).
    """
    height, width = size
    further = np.minimum(boxes + np.array([0, 0, 1, 1]), np.array([width, height] * 2) - 1)
    return np.where(boxes[:, :1] < 0, 0, further)


def overlap(
    boxes: Float[np.ndarray, "b 4"] | Int[np.ndarray, "b 4"],
    truth: Float[np.ndarray, "g 4"] | Int[np.ndarray, "g 4"],
) -> Float[np.ndarray, "b g"]:
    """Intersection over union of each box with each true one.

    Source:
        clovaai/wsolevaluation `calculate_multiple_iou`: ends are included, so that a box has
        (x1 - x0 + 1) (y1 - y0 + 1) pixels. No difference.
    """
    one, other = boxes[:, None].astype(float), truth[None].astype(float)
    low, high = np.maximum(one[..., :2], other[..., :2]), np.minimum(one[..., 2:], other[..., 2:])
    shared = np.clip(high - low + 1, 0, None).prod(axis=2)
    areas = [(each[..., 2:] - each[..., :2] + 1).prod(axis=2) for each in (one, other)]
    return shared / (areas[0] + areas[1] - shared)


def resized(
    box: tuple[float | int, ...], size: tuple[int, int], wanted: tuple[int, int]
) -> tuple[int, ...]:
    """A box in an image of another width and height.

    Source:
        clovaai/wsolevaluation `resize_bbox`: rounded towards zero. No difference.
    """
    return tuple(int(place * wanted[side % 2] / size[side % 2]) for side, place in enumerate(box))


def judge(cuts: Cuts, truth: Int[np.ndarray, "g 4"]) -> Found:
    """Compare the boxes of a map with the true ones, of which any may be found.

    Source:
        clovaai/wsolevaluation `BoxEvaluator.accumulate`. No difference.

    Raises:
        ValueError: there is no true box.
    """
    if len(truth) == 0:
        raise ValueError("a map is judged by at least one true box, got none")
    contours, size, highest = cuts
    largest = overlap(published_boxes(contours.largest, size), truth).max(axis=1)
    best = np.where(contours.largest[:, 0] < 0, largest, 0)
    of_boxes = overlap(published_boxes(contours.boxes, size), truth).max(axis=1)
    np.maximum.at(best, contours.thresholds, of_boxes)
    taken = np.array([level_of(tau, highest) for tau in THRESHOLDS])
    return Found(best[taken], largest[taken])


def localization_totals(found: Found, *, is_recognised: bool) -> Float64[Tensor, "6 T"]:
    """Count an image, and whether it is found, for each tau; sums of images add up.

    Args:
        found: What its map found.
        is_recognised: Whether the class that the map is for is what the classifier says.

    Returns:
        Rows: found by the best contour at overlaps 0.3, 0.5, 0.7; by the largest at 0.5; by the
        largest, and recognised; in the last row the image, and whether it is recognised.
    """
    largest = found.largest >= OVERLAPS[USUAL]
    counts = np.zeros(len(THRESHOLDS))
    counts[:2] = 1, is_recognised
    rows = [found.best >= each for each in OVERLAPS]
    stacked = np.stack([*rows, largest, largest & is_recognised, counts]).astype(np.float64)
    return torch.from_numpy(stacked)


@dataclass(frozen=True)
class Localization:
    """How often an object is found. Shares of images in [0, 1]."""

    num_images: int
    max_box_acc: float
    tau: float  # at which that is so
    max_box_acc_v2: float  # mean over the three overlaps, each at its own tau
    of_overlaps: tuple[tuple[float, float, float], ...]  # overlap, share found, tau
    top1: float  # recognised
    top1_localization: float  # recognised, and found by the largest contour at `tau`
    curve: tuple[float, ...]  # share found by the largest contour, for each tau


def localization_from(totals: Float64[Tensor, "6 T"]) -> Localization:
    """Turn counts into shares, and choose each tau.

    Source:
        clovaai/wsolevaluation `BoxEvaluator.compute`: MaxBoxAcc and MaxBoxAccV2 of Choe et al.
        (2020). No difference.

    Raises:
        ValueError: if there are no images.
    """
    rows = totals.numpy()
    num_images, recognised = rows[COUNTS, :2]
    if not num_images > 0:
        raise ValueError("there is no image to find something in")
    shares = rows / num_images
    place = int(shares[LARGEST].argmax())
    of_overlaps = tuple(
        (each, float(row.max()), float(THRESHOLDS[row.argmax()]))
        for each, row in zip(OVERLAPS, shares[ANY], strict=True)
    )
    return Localization(
        num_images=int(num_images),
        max_box_acc=float(shares[LARGEST, place]),
        tau=float(THRESHOLDS[place]),
        max_box_acc_v2=float(np.mean([share for _, share, _ in of_overlaps])),
        of_overlaps=of_overlaps,
        top1=float(recognised / num_images),
        top1_localization=float(shares[LARGEST_AND_RIGHT, place]),
        curve=tuple(shares[LARGEST].tolist()),
    )


def box_at(cuts: Cuts, tau: float) -> tuple[int, ...]:
    """The box of the largest contour at one threshold."""
    level = level_of(tau, cuts.highest)
    boxes = published_boxes(cuts.contours.largest[level][None], cuts.size)
    return tuple(boxes[0].tolist())


def central_map(size: int) -> Float[np.ndarray, "h w"]:
    """A map that looks at no image: a Gaussian in the middle, to compare with.

    Source:
        The "center baseline" of Choe et al. (2020). Differs: its deviation, which changes the tau
        and not the boxes, is a fourth of the side.
    """
    place = (np.arange(size) - (size - 1) / 2) / (size / 4)
    scores = np.exp(-(place[:, None] ** 2 + place**2) / 2)
    return (scores - scores.min()) / (scores.max() - scores.min())
