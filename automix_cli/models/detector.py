"""Faster R-CNN on the features of any backbone that shows maps at several scales.

The backbone is the very one of a classifier, with the same names of weights; its maps go through a
feature pyramid to torchvision's detector.

Legend: n images, c channels of a map, h w its size, k boxes of an image.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FasterRCNN, FastRCNNPredictor, TwoMLPHead
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from automix_cli.models.backbones import REFUSALS
from automix_cli.models.freezing import Freezable

FINEST, MOST_LEVELS, FEWEST_LEVELS = 4, 4, 2
"""Pixels of a cell of the finest map that is used, and how many maps are."""

RESOLUTION = 7
"""Cells along a side of a region."""


class DetectionLosses(NamedTuple):
    """The losses of a step, as scalars on the device."""

    total: Tensor
    """Sum of the other four."""

    classes: Tensor
    """Cross-entropy of what is in a region, the background being a class."""

    boxes: Tensor
    """Where the box of a region is (smooth L1)."""

    objectness: Tensor
    """Whether there is something at an anchor."""

    proposals: Tensor
    """Where the box of an anchor is."""


@dataclass(frozen=True)
class DetectorSpec:
    """What a detector is built from, besides its backbone.

    Attributes:
        num_classes: Without the background.
        mean: What is subtracted from each channel of images in [0, 1].
        std: What each channel is then divided by.
        channels: Of the pyramid.
        head_width: Of the two layers that look into a region.
        regions: Of a training image that they learn from.
        anchor_scale: Side of an anchor in cells of its map.
    """

    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    channels: int
    head_width: int
    regions: int
    anchor_scale: float


class Pyramid(Freezable):
    """A backbone whose maps are brought to the same number of channels, from coarse to fine.

    Attributes:
        out_channels: Of each map.
        strides: Pixels along a side of a cell of each map.
    """

    def __init__(self, backbone: nn.Module, channels: int) -> None:
        super().__init__(backbone)
        self.stages, widths, strides = stages_of(backbone)
        self.fpn = FeaturePyramidNetwork(widths, channels, extra_blocks=LastLevelMaxPool())
        self.out_channels = channels
        self.strides = (*strides, 2 * strides[-1])

    def forward(self, images: Tensor) -> "OrderedDict[str, Tensor]":
        """From images `(n, 3, H, W)` to maps `(n, c, h, w)` by name, the finest first."""
        maps = self.backbone.forward_intermediates(
            images, indices=list(self.stages), norm=False, intermediates_only=True
        )
        return self.fpn(OrderedDict((str(level), each) for level, each in enumerate(maps)))


def stages_of(backbone: Any) -> tuple[tuple[int, ...], list[int], tuple[int, ...]]:
    """The stages that a pyramid stands on: the last of each scale, four scales at most.

    Returns:
        Their numbers, channels, and pixels along a side of their cells.

    Raises:
        ValueError: the backbone shows no maps of several scales.
    """
    info = [dict(each) for each in getattr(backbone, "feature_info", [])]
    last = {int(each["reduction"]): number for number, each in enumerate(info)}
    chosen = sorted(stride for stride in last if stride >= FINEST)[-MOST_LEVELS:]
    if len(chosen) < FEWEST_LEVELS or not hasattr(backbone, "forward_intermediates"):
        raise ValueError(
            "a feature pyramid needs a backbone with stages of two or more scales, such as a "
            f"ResNet's; `{type(backbone).__name__}` has maps of {sorted(last) or 'no known'} pixels"
            " a cell"
        )
    stages = tuple(last[stride] for stride in chosen)
    return stages, [int(info[stage]["num_chs"]) for stage in stages], tuple(chosen)


class DetectorTraining(nn.Module):
    """A detector in the shape of a method: images, what is in them, named losses.

    Args:
        backbone: Without a head.
        spec: The rest.

    Raises:
        ValueError: the backbone does not serve.

    Source:
        Ren et al., Faster R-CNN (2015), with a feature pyramid (Lin et al. 2017), as torchvision
        has it. Differs: images come at the size they are shown at.
    """

    def __init__(self, backbone: nn.Module, spec: DetectorSpec) -> None:
        super().__init__()
        pyramid = Pyramid(backbone, spec.channels)
        levels = [str(level) for level in range(len(pyramid.stages))]
        sizes = tuple((round(spec.anchor_scale * stride),) for stride in pyramid.strides)
        anchors = AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))
        width = spec.head_width
        self.detector = FasterRCNN(
            pyramid,
            rpn_anchor_generator=anchors,
            box_roi_pool=MultiScaleRoIAlign(levels, output_size=RESOLUTION, sampling_ratio=2),
            box_head=TwoMLPHead(spec.channels * RESOLUTION**2, width),
            box_predictor=FastRCNNPredictor(width, spec.num_classes + 1),
            box_batch_size_per_image=spec.regions,
            image_mean=list(spec.mean),
            image_std=list(spec.std),
        )
        transform: Any = self.detector.transform
        transform.resize = _as_it_is

    @property
    def pyramid(self) -> Pyramid:
        """The backbone with its pyramid."""
        pyramid = self.detector.backbone
        assert isinstance(pyramid, Pyramid)
        return pyramid

    def forward(
        self, images: Sequence[Tensor], found: Sequence[tuple[Tensor, Tensor]], draws: object
    ) -> DetectionLosses:
        """The losses of a step.

        Args:
            images: n of `(3, h, w)`, in [0, 1].
            found: Boxes `(k, 4)` and labels `(k,)` from 1 of each.
            draws: Not needed: which anchors and regions are looked at comes from torch's generator,
                which the training loop seeds at every step.
        """
        del draws
        targets = [{"boxes": boxes, "labels": labels} for boxes, labels in found]
        losses = self.detector(list(images), targets)
        parts = [
            losses[name].float()
            for name in ("loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg")
        ]
        return DetectionLosses(torch.stack(parts).sum(), *parts)

    @torch.no_grad()
    def detect(self, images: Sequence[Tensor]) -> list[dict[str, Tensor]]:
        """Find objects; in evaluation mode.

        Returns:
            For each image `boxes` `(k, 4)` in its pixels, `labels` `(k,)` from 1, `scores` `(k,)`
            descending, in [0, 1]; 100 at most.
        """
        return self.detector(list(images))


def try_detector(training: DetectorTraining, channels: int) -> None:
    """Show the backbone one image, to see that it gives the maps that it says.

    Raises:
        ValueError: it does not.
    """
    pyramid = training.pyramid
    mode = pyramid.training
    pyramid.eval()
    try:
        with torch.no_grad():
            side = 4 * pyramid.strides[-1]
            maps = pyramid(torch.zeros(1, channels, side, side))
    except REFUSALS as error:
        raise ValueError(f"the backbone does not take images of any size: {error}") from error
    finally:
        pyramid.train(mode)
    strides = tuple(side // each.shape[-1] for each in maps.values())
    if strides != pyramid.strides:
        raise ValueError(f"the maps have {strides} pixels a cell, {pyramid.strides} were stated")


def _as_it_is(image: Tensor, target: Any) -> tuple[Tensor, Any]:
    """In the place of torchvision's resizing: images come as they are to be shown."""
    return image, target
