"""What a backbone gives for images of one size: found out by showing it one, then checked.

Legend: c channels of a feature, h w its size, d width of the embedding.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Anatomy(NamedTuple):
    """What a backbone gives for images of one size, found by trying.

    Attributes:
        stages: Channels, height and width of each feature map.
        reductions: Pixels along the side of a cell of each map, as timm states them; empty where
            it does not.
        embedding_width: d.
        is_token_based: Whether its last feature is a sequence of tokens instead of a map.
    """

    stages: tuple[tuple[int, int, int], ...]
    reductions: tuple[int, ...]
    embedding_width: int
    is_token_based: bool


@torch.no_grad()
def examine(backbone: Any, image: Tensor) -> Anatomy:
    """Show a backbone one image; on the `meta` device that computes nothing.

    Args:
        backbone: In evaluation mode, with timm's `forward_intermediates` and `forward_head`.
        image: `(1, channels, height, width)`.

    Raises:
        ValueError: if it does not give feature maps and one embedding.
    """
    last, maps = backbone.forward_intermediates(image, norm=False, output_fmt="NCHW")
    embedding = backbone.forward_head(last, pre_logits=True)
    if embedding.ndim != 2 or any(feature.ndim != 4 for feature in maps):
        raise ValueError("it must give feature maps, and one embedding an image")
    stages = tuple((feature.shape[1], feature.shape[2], feature.shape[3]) for feature in maps)
    stated = getattr(backbone, "feature_info", [])
    reductions = tuple(each["reduction"] for each in stated) if len(stated) == len(maps) else ()
    is_token_based = isinstance(last, Tensor) and last.ndim == 3
    return Anatomy(stages, reductions, embedding.shape[1], is_token_based)


def check_stage(anatomy: Anatomy, stage: int, image_size: int) -> None:
    """Refuse a stage that is not there, or whose cells do not fill the image.

    Raises:
        ValueError: naming the stages there are, or the cells.
    """
    last_stage = len(anatomy.stages) - 1
    if not 0 <= stage <= last_stage:
        raise ValueError(f"feature_stage must be in [0, {last_stage}], got {stage}")
    _, height, width = anatomy.stages[stage]
    # Equal cells are not enough: a 30-pixel image padded to 32 also gives 2 x 2 of them.
    cell = anatomy.reductions[stage] if anatomy.reductions else image_size // height
    if (height * cell, width * cell) != (image_size, image_size):
        raise ValueError(
            f"feature_stage {stage} has {height} x {width} cells of {cell} x {cell} pixels, which"
            " do not fill such an image; choose another image size or stage"
        )
