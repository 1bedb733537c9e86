"""The feature of a Swin transformer as the reference shows it: behind the patch merging.

timm counts patch merging, which joins 2 x 2 tokens into one of twice the channels, to the stage
after it; the reference counts it to the stage before, and normalises what it shows. So the third
stage of Swin-T, for 224 pixels, gives 384 x 14 x 14 in timm and 768 x 7 x 7 in the reference.

Legend: n images, c channels of a stage, h w its size.
"""

from typing import Any

import torch.nn.functional as F
from timm.models.swin_transformer import SwinTransformer
from torch import Tensor

from automix_cli.models.anatomy import Anatomy


def merged_anatomy(backbone: Any, anatomy: Anatomy) -> Anatomy:
    """What the stages of a Swin transformer give behind their patch merging.

    Merged, a stage has the shape of the next one; the last is followed by none.

    Raises:
        ValueError: if the backbone is no Swin transformer.
    """
    if isinstance(backbone, SwinTransformer):
        return anatomy._replace(stages=anatomy.stages[1:], reductions=anatomy.reductions[1:])
    kind = type(backbone).__name__
    raise ValueError(f"merged_feature is for timm's SwinTransformer, not for a {kind}")


def merge_patches(backbone: Any, feature: Tensor, stage: int) -> Tensor:
    """Send the feature of a stage through the patch merging that follows, and normalise it.

    Args:
        backbone: A Swin transformer.
        feature: `(n, c, h, w)`, as it leaves `stage`.
        stage: Any but the last.

    Returns:
        `(n, 2 c, h / 2, w / 2)`, of mean 0 and variance 1 over the channels of each position.

    Source:
        OpenMixup `SwinTransformer.forward`. Its layer norm has a weight and a bias, which no loss
        ever moves from 1 and 0; this one has none.
    """
    merged = backbone.layers[stage + 1].downsample(feature.permute(0, 2, 3, 1))
    return F.layer_norm(merged, merged.shape[-1:]).permute(0, 3, 1, 2).contiguous()
