"""What a checkpoint may hold: everything of its kind, or the file is not taken for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def refuse_other_kinds(
    content: Mapping[str, Any], header: Mapping[str, Any], state: Mapping[str, Any]
) -> None:
    """Make sure that everything is of its kind.

    Args:
        content: The whole checkpoint.
        header: What it says of itself.
        state: Where its training is.

    Raises:
        TypeError: names the first value that is not.
    """
    of_kind(header, {"settings": dict, "dataset": dict, "software": dict}, "header")
    of_kind(header, {"num_processes": int, "metrics_bytes": int}, "header")
    of_kind(content, {"model": dict, "optimizer": dict}, "checkpoint")
    of_kind(state, {"step": int, "seconds": float, "summed_steps": int}, "state")
    of_kind(state, {"best": dict, "last": dict}, "state")
    for name, tensor in content["model"].items():
        is_plain = isinstance(tensor, Tensor) and tensor.layout == torch.strided
        if not is_plain or tensor.device.type != "cpu":
            raise TypeError(f"`{name}` is no plain tensor")


def of_kind(values: Mapping[str, Any], kinds: Mapping[str, type], title: str) -> None:
    """Refuse values of other types.

    Raises:
        TypeError: names the first of them.
    """
    for name, kind in kinds.items():
        if not isinstance(values[name], kind):
            raise TypeError(f"`{name}` of its {title} must be {kind.__name__}")
