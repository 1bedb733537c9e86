"""The projections of the mix blocks: 1x1 convolutions of features, in a range that holds the sums.

Legend: n images, c channels, d projected channels, h w feature map.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def projected(
    features: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "d c 1 1"],
    bias: Float[Tensor, " d"] | None = None,
) -> Float[Tensor, "n d h w"]:
    """Apply a 1x1 convolution; what comes out is float32.

    Under autocast it is computed in bfloat16, which has the range of float32, but not in float16:
    that ends at 65,504, so a sum over hundreds of channels could become infinite where none of
    them is large, and the mask not a number.

    Source:
        OpenMixup `PixelMixBlock.forward`, whose convolutions are in float16 under autocast, with
        what is infinite or no number then replaced. Differs: as said.
    """
    device = features.device.type
    if torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.float16:
        with torch.autocast(device, enabled=False):
            return F.conv2d(features.float(), weight, bias)
    return F.conv2d(features, weight, bias).float()
