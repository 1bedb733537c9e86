"""Reaching into a running backbone: exchange a feature map, see what the class token attends to.

timm's models have no common way to be run in two parts, but all of them name the module that each
feature map comes from. So the map is exchanged on its way, by a hook for one pass.

Legend: n images, c channels of a feature map, h w its size, t tokens, p of them patches, a heads.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn


@contextmanager
def changed_map(
    backbone: nn.Module,
    module: str,
    shape: tuple[int, int, int],
    change: Callable[[Tensor], Tensor],
) -> Iterator[None]:
    """Let the rest of a backbone work with `change(map)` in the place of a feature map.

    Args:
        backbone: What is run inside the `with`, once.
        module: Name of the module in it that gives the map.
        shape: c, h, w of the map.
        change: From the map `(n, c, h, w)` to another of the same shape.

    Raises:
        ValueError: the module gives something else, or is not run exactly once.
    """
    runs = 0

    def exchange(_module: nn.Module, _inputs: Any, output: Any) -> Tensor:
        nonlocal runs
        runs += 1
        if not isinstance(output, Tensor) or output.shape[1:] != shape:
            raise ValueError(f"the backbone has no feature map `(n, c, h, w)` behind `{module}`")
        return change(output)

    handle = backbone.get_submodule(module).register_forward_hook(exchange)
    try:
        yield
    finally:
        handle.remove()
    if runs != 1:
        raise ValueError(f"the backbone must run `{module}` once in a pass, it did {runs} times")


def stages_to_change(backbone: nn.Module, num_stages: int) -> tuple[int, int]:
    """The first two stages behind the stem, as numbers of feature maps.

    timm counts the stem of many as the first: of those with five maps (ResNets), and of those whose
    first two maps are of one size.

    Raises:
        ValueError: the backbone is a transformer, has not so many stages, or does not name them.
    """
    stated: list[dict[str, Any]] = list(getattr(backbone, "feature_info", ()))
    is_named = len(stated) == num_stages and all("module" in each for each in stated)
    if isinstance(backbone, VisionTransformer) or num_stages < 3 or not is_named:
        raise ValueError(
            "the backbone must have feature maps of three stages or more to go on from, and name "
            "them; a vision transformer has tokens"
        )
    has_stem = num_stages >= 5 or stated[0]["reduction"] == stated[1]["reduction"]
    return (1, 2) if has_stem else (0, 1)


@contextmanager
def class_attention(backbone: nn.Module) -> Iterator[list[Tensor]]:
    """See what the class token gives to each patch in the last block, for each pass inside.

    The block computes with fused kernels, which do not show it. So it is computed again, for the
    class token alone and without a gradient: queries and keys of one block more.

    Yields:
        A list to which each pass appends `(n, a, p)`, >= 0, in float32.

    Raises:
        ValueError: the backbone is no vision transformer of timm's that classifies by such a token.
    """
    model: Any = backbone
    is_plain = isinstance(backbone, VisionTransformer)
    is_plain = is_plain and type(model.blocks[-1].attn).__name__ == "Attention"  # timm moves it
    if not is_plain or model.cls_token is None or model.global_pool != "token":
        raise ValueError(
            "the backbone must be a vision transformer that classifies by a class token"
        )
    attention, seen = model.blocks[-1].attn, []

    def look(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(_attention_of_first(attention, inputs[0])[:, :, model.num_prefix_tokens :])

    handle = attention.register_forward_pre_hook(look)
    try:
        yield seen
    finally:
        handle.remove()


@torch.no_grad()
def _attention_of_first(attention: Any, tokens: Tensor) -> Tensor:
    """What the first of `(n, t, width)` tokens gives to each, `(n, a, t)`; rows sum to 1."""
    n, t, _ = tokens.shape
    projected = attention.qkv(tokens).reshape(n, t, 3, attention.num_heads, -1)
    query, key, _ = projected.permute(2, 0, 3, 1, 4)  # each (n, a, t, width of a head)
    query, key = attention.q_norm(query[:, :, :1]), attention.k_norm(key)
    return (query.float() * attention.scale @ key.float().mT).softmax(dim=-1)[:, :, 0]
