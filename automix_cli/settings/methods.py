"""The methods by name, and the part of `[mix]` that concerns all of them.

Some settings have another default for each method: `OWN`. They are unset unless something sets
them, and belong to the method they were set with (see `layering`).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, Self, cast

from pydantic import model_validator

from automix_cli.settings.rules import (
    FilePath,
    NonNegative,
    Positive,
    Rule,
    Section,
    require,
)

LEARNED = ("automix", "samix", "adautomix")
"""The methods whose masks are learned, by a mix block."""

ALPHAS: Mapping[str, float | None] = MappingProxyType(
    {
        "automix": 2.0,
        "samix": 2.0,
        "adautomix": 1.0,
        "vanilla": None,
        "mixup": 1.0,
        "cutmix": 0.2,
        "mixup_or_cutmix": None,
        "smoothmix": None,
        "fmix": 0.2,
        "gridmix": 0.2,
        "resizemix": 1.0,
        "saliencymix": 0.2,
        "attentivemix": 2.0,
        "snapmix": 1.0,
        "puzzlemix": 1.0,
        "comixup": 2.0,
        "manifoldmix": 2.0,
        "alignmix": 2.0,
        "transmix": 1.0,
    }
)
"""By method, `mix.alpha` where nothing sets it: what the reference's CIFAR results were made with,
and for SnapMix and Co-Mixup, of which it has none, the official code's. None: the method draws
nothing that alpha could say something of."""

OWN: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "alpha": ALPHAS,
        "lam_embedding": {"automix": "concat", "samix": "multiply", "adautomix": "none"},
        "upsampling": {"automix": "nearest", "samix": "bilinear", "adautomix": "bilinear"},
        "mask_area_loss": {"automix": "l1", "samix": "l1+variance"},
        "lam_margin": {"automix": 0.08, "samix": 0.08, "adautomix": 0.03},
    }
)
"""By setting, the value that each method has where nothing sets it: the paper's for AutoMix, what
the reference's CIFAR results were made with for the others. Methods that are not listed, and have
no use for the setting, have AutoMix's: see `own_value`."""

EMBEDDINGS = {
    "automix": ("concat", "none"),
    "samix": ("multiply", "none"),
    "adautomix": ("concat", "none"),
}
"""The ways in which each mix block may see `lam`."""


def own_value(name: str, method: str) -> object:
    """The value of a setting of `OWN` where nothing sets it."""
    table = OWN[name]
    return table[method if method in table else "automix"]


class MethodSettings(Section):
    """Which method mixes, and what the classifier is asked of its mixtures."""

    method: Literal[
        "automix",
        "samix",
        "adautomix",
        "vanilla",
        "mixup",
        "cutmix",
        "mixup_or_cutmix",
        "smoothmix",
        "fmix",
        "gridmix",
        "resizemix",
        "saliencymix",
        "attentivemix",
        "snapmix",
        "puzzlemix",
        "comixup",
        "manifoldmix",
        "alignmix",
        "transmix",
    ] = "automix"
    """How images are mixed. The first three learn masks and train on clean images too; the others
    train on mixed images alone (`vanilla`: on the images themselves). Every one has a momentum
    classifier."""

    alpha: Positive | None = None
    """Concentration of Beta(alpha, alpha), from which each ratio `lam` is drawn. 1 is uniform;
    larger values give more even mixtures, smaller ones mostly one image. Unset: the method's own,
    2 for AutoMix as in the paper; README, "Methods", has the others. It belongs to the method it
    was set with: a preset's is left out where `--method` changes the method."""

    loss: Literal["cross_entropy", "bce"] = "cross_entropy"
    """Loss on mixed images: cross-entropy, or a binary cross-entropy for each class, summed over
    the classes. Of AutoMix, SAMix and AdAutoMix it is the classifier's loss, on unmixed images too;
    their mix block always learns from cross-entropy."""

    decoupled_weight: NonNegative = 0.0
    """Weight of the decoupled loss, which asks for each class of a mixture without regard to the
    other (DecoupleMix, which uses 0.1). AutoMix, SAMix and AdAutoMix report it in `mixed`."""

    attention_checkpoint: FilePath | None = None
    """File with the weights of the pretrained network that AttentiveMix+ looks at images with:
    safetensors, or a PyTorch file of tensors only. Wanted by `attentivemix`, not used by others."""

    attention_backbone: str = "resnet18"
    """Name of the timm model that those weights belong to; one that ends in a feature map. The
    reference has ResNet-18 for CIFAR and ResNet-50 for ImageNet."""

    @model_validator(mode="before")
    @classmethod
    def _unset_is_the_methods_own(cls, values: Any) -> Any:
        """Fill in what is unset, so that what is saved of a run does not change with the tables."""
        if not isinstance(values, dict):
            return values
        given = cast(dict[str, object], values)
        method = str(given.get("method", "automix"))
        return {
            **given,
            **{name: own_value(name, method) for name in OWN if given.get(name) is None},
        }

    @model_validator(mode="after")
    def _the_method_has_what_is_set(self) -> Self:
        require(
            Rule(
                self.alpha is None or ALPHAS[self.method] is not None,
                f"`mix.alpha` must be unset: `{self.method}` has none",
                ("mix.method", "mix.alpha"),
            ),
            Rule(
                self.method != "attentivemix" or self.attention_checkpoint is not None,
                "`mix.attention_checkpoint` must name a file with ImageNet weights of timm's "
                f"`{self.attention_backbone}`, which AttentiveMix+ looks at images with",
                ("mix.method", "mix.attention_checkpoint"),
            ),
        )
        return self
