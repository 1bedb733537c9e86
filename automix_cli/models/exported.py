"""A trained classifier as other programs take it: one head, nothing of its training.

Legend: n images, c channels, k classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor, nn

from automix_cli.models.backbones import REFUSALS, ClassifierSpec
from automix_cli.models.classifier import Classifier, build_classifier
from automix_cli.models.layers import BACKBONE

HEAD = "head_one_hot."
"""How the names of its tensors begin."""


class ExportedClassifier(nn.Module):
    """The backbone with its one-hot head, and on request what goes before and after.

    Args:
        classifier: Whose parts are taken, not copied; put into evaluation mode.
        mean: What is subtracted from each channel, units of 255; None: images come normalised.
        std: What each channel is then divided by; None with `mean`.
        softmax: Whether probabilities are given instead of logits.
    """

    def __init__(
        self,
        classifier: Classifier,
        mean: Sequence[float] | None,
        std: Sequence[float] | None,
        *,
        softmax: bool,
    ) -> None:
        super().__init__()
        self.backbone: Any = classifier.backbone
        self.head = classifier.head_one_hot
        self.normalizes = mean is not None and std is not None
        self.softmax = softmax
        for name, values in (("mean", mean or (0.0,)), ("std", std or (1.0,))):
            self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1), persistent=False)
        self.eval().requires_grad_(requires_grad=False)

    def forward(self, images: Tensor) -> Tensor:
        """Classify `(n, c, h, w)`: logits or probabilities `(n, k)`."""
        if self.normalizes:
            images = (images - self.mean) / self.std  # pyright: ignore[reportOperatorIssue]
        last = self.backbone.forward_features(images)
        logits = self.head(self.backbone.forward_head(last, pre_logits=True))
        return logits.softmax(dim=1) if self.softmax else logits


def takes_size(network: nn.Module, channels: int, size: int) -> bool:
    """Whether a network in evaluation mode classifies images of `size` x `size` pixels."""
    try:
        with torch.no_grad():
            network(torch.zeros(1, channels, size, size))
    except REFUSALS:
        return False
    return True


def is_plain_timm(backbone: str, stem: str) -> bool:
    """Whether `timm.create_model` builds the same network by itself."""
    return timm.is_model(backbone) and stem == "imagenet"


def is_torchvision_resnet(backbone: str, stem: str, in_channels: int) -> bool:
    """Whether torchvision has the same ResNet under the same name."""
    is_theirs = backbone in torchvision.models.list_models(torchvision.models)
    kinds = ("resnet", "resnext", "wide_resnet")
    is_resnet = backbone.startswith(kinds) and in_channels == 3
    return is_theirs and is_resnet and is_plain_timm(backbone, stem)


def timm_names(weights: Mapping[str, Tensor], backbone: str) -> dict[str, Tensor]:
    """Our tensors under the names that timm, and for ResNets torchvision, gives them.

    Raises:
        ValueError: timm's model ends in several layers.
    """
    head = _head_name(backbone)
    renamed = {
        name.removeprefix(BACKBONE): tensor
        for name, tensor in weights.items()
        if name.startswith(BACKBONE)
    }
    return renamed | {f"{head}.{kind}": weights[f"{HEAD}{kind}"] for kind in ("weight", "bias")}


def our_names(weights: Mapping[str, Tensor], backbone: str) -> dict[str, Tensor]:
    """The other way round: tensors named by timm under our names."""
    head = f"{_head_name(backbone)}."
    return {
        HEAD + name.removeprefix(head) if name.startswith(head) else BACKBONE + name: tensor
        for name, tensor in weights.items()
    }


def _head_name(backbone: str) -> str:
    """What timm calls the last layer; those that are ours have a ResNet's name for it.

    Raises:
        ValueError: the model ends in several layers.
    """
    config = timm.get_pretrained_cfg(backbone) if timm.is_model(backbone) else None
    name: Any = "fc" if config is None else config.classifier
    if isinstance(name, str):
        return name
    raise ValueError(f"`{backbone}` has several last layers: {', '.join(name or ())}")


def load_with_timm(path: str, spec: ClassifierSpec) -> nn.Module:
    """Load an export as anybody would: `timm.create_model(name, checkpoint_path=...)`."""
    options: dict[str, Any] = {"num_classes": spec.num_classes, "in_chans": spec.in_channels}
    config = timm.get_pretrained_cfg(spec.backbone)
    if config is not None and config.fixed_input_size:
        options["img_size"] = spec.image_size
    return timm.create_model(spec.backbone, checkpoint_path=path, **options).eval()


def load_with_torchvision(weights: Mapping[str, Tensor], spec: ClassifierSpec) -> nn.Module:
    """Load an export into torchvision's ResNet of the same name."""
    network = torchvision.models.get_model(spec.backbone, num_classes=spec.num_classes)
    network.load_state_dict(dict(weights))
    return network.eval()


def load_with_ours(weights: Mapping[str, Tensor], spec: ClassifierSpec) -> nn.Module:
    """Load an export into our own network, for backbones that timm does not build by itself."""
    network = build_classifier(spec)
    head = {f"head_mixed.{name}": each for name, each in network.head_mixed.state_dict().items()}
    network.load_state_dict({**our_names(weights, spec.backbone), **head})
    return network.eval()
