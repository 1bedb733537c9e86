"""What the classifier and the mix block are trained with.

All losses are computed in float32 and are means over the batch.

Legend: n images, k classes, H W image. `lam` is the share of the first image, in [0, 1]; so is
`mask`, for each pixel.
"""

import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from automix_cli.method.options import MaskAreaLoss, MaskAreaReduction
from automix_cli.method.pairing import Pairing

VARIANCE_WEIGHT = 2.0
"""How strongly the `+variance` modes reward masks that decide, against a deviation of the area."""


def one_hot_cross_entropy(
    logits: Float[Tensor, "n k"], labels: Int64[Tensor, " n"], label_smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Cross-entropy of unmixed images, the ordinary one, in float32 whatever the logits are.

    Source:
        OpenMixup `ClsMixupHead.loss`; smoothing as its mode "original". No difference.
    """
    return F.cross_entropy(logits.float(), labels, label_smoothing=label_smoothing)


def mixed_cross_entropy(
    logits: Float[Tensor, "n k"],
    labels: Int64[Tensor, " n"],
    pairing: Pairing,
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Cross-entropy of mixed images: both labels count, each with its image's share.

    1/n sum_i [ lam_i CE(logits_i, y_i) + (1 - lam_i) CE(logits_i, y_perm(i)) ]

    Args:
        logits: Predictions for the mixed images.
        labels: Classes of the unmixed batch.
        pairing: How the batch was mixed; each pair may have its own `lam`.
        label_smoothing: Share of each label spread evenly over all classes, in [0, 1).

    Source:
        The mixup cross-entropy (MCE) of the paper; OpenMixup `ClsMixupHead.loss`. Differs: each
        pair may have its own `lam`.
    """
    first, second = (
        F.cross_entropy(logits.float(), each, reduction="none", label_smoothing=label_smoothing)
        for each in (labels, labels[pairing.perm])
    )
    return (pairing.lam * first + (1 - pairing.lam) * second).mean()


def mask_area_loss(
    mask: Float[Tensor, "n 1 H W"],
    lam: Float[Tensor, " n"],
    margin: float,
    *,
    mode: MaskAreaLoss = "l1",
    reduction: MaskAreaReduction = "per_sample",
) -> Float[Tensor, ""]:
    """Pull the area of the mask towards `lam`, forgiving deviations up to `margin`.

    Without it the mix block may satisfy the classification loss by showing one image only.

    With area = mean(mask), variance = mean((mask - area)^2), both over the pixels of a group:

    * `l1`: max(|area - lam| - margin, 0)
    * `l1+variance`: that - 2 variance
    * `l2+variance`: max((area - lam)^2 - margin^2, 0) - 2 variance
    * `sparsity`: max(mean(mask (1 - mask)) - margin, 0), which `lam` does not enter

    With `per_sample` each mask is a group, and the loss is the mean over masks: every mask has to
    keep its own area, and its variance is the one inside it. With `batch_mean` the whole batch is
    one group, and `lam` its mean: masks may deviate as long as they make up for each other, and
    differences between masks count as variance too.

    Args:
        mask: Share of the first image at each pixel.
        lam: Wanted area of each mask.
        margin: Deviation that costs nothing, in [0, 1].
        mode: One of the four formulas.
        reduction: What a group is.

    Returns:
        Scalar; >= 0 for `l1` and `sparsity`, >= -0.5 with a variance term.

    Source:
        The paper's loss on the mask is `l1` with `per_sample`; OpenMixup `PixelMixBlock.mask_loss`
        is all four with `batch_mean`. Differs: each mask may have its own `lam`; and the mask is
        the first image's. The reference measures the second's, 1 - mask, and its formulas give the
        same numbers.
    """
    groups = mask.float().flatten(start_dim=1)
    if reduction == "batch_mean":
        groups, lam = groups.reshape(1, -1), lam.mean().view(1)
    if mode == "sparsity":
        return ((groups * (1 - groups)).mean(dim=1) - margin).clamp(min=0).mean()
    deviation = (groups.mean(dim=1) - lam).abs()
    if mode == "l1":
        return (deviation - margin).clamp(min=0).mean()
    variance = groups.var(dim=1, correction=0)
    if mode == "l1+variance":
        return ((deviation - margin).clamp(min=0) - VARIANCE_WEIGHT * variance).mean()
    return ((deviation**2 - margin**2).clamp(min=0) - VARIANCE_WEIGHT * variance).mean()
