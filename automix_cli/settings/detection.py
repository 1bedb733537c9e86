"""The `[detection]` section: where boxes are, and the detector that finds them."""

from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from automix_cli.settings.rules import Count, FilePath, Index, Positive, Rule, Section, require


class DetectionSettings(Section):
    """Finding objects with `automix detect`; no other command has a use for it.

    `data.name` is `coco` then. Of the other sections `detect` uses `[model]` but for the mix
    block's settings, `[optimizer]` but for those of the mix block and layers, `[train]` but for
    those of the momentum classifier and `compile`, of `[data]` `dir`, `flip` and `workers`, and
    `[run]`.
    """

    train: FilePath = Path("annotations/instances_train2017.json")
    """Annotations to train on: COCO's format, below `data.dir`."""

    train_images: FilePath = Path("train2017")
    """Folder of the images to train on, below `data.dir`."""

    test: FilePath = Path("annotations/instances_val2017.json")
    """Annotations to be judged on: COCO's format, below `data.dir`."""

    test_images: FilePath = Path("val2017")
    """Folder of the images to be judged on, below `data.dir`."""

    bad_boxes: Literal["refuse", "repair"] = "refuse"
    """What becomes of boxes without an area, or that reach more than a pixel out of their image: an
    error, or they are cut at its border, and left out where nothing remains. COCO has some."""

    short_side: Count = 800
    """Pixels that the short side of an image is brought to."""

    short_side_min: Count | None = None
    """Smallest short side in training, where it is drawn from this to `short_side` in steps of 32;
    unset: it is always `short_side`."""

    long_side: Count = 1333
    """Most pixels of the long side; where it would have more, the image is made smaller."""

    channels: Count = 256
    """Channels of the feature pyramid."""

    head_width: Count = 1024
    """Width of the two layers that look into a region."""

    regions: Count = 512
    """Regions of each training image that the head learns from."""

    anchor_scale: Positive = 8.0
    """Side of an anchor in cells of its map: 8 makes anchors of 32 pixels where a cell has 4."""

    shown_images: Index = 12
    """Test images on the page of drawn boxes."""

    @model_validator(mode="after")
    def _sides_agree(self) -> Self:
        require(
            Rule(
                self.short_side <= self.long_side,
                "`detection.short_side` must be at most `detection.long_side`",
                ("detection.short_side", "detection.long_side"),
            ),
            Rule(
                self.short_side_min is None or self.short_side_min <= self.short_side,
                "`detection.short_side_min` must be at most `detection.short_side`",
                ("detection.short_side_min", "detection.short_side"),
            ),
        )
        return self
