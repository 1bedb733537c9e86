"""The weights of OpenMixup, the reference, under our names.

Its ResNets and ResNeXts have the layer names of torchvision, which are timm's too, with the stem of
ImageNet and with that of CIFAR; its wide ResNet has names of its own. Other networks are not known
here. Mix blocks and heads come in two spellings each, of before and after its version 0.2.8.

Source:
    OpenMixup: `AutoMixup`, `AdAutoMix` and `MixUpClassification` (names of the parts), `ClsHead`
    and `ClsMixupHead` (`fc`, once `fc_cls`), `PixelMixBlock` (`query.conv`, once `query`),
    `ConvNeck`, `AdaptiveMask`, `ResNet`, `ResNet_CIFAR`, `ResNeXt`, `WideResNet`, and its own
    `publish_dir_models_mixups.py` for the old spellings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

WIDE_RESNETS = ("wide_resnet28_8", "wide_resnet28_10")
RESNETS = (
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("resnext50_32x4d", "resnext101_32x4d", "resnext101_32x8d"),
)
BACKBONES = (*RESNETS, *WIDE_RESNETS)
"""Backbones whose layer names are known."""

LEFT_OUT: Mapping[str, str] = MappingProxyType(
    {
        "backbone_k.": "the pretrained network that AttentiveMix+ looks at images with",
        "ema_": "moving averages of another hook, which the reference evaluates only on request",
    }
)
"""What is not ours to have, by the beginning of its names, and what it is."""

_PARTS = {
    "backbone_q.": "classifier.backbone.",
    "backbone_k.": "momentum_classifier.backbone.",
    "head_one_q.fc.": "classifier.head_one_hot.",
    "head_mix_q.fc.": "classifier.head_mixed.",
    "head_one_k.fc.": "momentum_classifier.head_one_hot.",
    "head_mix_k.fc.": "momentum_classifier.head_mixed.",
    "mix_block.": "mix_block.",
}
"""Of AutoMix, SAMix and AdAutoMix."""

_RIVAL_PARTS = {"backbone.": "backbone.", "head.fc.": "head_one_hot."}
"""Of every other method, which has one network."""

_MIX_BLOCK = (
    (r"^(query|key)\.conv\.", r"\1."),
    (r"^(query)\.bn\.", r"\1_norm."),
    (r"^(query)\.ln\.", r"\1_norm.norm."),
    (r"^value\.conv\.0\.conv\.", "value_hidden."),
    (r"^value\.conv\.0\.bn\.", "value_norm."),
    (r"^value\.conv\.1\.conv\.", "value_output."),
    (r"^conv_q\.conv\.", "query."),
    (r"^conv_q\.bn\.", "query_norm."),
    (r"^conv_k\.conv\.", "key."),
    (r"^conv_k\.bn\.", "key_norm."),
    (r"^conv_v\.", "value."),
)
"""Names inside a mix block, theirs and ours; others are the same."""


class Converted(NamedTuple):
    """Weights under our names.

    Attributes:
        state: Of the whole method, such as `AutoMix`, or, of a rival, of its two networks without
            `head_mixed`, which the reference has not.
        has_mix_block: Whether masks were learned.
        left_out: What was not taken, by name, and why.
    """

    state: dict[str, Tensor]
    has_mix_block: bool
    left_out: dict[str, str]


def converted(weights: Mapping[str, Tensor], backbone: str) -> Converted:
    """Rename a `state_dict` of the reference.

    Args:
        weights: As stored.
        backbone: Our name of the network, one of `BACKBONES`.

    Raises:
        ValueError: the backbone is not known; the weights are of no method of the reference; or a
            name is unknown: all of those are listed.
    """
    if backbone not in BACKBONES:
        raise ValueError(
            f"the layer names of `{backbone}` in OpenMixup are not known here, only those of"
            f" {', '.join(BACKBONES)}"
        )
    weights = _today(weights)
    has_mix_block = any(name.startswith("mix_block.") for name in weights)
    if has_mix_block:
        weights = _without_twins(weights)
    parts = _PARTS if has_mix_block else _RIVAL_PARTS
    state: dict[str, Tensor] = {}
    left_out: dict[str, str] = {}
    unknown: list[str] = []
    for name, tensor in weights.items():
        part = next((each for each in parts if name.startswith(each)), None)
        why = next((LEFT_OUT[each] for each in LEFT_OUT if name.startswith(each)), None)
        if part is not None:
            ours = parts[part] + _inside(part, name.removeprefix(part), backbone)
            for prefix in ("",) if has_mix_block else ("classifier.", "momentum_classifier."):
                state[prefix + ours] = tensor
        elif why is not None:
            left_out[name] = why
        else:
            unknown.append(name)
    if unknown or not state:
        listed = ", ".join(f"`{name}`" for name in unknown[:8])
        more = f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
        raise ValueError(f"names that no classifier of OpenMixup has: {listed or 'all'}{more}")
    return Converted(state, has_mix_block, left_out)


def _today(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names as the newest version has them, without what a wrapper puts before."""
    wrapper = "module." if all(name.startswith("module.") for name in weights) else ""
    return {
        re.sub(r"^(head\w*\.)fc_cls\.", r"\1fc.", name.removeprefix(wrapper)): tensor
        for name, tensor in weights.items()
    }


def _without_twins(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave out `backbone` and `head`, by which the reference calls two of its parts again.

    Raises:
        ValueError: one of them is not what it is said to be.
    """
    kept = {
        name: each for name, each in weights.items() if not name.startswith(("backbone.", "head."))
    }
    for name, tensor in weights.items():
        if name in kept:
            continue
        twins = [name.replace("backbone.", "backbone_k.", 1)]
        if name.startswith("head."):
            twins = [name.replace("head.", each, 1) for each in ("head_one_k.", "head_one_q.")]
        twin = next((kept[each] for each in twins if each in kept), None)
        if twin is None or not torch.equal(tensor, twin):
            raise ValueError(f"`{name}` should be the same as `{twins[0]}`, and is not")
    return kept


def _inside(part: str, name: str, backbone: str) -> str:
    """A name within a part."""
    if part == "mix_block.":
        for theirs, ours in _MIX_BLOCK:
            name = re.sub(theirs, ours, name)
    elif part.startswith("backbone") and backbone in WIDE_RESNETS:
        return _of_wide_resnet(name)
    return name


def _of_wide_resnet(name: str) -> str:
    """`block1.layer.0.bn1.weight` is `stages.0.0.norm1.weight` here."""
    found = re.fullmatch(r"block([123])\.layer\.(\d+)\.(\w+)\.(\w+)", name)
    if found is None:
        return re.sub(r"^bn1\.", "norm.", name)
    stage, block, layer, kind = found.groups()
    layer = {"bn1": "norm1", "bn2": "norm2", "convShortcut": "shortcut"}.get(layer, layer)
    return f"stages.{int(stage) - 1}.{block}.{layer}.{kind}"
