"""Where in an image a classifier sees a class: CAM and Grad-CAM.

Legend: n images, k classes, d channels of a feature map, h w its size, s side of the image.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64, Int64
from torch import Tensor


def class_activation(
    last_map: Float[Tensor, "n d h w"],
    weights: Float[Tensor, "k d"],
    labels: Int64[Tensor, " n"],
) -> Float[Tensor, "n h w"]:
    """CAM: what each position adds to the logit of a class.

    Only where the head is linear and its input the mean of the map: then the logit is the mean of
    this map, and the bias.

    Source:
        Zhou et al. (2016), equation (2). No difference.
    """
    return torch.einsum("nd,ndhw->nhw", weights[labels], last_map)


def gradient_activation(
    classify: Callable[[Callable[[Tensor], Tensor]], Tensor], labels: Int64[Tensor, " n"]
) -> Float[Tensor, "n h w"]:
    """Grad-CAM: the same by gradient, for any feature map that a logit depends on.

    Args:
        classify: Computes logits `(n, k)`, and calls what it is given once, with the feature map
            `(n, d, h, w)` on its way, to go on with what comes back.
        labels: The class to look for in each image.

    Raises:
        ValueError: the logits do not depend on the feature map.

    Source:
        Selvaraju et al. (2017), equations (1) and (2). No difference.
    """
    seen: list[Tensor] = []

    def keep(feature: Tensor) -> Tensor:
        seen.append(feature.detach().requires_grad_())
        return seen[0].clone()  # what follows may write into it

    with torch.enable_grad():
        logits = classify(keep)
        total = logits.gather(1, labels[:, None]).sum()  # of images that do not see each other
        gradient = None
        if total.requires_grad:
            (gradient,) = torch.autograd.grad(total, seen, allow_unused=True)
    if gradient is None:
        raise ValueError("the logits do not depend on that feature map")
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return F.relu((weights * seen[0].detach()).sum(dim=1))


def enlarged(maps: Float[Tensor, "n h w"], size: int) -> Float64[Tensor, "n s s"]:
    """Bring maps to the size of the image and to [0, 1], each by its own least and most.

    A map that is constant, or not finite, is 0 everywhere: what rounding makes of it is no sight.

    Source:
        clovaai/wsolevaluation: OpenCV's `INTER_CUBIC`, then `normalize_scoremap`. Differs: in
        float64.
    """
    large = F.interpolate(maps.cpu().double()[:, None], size=(size, size), mode="bicubic")[:, 0]
    low, high = large.amin(dim=(1, 2), keepdim=True), large.amax(dim=(1, 2), keepdim=True)
    scaled = (large - low) / (high - low)
    spread = (maps.amax(dim=(1, 2)) - maps.amin(dim=(1, 2))).cpu()
    usable = (torch.isfinite(spread) & (spread > 0))[:, None, None]
    return torch.where(usable, scaled, torch.zeros_like(scaled))
