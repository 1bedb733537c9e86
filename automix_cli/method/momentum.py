"""How the momentum classifier follows the classifier: parameters by moving average, buffers by choice.

Batch norm has buffers (running mean, variance) that no gradient moves. In the reference those of the
momentum classifier follow its own two forwards per step: clean images and mixed ones. The other
choices are a moving average, as for parameters, and an estimate from scratch before an evaluation.

Legend: n images, c channels, H W image.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@torch.no_grad()
def start_as_frozen_copy(momentum_classifier: nn.Module, classifier: nn.Module) -> None:
    """Give the momentum classifier the classifier's parameters and buffers, and take its gradients.

    Raises:
        ValueError: if the two are not networks of the same shape.

    Source:
        OpenMixup `AutoMixup.init_weights`. Differs: it copies parameters only, so that batch norm
        of a pretrained network starts at mean 0 and variance 1.
    """
    ours, theirs = _shapes(momentum_classifier), _shapes(classifier)
    if ours != theirs:
        only = sorted(str(each) for each in set(ours.items()) ^ set(theirs.items()))
        raise ValueError(
            "`momentum_classifier` must have the parameters and buffers of `classifier`, "
            f"got a difference in `{only[0]}`"
        )
    momentum_classifier.load_state_dict(classifier.state_dict())
    momentum_classifier.requires_grad_(requires_grad=False)


def _shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(each.shape) for name, each in network.state_dict().items()}


@torch.no_grad()
def move_towards(
    followers: Iterable[Tensor], leaders: Iterable[Tensor], coefficient: float
) -> None:
    """Moving average, in place: follower = coefficient * follower + (1 - coefficient) * leader.

    Integers, such as a count of batches, have no average: they are copied.

    Args:
        followers: Tensors to move.
        leaders: As many tensors of the same shapes.
        coefficient: 1 leaves the followers where they are, 0 copies the leaders; in [0, 1].

    Raises:
        ValueError: if the coefficient is outside [0, 1].

    Source:
        The paper's momentum update; OpenMixup `AutoMixup.momentum_update`. Differs: written as
        follower + (1 - coefficient) * (leader - follower), in one kernel for all tensors; this
        loses less to rounding when the coefficient is close to 1.
    """
    if not 0 <= coefficient <= 1:
        raise ValueError(f"`coefficient` must be in [0, 1], got `{coefficient}`")
    pairs = list(zip(followers, leaders, strict=True))
    floating = [pair for pair in pairs if pair[0].is_floating_point()]
    for follower, leader in pairs:
        if not follower.is_floating_point():
            follower.copy_(leader)
    if floating:
        followers, leaders = map(list, zip(*floating, strict=True))
        torch._foreach_lerp_(followers, leaders, weight=1 - coefficient)


def stop_tracking(network: nn.Module) -> None:
    """Keep the network's own forwards in training mode from moving its batch-norm buffers.

    Batch norm goes on to normalise with the batch's statistics in training mode, and with its
    buffers in evaluation mode: `track_running_stats` only says whether a forward updates them.
    """
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.track_running_stats = False


@torch.no_grad()
def estimate_batch_norm(network: nn.Module, batches: Iterable[Float[Tensor, "n c H W"]]) -> None:
    """Replace batch-norm buffers by the mean of the statistics of these batches ("precise" batch norm).

    A moving average remembers weights that are long gone. Here all batches see the weights as they
    are: batch norm normalises with each batch's statistics, everything else is in evaluation mode.
    Means and variances are averaged with the number of images as weight.

    Args:
        network: Its batch-norm buffers are replaced; its modes are restored afterwards.
        batches: Images as in training, on the network's device.

    Raises:
        ValueError: if there are no batches.
    """
    was_training = {module: module.training for module in network.modules()}
    norms = [each for each in was_training if isinstance(each, _BatchNorm)]
    usual_momentum = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
    seen = 0
    try:
        for images in batches:
            seen += len(images)
            for norm in norms:
                norm.momentum = len(images) / seen  # 1, 1/2, 1/3, ...: a plain mean
            network(images)
    finally:
        for norm, momentum in zip(norms, usual_momentum, strict=True):
            norm.momentum = momentum
        for module, mode in was_training.items():
            module.training = mode
    if not seen:
        raise ValueError("`batches` must hold at least one batch, got none")
