"""How the momentum classifier follows the classifier.

Its parameters are a moving average. Batch norm also has buffers (running mean and variance) that no
gradient moves: in the reference, those of the momentum classifier follow its own two forwards per
step, of clean and of mixed images. The other choices are a moving average, as for parameters, and
an estimate from scratch before an evaluation.

Legend: n images, c channels, H W image.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from automix_cli.method.classifier import Classifier
from automix_cli.method.options import MomentumBuffers, MomentumMode


class MomentumPair(nn.Module):
    """A classifier and the momentum classifier that follows it: what the learned mixers share.

    The constructor makes the momentum classifier a frozen copy of the classifier, buffers included.

    Args:
        classifier: The network to train.
        momentum_classifier: A second one of the same architecture; its values are overwritten.
        mode: See `AutoMixOptions.momentum_mode`.
        buffers: See `AutoMixOptions.momentum_buffers`.
        has_one_head: Whether clean images are not shown to the classifier, so that mixed ones have
            `head_one_hot`; `head_mixed` is then frozen, for no loss reaches it.

    Source:
        The paper's momentum pipeline; OpenMixup's `AutoMixup` and `AdAutoMix` have it each. Differs
        by the three options, whose defaults are the reference's.
    """

    def __init__(
        self,
        classifier: Classifier,
        momentum_classifier: Classifier,
        mode: MomentumMode,
        buffers: MomentumBuffers,
        *,
        has_one_head: bool = False,
    ) -> None:
        super().__init__()
        assert isinstance(classifier, nn.Module)  # no type says "both a module and a classifier"
        assert isinstance(momentum_classifier, nn.Module)
        self.classifier = classifier
        self.momentum_classifier = momentum_classifier
        self._momentum_mode = mode
        self._momentum_buffers = buffers
        start_as_frozen_copy(momentum_classifier, classifier)
        self.has_one_head = has_one_head
        if has_one_head:
            classifier.head_mixed.requires_grad_(requires_grad=False)
        if buffers == "average":
            stop_tracking(momentum_classifier)
        self.train()  # every network, as the reference does, except as `momentum_mode` says

    def head_for_mixtures(self, network: Classifier) -> nn.Module:
        """The head of one of the two networks that mixed images have."""
        return network.head_one_hot if self.has_one_head else network.head_mixed

    def train(self, mode: bool = True) -> "MomentumPair":  # noqa: FBT001, FBT002 - as nn.Module has it
        """Switch modes, but keep the momentum classifier evaluating with `momentum_mode="eval"`."""
        super().train(mode)
        if self._momentum_mode == "eval":
            self.momentum_classifier.eval()
        return self

    def update_momentum(self, coefficient: float) -> None:
        """Let the momentum classifier follow, after the optimizer's step.

        Args:
            coefficient: Share of the momentum classifier that stays, in [0, 1]; 1 freezes it.

        Raises:
            ValueError: if the coefficient is outside [0, 1].

        Source:
            OpenMixup `AutoMixup.momentum_update`, for parameters only. Differs: buffers too, if
            `momentum_buffers` is `average`.
        """
        follower, leader = self.momentum_classifier, self.classifier
        move_towards(follower.parameters(), leader.parameters(), coefficient)
        if self._momentum_buffers == "average":
            move_towards(follower.buffers(), leader.buffers(), coefficient)


@torch.no_grad()
def start_as_frozen_copy(momentum_classifier: nn.Module, classifier: nn.Module) -> None:
    """Copy the classifier's parameters and buffers, and keep gradients from moving them.

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
        torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
            followers, leaders, weight=1 - coefficient
        )


def stop_tracking(network: nn.Module) -> None:
    """Keep the network's own forwards in training mode from moving its batch-norm buffers.

    Batch norm goes on to normalise with the batch's statistics in training mode, and with its
    buffers in evaluation mode: `track_running_stats` only says whether a forward updates them. It
    is no part of the state, so what is saved from here works elsewhere as usual.
    """
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.track_running_stats = False


def moves_buffers(network: nn.Module) -> bool:
    """Whether the network's own forwards move batch-norm buffers, as it is now."""
    norms = (module for module in network.modules() if isinstance(module, _BatchNorm))
    return any(norm.training and norm.track_running_stats for norm in norms)


@torch.no_grad()
def estimate_batch_norm(network: nn.Module, batches: Iterable[Float[Tensor, "_ c H W"]]) -> None:
    """Replace batch-norm buffers by the mean statistics of these batches ("precise" batch norm).

    A moving average remembers weights that are long gone; here all batches see the present ones.
    Batch norm normalises with each batch's statistics, as in training, and everything else is in
    evaluation mode. The statistics are averaged with the number of images as weight.

    Batch norm that the network keeps in evaluation mode while it is in training mode is frozen:
    it stays as it is. Where there is no other, nothing is computed.

    Args:
        network: Its batch-norm buffers are replaced; its modes are restored afterwards.
        batches: Images as the network will see them, on its device.

    Raises:
        ValueError: if there are no batches.

    Source:
        PreciseBN of Wu and Johnson, Rethinking "Batch" in BatchNorm (2021); OpenMixup
        `PreciseBNHook`, which no AutoMix configuration uses. Differs: variances are averaged as
        batch norm does it, without the spread of the batch means.
    """
    num_images = 0
    with _only_batch_norm_learning(network) as norms:
        if not norms:
            return
        for images in batches:
            if num_images == 0:
                for norm in norms:
                    norm.reset_running_stats()
            num_images += len(images)
            for norm in norms:
                norm.momentum = len(images) / num_images  # 1, 1/2, 1/3, ... give the plain mean
            network(images)
    if num_images == 0:
        raise ValueError("`batches` must hold at least one batch, got none")


@contextmanager
def _only_batch_norm_learning(network: nn.Module) -> Iterator[list[_BatchNorm]]:
    """Put batch norm that is not frozen, and nothing else, in training mode; put it all back."""
    modes = {module: module.training for module in network.modules()}
    network.train()
    norms = [each for each in modes if isinstance(each, _BatchNorm) and each.training]
    settings = [(norm.momentum, norm.track_running_stats) for norm in norms]
    network.eval()
    for norm in norms:
        norm.train()
        norm.track_running_stats = True
    try:
        yield norms
    finally:
        for norm, (momentum, track) in zip(norms, settings, strict=True):
            norm.momentum, norm.track_running_stats = momentum, track
        for module, mode in modes.items():
            module.training = mode
