"""What all that judge a network share: where it computes, and that NaN or infinity is an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from automix_cli.engine.runtime import Accelerator, build_accelerator
from automix_cli.errors import DivergedError
from automix_cli.evaluation.totals import NotFiniteError
from automix_cli.settings.model import RunSettings


def accelerator_to_judge(run: RunSettings) -> Accelerator:
    """Device and processes of a command that trains nothing; it computes in float32."""
    return build_accelerator(
        device=run.device,
        mixed_precision="no",
        process_timeout=run.process_timeout,
        keeps_memory=run.keep_freed_memory,
    )


@contextmanager
def judging(network: str | Path) -> Iterator[None]:
    """Say of which network it is that outputs are not finite.

    Raises:
        DivergedError: they are not.
    """
    try:
        yield
    except NotFiniteError as problem:
        raise DivergedError(
            f"{problem}: `{network}` cannot be judged",
            hint="its weights are not finite, or so large that they overflow on the way",
        ) from problem


@contextmanager
def looked_at(*heads: nn.Module) -> Iterator[None]:
    """Look at what heads of a detector say, before NaN is sorted out as if nothing were there.

    Raises:
        NotFiniteError: it holds NaN or infinity.
    """

    def look(head: nn.Module, _: object, said: object) -> None:
        if not all(bool(torch.isfinite(each).all()) for each in tree_leaves(said)):
            raise NotFiniteError(
                f"the outputs of the detector's {type(head).__name__} are not finite"
            )

    with ExitStack() as hooks:
        for head in heads:
            hooks.callback(head.register_forward_hook(look).remove)
        yield
