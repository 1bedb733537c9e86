"""Losses that every mixture can be trained with, beside the cross-entropy of `mixture.py`.

Both start from one table: how much each class counts in each mixture. So they serve mixtures of two
images and of many alike.

Legend: n images, k classes. `weights[i, c]` is how much class c counts in mixture i, >= 0.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from automix_cli.method.mixers.mixture import JointMixture, Mixture


def label_weights(
    labels: Int64[Tensor, " n"], mixture: Mixture | JointMixture, num_classes: int
) -> Float[Tensor, "n k"]:
    """How much each class counts in each mixture; images of one class add up.

    Args:
        labels: Classes of the unmixed batch.
        mixture: What the mixer gave.
        num_classes: k.

    Returns:
        In float32. Rows add up to 1, except in SnapMix.
    """
    weights = torch.zeros(len(labels), num_classes, device=labels.device)
    if isinstance(mixture, JointMixture):
        return weights.index_add_(1, labels, mixture.shares.float())
    weights.scatter_add_(1, labels.unsqueeze(1), mixture.first_weight.unsqueeze(1))
    second = labels[mixture.perm].unsqueeze(1)
    return weights.scatter_add_(1, second, mixture.second_weight.unsqueeze(1))


def mixture_binary_cross_entropy(
    logits: Float[Tensor, "n k"], weights: Float[Tensor, "n k"], label_smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Ask of every class for itself how much of it is there, instead of letting classes compete.

    With targets t = (1 - s) weights + s / k, which are at most 1, and p = sigmoid(logits):
    1/n sum_i sum_c [ -t_ic log p_ic - (1 - t_ic) log(1 - p_ic) ]

    Args:
        logits: Predictions for the mixed images.
        weights: Of `label_weights`.
        label_smoothing: s, the share of each label spread evenly over all classes, in [0, 1).

    Returns:
        Scalar >= 0 in nats, in float32 whatever the logits are. It is a sum over the classes: its
        gradient, (p - t) / n, is then of the size of the cross-entropy's, and one learning rate
        serves both. The mean over the classes, as timm takes it, is 1 / k of it.

    Source:
        Wightman et al., ResNet strikes back (2021), with the shares themselves as targets;
        OpenMixup `binary_cross_entropy` with soft labels. Differs: the sum over the classes;
        targets above 1, which SnapMix can ask for, count as 1, for the loss has no minimum beyond.
    """
    targets = (1 - label_smoothing) * weights.clamp(max=1) + label_smoothing / weights.shape[1]
    loss = F.binary_cross_entropy_with_logits(logits.float(), targets.float(), reduction="none")
    return loss.sum(dim=1).mean()


def decoupled_cross_entropy(
    logits: Float[Tensor, "n k"], weights: Float[Tensor, "n k"]
) -> Float[Tensor, ""]:
    """Recognise each class of a mixture as if the others of the mixture did not exist.

    With S_i, the classes that mixture i shows, those of a weight above 0, and z its logits:
    1/n sum_i sum_(a in S_i) -log( exp(z_ia) / (exp(z_ia) + sum_(c not in S_i) exp(z_ic)) )

    The shares do not enter: a mixture is no excuse for being unsure of either class. Where only one
    class is shown, this is its cross-entropy.

    Args:
        logits: Predictions for the mixed images.
        weights: Of `label_weights`; only which of them are above 0 matters.

    Returns:
        Scalar >= 0 in nats, in float32 whatever the logits are; to be added to another loss with a
        weight of about 0.1, the paper's.

    Source:
        Liu et al., Harnessing hard mixed samples with decoupled regularization (DecoupleMix, 2023);
        OpenMixup `soft_mix_cross_entropy`, its mode "both". Differs: a class that a mixture does
        not show at all is not asked for; two images of one class are one class; any number of
        classes may be mixed. No label smoothing.
    """
    logits, shown = logits.float(), weights > 0
    least = torch.finfo(logits.dtype).min / 2  # not -inf, of which a gradient would be NaN
    others = logits.masked_fill(shown, least).logsumexp(dim=1, keepdim=True)
    surprise = torch.logaddexp(logits, others) - logits
    return torch.where(shown, surprise, 0.0).sum(dim=1).mean()
