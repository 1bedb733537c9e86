"""Every mixer that can be trained with from the command line, and what can be chosen about it.

Touch points, to add a mixer: its function in `mixers/`, its line in `RIVALS`, or in `INSIDE` if it
works inside the network, its name and its alpha in `settings/methods.py`; nothing else.

Legend: n images, c channels, f of the last feature map, h w its size, H W image.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from jaxtyping import Float, Int64
from torch import Tensor, nn

from automix_cli.method.inside import INSIDE
from automix_cli.method.mixers import (
    MIXERS,
    JointMixture,
    Mixture,
    attentivemix,
    class_activation_maps,
    comixup,
    gradient_saliency,
    puzzlemix,
    snapmix,
)
from automix_cli.method.options import require

Objective: TypeAlias = Literal["cross_entropy", "bce"]


class Rival(NamedTuple):
    """What a mixer needs."""

    mixer: Callable[..., Mixture | JointMixture]
    look: Callable[[nn.Module, Tensor, Tensor], Tensor] | None = None
    """What it wants to see of the clean images: from classifier, images and labels."""

    has_alpha: bool = True

    wants_attention: bool = False
    """Whether it wants to see what a pretrained network sees of the clean images."""


def _class_activations(
    classifier: Any, images: Float[Tensor, "n c H W"], labels: Int64[Tensor, " n"]
) -> Float[Tensor, "n H W"]:
    """Where the classifier, as it evaluates now, sees the class of each image."""
    was_training = [module for module in classifier.modules() if module.training]
    classifier.eval()
    try:
        features = classifier.last_map(images)
    finally:
        for module in was_training:
            module.training = True
    weight = classifier.head_one_hot.weight
    return class_activation_maps(features, weight, labels, (images.shape[2], images.shape[3]))


RIVALS: dict[str, Rival] = {
    **{name: Rival(mixer) for name, mixer in MIXERS.items()},
    **{
        name: Rival(MIXERS[name], has_alpha=False)
        for name in ("vanilla", "smoothmix", "mixup_or_cutmix")
    },
    "puzzlemix": Rival(puzzlemix, gradient_saliency),
    "comixup": Rival(comixup, gradient_saliency),
    "snapmix": Rival(snapmix, _class_activations),
    "attentivemix": Rival(attentivemix, wants_attention=True),
}
"""By name, every mixer that gives images to classify."""

TRAINABLE = (*RIVALS, *INSIDE)
"""Every mixer that `RivalTraining` can train with: `RIVALS`, and those inside the network."""


@dataclass(frozen=True, kw_only=True)
class RivalOptions:
    """Which mixer, and what is learned from its mixtures."""

    method: str
    """One of `TRAINABLE`."""

    alpha: float | None = None
    """Concentration of the Beta distribution of the ratio, > 0; None for the mixer's own.
    `vanilla`, `smoothmix` and `mixup_or_cutmix` have none that could be set."""

    loss: Objective = "cross_entropy"
    """Whether classes compete, or each is asked for by itself; see `mixers/objectives.py`."""

    decoupled_weight: float = 0.0
    """Weight of the decoupled cross-entropy, >= 0; 0.1 in DecoupleMix."""

    label_smoothing: float = 0.0
    """Share of every label spread evenly over the classes, not in the decoupled loss; [0, 1)."""

    pixel_std: tuple[float, ...] = (0.2,)
    """What the images were divided by; PuzzleMix compares brightness."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        require("method", self.method, f"one of {TRAINABLE}", holds=self.method in TRAINABLE)
        choices = get_args(Objective)
        require("loss", self.loss, f"one of {choices}", holds=self.loss in choices)
        alpha, has_alpha = self.alpha, self.method in INSIDE or RIVALS[self.method].has_alpha
        require("alpha", alpha, "greater than 0", holds=alpha is None or alpha > 0)
        require("alpha", alpha, f"None for `{self.method}`", holds=alpha is None or has_alpha)
        weight, smoothing = self.decoupled_weight, self.label_smoothing
        require("decoupled_weight", weight, "at least 0", holds=weight >= 0)
        require("label_smoothing", smoothing, "in [0, 1)", holds=0 <= smoothing < 1)
