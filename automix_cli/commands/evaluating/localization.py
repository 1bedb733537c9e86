"""`automix eval --localization`: whether the maps of a network find the object in an image.

Protocol of Choe et al. (2020): the whole image, squashed to the network's square; the map of the
true class; see `evaluation.localization` for boxes and thresholds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from automix_cli import build
from automix_cli.commands.evaluating.judged_images import Viewer
from automix_cli.commands.evaluating.localization_maps import MapMaker, map_maker
from automix_cli.commands.requests.evaluate import LocalizationRequest
from automix_cli.data.batches import evaluation_batches
from automix_cli.data.box_lists import Boxes, boxed_rows, read_boxes, read_cub_boxes
from automix_cli.data.datasets import ImageFiles, Images
from automix_cli.data.loading import PictureSource
from automix_cli.data.recipe import WholeView
from automix_cli.engine.runtime import Accelerator, add_over_processes
from automix_cli.errors import DataError, SettingsError
from automix_cli.evaluation.accuracy import wilson_interval
from automix_cli.evaluation.localization import (
    THRESHOLDS,
    Cuts,
    Localization,
    box_at,
    central_map,
    cut_map,
    judge,
    localization_from,
    localization_totals,
    overlap,
    resized,
)
from automix_cli.models.classifier import Classifier
from automix_cli.reporting.localization_figure import LocatedPicture, LocatedRow

CENTRE = "centre"
"""A map that looks at no image, judged beside the others."""

MOST_AT_ONCE = 64
"""Images in a batch at most: Grad-CAM of an early stage keeps all activations behind it."""

NUM_SHOWN = 8
"""Images on the page."""


@dataclass(frozen=True)
class BoxedImages:
    """Images, and where the object is in each.

    Attributes:
        images: The test images that have boxes.
        boxes: By path.
        source: Where the boxes are from.
        num_test_images: How many test images there are.
    """

    images: ImageFiles
    boxes: Boxes
    source: Path
    num_test_images: int

    def truth(self, row: int, size: int) -> np.ndarray:
        """The boxes of an image `(g, 4)`, where they are in the squashed one.

        Raises:
            DataError: a box lies outside its image.
        """
        picture, path = PictureSource(self.images)[row], self.images.paths[row]
        form = (picture.width, picture.height)
        for box in self.boxes[path]:
            if box[0] >= form[0] or box[1] >= form[1] or box[2] <= 0 or box[3] <= 0:
                raise DataError(
                    f"a box of `{path}` in `{self.source}` lies outside the image:"
                    f" {', '.join(f'{each:g}' for each in box)} in {form[0]} x {form[1]} pixels",
                    hint="boxes are in pixels of the image as it is stored",
                )
        wanted = (size, size)
        return np.array([resized(tuple(box), form, wanted) for box in self.boxes[path]])


def boxed_images(test: Images, dataset: str, request: LocalizationRequest) -> BoxedImages:
    """Find the boxes of the test images.

    Raises:
        SettingsError: no list is named, or the images are not files.
        DataError: the list cannot be used.
    """
    if not isinstance(test, ImageFiles):
        raise SettingsError(
            f"`--localization` needs images in files that a list of boxes can name,"
            f" {dataset} is an array",
            hint="evaluate a run on `cub200`, or on images of your own with `--boxes FILE`",
        )
    if request.boxes is not None:
        source, boxes = request.boxes, read_boxes(request.boxes.expanduser())
    elif dataset == "cub200":
        source, boxes = test.root / "bounding_boxes.txt", read_cub_boxes(test.root)
    else:
        raise SettingsError(
            f"`--localization` needs the boxes of {dataset}, and no list of them is named",
            hint="--boxes FILE, a table of path,x,y,w,h",
        )
    rows = boxed_rows(test, boxes, source)
    return BoxedImages(test.take(rows), boxes, source, len(test))


@dataclass(frozen=True)
class Locator:
    """One network, and the images it looks for objects in.

    Attributes:
        accelerator: Where, and in how many processes.
        network: In evaluation mode.
        viewer: How images are normalised and decoded.
        boxed: The images.
        batch_size: Images at a time.
        stage: For Grad-CAM, or None.
        backbone: Name of the network's.
        maker: The maps that the network has, found out with the first image.

    Raises:
        SettingsError: it has none.
    """

    accelerator: Accelerator
    network: Classifier
    viewer: Viewer
    boxed: BoxedImages
    batch_size: int
    stage: int | None
    backbone: str
    maker: MapMaker = field(init=False)

    def __post_init__(self) -> None:
        """Refuse a network without maps before anything long is measured."""
        images, _ = next(iter(self.batches(np.arange(1))))
        maker = map_maker(self.network, images, self.stage, self.backbone)
        object.__setattr__(self, "maker", maker)

    def measure(self) -> tuple[dict[str, Any], list[LocatedRow]]:
        """Judge every kind of map that the network has.

        Returns:
            The record; and the page of pictures, of the main process only.

        Raises:
            DataError: an image or a box cannot be used.
        """
        found = self.found()
        record = {
            "num_images": len(self.boxed.images),
            "num_test_images": self.boxed.num_test_images,
            "boxes": str(self.boxed.source),
            "view": f"whole images squashed to {self.viewer.size} x {self.viewer.size} pixels",
            "thresholds": f"{len(THRESHOLDS):,} shares of each map's highest level, chosen on these"
            " images",
            "grad_cam_stage": self.stage,
            "maps": {kind: plain(each) for kind, each in found.items()},
            "without": self.maker.without,
        }
        if not self.accelerator.is_main_process:
            return record, []
        return record, self.page({kind: each.tau for kind, each in found.items()})

    def batches(self, rows: np.ndarray) -> Any:
        """Some of the images as the network takes them, with their labels."""
        viewer = self.viewer
        shown = build.view(viewer.data, viewer.mean, viewer.std, viewer.size)
        return evaluation_batches(
            self.boxed.images.take(rows),
            WholeView(**asdict(shown)),
            build.loading(viewer.data, viewer.device),
            batch_size=min(self.batch_size, MOST_AT_ONCE),
            rank=0,
            num_ranks=1,
        )

    def found(self) -> dict[str, Localization]:
        """Go through this process's images, a batch at a time; add up over all processes."""
        rank, num_ranks = self.accelerator.process_index, self.accelerator.num_processes
        begin, end = (len(self.boxed.images) * part // num_ranks for part in (rank, rank + 1))
        centre = cut_map(central_map(self.viewer.size))
        maker = self.maker
        kinds = (*maker.kinds, CENTRE)
        totals = torch.zeros(len(kinds), 6, len(THRESHOLDS), dtype=torch.float64)
        row = begin
        for images, labels in self.batches(np.arange(begin, end)):
            maps, said = maker(images, labels)
            is_right = (said == labels).tolist()
            for place in range(len(labels)):
                truth = self.boxed.truth(row, self.viewer.size)
                cuts = [*(cut_map(maps[kind][place].numpy()) for kind in maker.kinds), centre]
                for total, each in zip(totals, cuts, strict=True):
                    total += localization_totals(judge(each, truth), is_recognised=is_right[place])
                row += 1
        summed = add_over_processes(self.accelerator, totals).cpu()
        return {kind: localization_from(each) for kind, each in zip(kinds, summed, strict=True)}

    def page(self, taus: dict[str, float]) -> list[LocatedRow]:
        """Some images with their boxes and maps, evenly spaced over all of them."""
        last = len(self.boxed.images) - 1
        rows = np.unique(np.linspace(0, last, min(NUM_SHOWN, last + 1)).astype(int))
        names, shown, place = self.boxed.images.class_names, list[LocatedRow](), 0
        std, mean = (
            torch.tensor(each)[:, None, None] for each in (self.viewer.std, self.viewer.mean)
        )
        for images, labels in self.batches(rows):
            maps, said = self.maker(images, labels)
            for number in range(len(labels)):
                truth = self.boxed.truth(int(rows[place]), self.viewer.size)
                pixels = (images[number].cpu() * std + mean).clamp(0, 1).permute(1, 2, 0)
                pictures = {
                    kind: located(maps[kind][number].numpy(), truth, taus[kind])
                    for kind in self.maker.kinds
                }
                label, answer = names[int(labels[number])], names[int(said[number])]
                shown.append(LocatedRow(pixels.numpy(), truth, (label, answer), pictures))
                place += 1
        return shown


def located(scores: np.ndarray, truth: np.ndarray, tau: float) -> LocatedPicture:
    """A map with the box that it gives at a threshold."""
    cuts: Cuts = cut_map(scores)
    box = np.array(box_at(cuts, tau))
    return LocatedPicture(scores, box, float(overlap(box[None], truth).max()))


def plain(found: Localization) -> dict[str, Any]:
    """What was found as plain values, shares as fractions."""
    of_overlaps = [
        {"overlap": each, "accuracy": share, "threshold": tau}
        for each, share, tau in found.of_overlaps
    ]
    return {
        "max_box_acc": found.max_box_acc,
        "interval": list(wilson_interval(found.max_box_acc, found.num_images)),
        "threshold": found.tau,
        "max_box_acc_v2": found.max_box_acc_v2,
        "of_overlaps": of_overlaps,
        "top1": found.top1,
        "top1_localization": found.top1_localization,
        "curve": list(found.curve[:: len(found.curve) // 100]),
    }
