"""Weights that timm publishes, and weights of others under the names that timm gives them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import timm
from torch import Tensor

from automix_cli.models.backbones import REFUSALS, ClassifierSpec

FILE = "model.safetensors"
"""What timm's files on the hub are called; it has them as pickles too, which are not read."""


class Published(NamedTuple):
    """Where weights are published.

    Attributes:
        repository: On the Hugging Face hub.
        file: Its name there.
        mean: What was subtracted from each channel of the images they were trained with.
        std: What each channel was then divided by.
    """

    repository: str
    file: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


def published_weights(backbone: str, tag: str | None) -> Published:
    """Where timm's pretrained weights of a backbone are.

    Args:
        backbone: Name of a timm model.
        tag: Which of them, such as `tv_in1k`; None: timm's own choice.

    Raises:
        ValueError: there are none, or none as safetensors.
    """
    config = _config(backbone, tag)
    if config is None:
        known = [each.partition(".")[2] for each in timm.list_pretrained(f"{backbone}.*")]
        offered = f"it has {', '.join(f'`{each}`' for each in known)}" if known else "it has none"
        wanted = "pretrained weights" if tag is None else f"pretrained weights `{tag}`"
        raise ValueError(f"timm has no {wanted} of `{backbone}`; {offered}")
    name = config.hf_hub_filename or FILE
    if not config.hf_hub_id or not name.endswith(".safetensors"):
        raise ValueError(f"timm publishes the weights of `{backbone}` as pickles only")
    return Published(config.hf_hub_id, name, tuple(config.mean), tuple(config.std))


def is_of_timm(backbone: str) -> bool:
    """Whether timm has a backbone of that name."""
    return timm.is_model(backbone)


def _config(backbone: str, tag: str | None) -> Any:
    if not timm.is_model(backbone) or (tag is None and not timm.list_pretrained(f"{backbone}.*")):
        return None
    try:
        return timm.get_pretrained_cfg(backbone if tag is None else f"{backbone}.{tag}")
    except RuntimeError:  # no such tag
        return None


def as_timm_loads(weights: Mapping[str, Tensor], spec: ClassifierSpec) -> dict[str, Tensor]:
    """Weights as timm would put them into the backbone: names, position grids, input channels.

    Args:
        weights: By timm's names, or those of another program that timm knows, with or without the
            classification head.
        spec: What the classifier is built from; its backbone is one of timm's.

    Returns:
        By timm's names, with the head if there is one.

    Raises:
        ValueError: they do not fit.
    """
    config = timm.get_pretrained_cfg(spec.backbone)
    head = f"{config.classifier if config is not None else 'fc'}.weight"
    num_classes = len(weights[head]) if head in weights else 0
    options: dict[str, Any] = {"num_classes": num_classes, "in_chans": spec.in_channels}
    if config is not None and config.fixed_input_size:
        options["img_size"] = spec.image_size
    # timm loads leniently, and says nothing, where these two numbers of classes differ
    overlay = {"state_dict": dict(weights), "num_classes": num_classes, "label_offset": None}
    try:
        network = timm.create_model(
            spec.backbone, pretrained=True, pretrained_cfg_overlay=overlay, **options
        )
    except REFUSALS as error:
        listed = [line.strip() for line in str(error).splitlines()]
        wrong = "; ".join(listed[1:4] or listed)
        raise ValueError(f"timm cannot load them: {wrong[:500]}") from error
    return network.state_dict()
