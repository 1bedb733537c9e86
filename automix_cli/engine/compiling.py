"""Training passes of the two networks as compiled code, by `torch.compile`.

Why it is like this:

* Whole passes are compiled, forward and backward, and not the step: the losses of AutoMix take
  their gradients one after the other, and passes are nearly all of a step's work.
* A pass is one graph without breaks, or training does not begin. The number of images is a symbol
  in it, so the last, smaller batch of an epoch is served by the same code. Fewer images than
  `FEWEST` run as written: 1 is a number and no symbol to torch, and from 16 on it chooses another
  convolution on a CPU, which would be another graph.
* A network is changed by attributes of its own that stand before the class's methods: parameters,
  their names and so checkpoints are the same with and without. What evaluates runs as written.
* Chance (dropout, stochastic depth) and layouts are those of the network as it is written.

Legend: n images, c channels, H W image.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from torch import Tensor, nn

from automix_cli.errors import SettingsError

PASSES = ("embed", "features", "features_and_embed", "last_map")
"""The methods of a classifier that take images and run through its backbone."""

FEWEST = {"cpu": 17}
FEWEST_ELSEWHERE = 2
"""Images that are worth a graph, by device; see above."""

CUDA_GRAPHS = "reduce-overhead"
_OPTIONS = {"fallback_random": True, "layout_optimization": False}
"""Draw what uncompiled code draws; leave maps laid out as the weights say."""


class CompiledPass:
    """One pass of a network in training mode, compiled at its first call; otherwise as written."""

    def __init__(self, network: nn.Module, name: str, options: dict[str, Any]) -> None:
        self._network = network
        self._as_written: Callable[[Tensor], Any] = getattr(network, name)
        self._compiled = torch.compile(self._as_written, fullgraph=True, options=options)

    def __call__(self, images: Tensor) -> Any:
        """Run through the network with images `(n, c, H, W)`.

        Raises:
            SettingsError: torch cannot compile this network.
        """
        are_few = len(images) < FEWEST.get(images.device.type, FEWEST_ELSEWHERE)
        if are_few or not self._network.training:
            return self._as_written(images)
        dynamo: Any = torch._dynamo
        dynamo.mark_dynamic(images, 0)
        try:
            return self._compiled(images)
        except _refusals() as problem:
            raise SettingsError(
                f"`train.compile` does not work for this network: {_first_line(problem)}",
                hint="train with `--set train.compile=none`",
            ) from problem


def compile_passes(
    accelerator: Accelerator, model: nn.Module, optimizer: AcceleratedOptimizer, mode: str
) -> None:
    """Let the networks of a method train by compiled code, in place.

    Args:
        accelerator: Knows the device.
        model: A method with `classifier` and `momentum_classifier`, as prepared.
        optimizer: Of its parameters, as prepared.
        mode: `default`, or `reduce-overhead`: as CUDA graphs besides.

    Raises:
        SettingsError: something is missing on this machine.
    """
    device = accelerator.device
    if mode == CUDA_GRAPHS and device.type != "cuda":
        raise SettingsError(
            f"`train.compile` `{mode}` records CUDA graphs, but the device is `{device.type}`",
            hint="`--set train.compile=default` compiles without",
        )
    torch.compiler.reset()  # of what this process trained before; its limit is on all together
    require_compiler(device)
    dynamo: Any = torch._dynamo
    dynamo.config.optimize_ddp = False  # gradients leave a pass whole: nothing to divide it for
    options = {**_OPTIONS, "triton.cudagraphs": True} if mode == CUDA_GRAPHS else _OPTIONS
    method: Any = accelerator.unwrap_model(model)
    for network in (method.classifier, method.momentum_classifier):
        for name in PASSES:
            setattr(network, name, CompiledPass(network, name, options))
    if mode == CUDA_GRAPHS:
        # what graphs give lies in memory that they use again: not before the end of the step
        torch.compiler.cudagraph_mark_step_begin()
        optimizer.optimizer.register_step_post_hook(
            lambda *_: torch.compiler.cudagraph_mark_step_begin()
        )


def as_written() -> AbstractContextManager[object]:
    """Inside, compiled passes run as written too: for what watches single operations."""
    return torch.compiler.set_stance("force_eager")


def require_compiler(device: torch.device) -> None:
    """Compile something small, to say at once what is missing.

    Raises:
        SettingsError: what is to be installed.
    """
    try:
        torch.compile(torch.cos)(torch.ones(2, device=device))
    except (RuntimeError, OSError) as problem:
        raise SettingsError(
            f"`train.compile` found no working compiler: {_first_line(problem)}",
            hint="it needs g++ and Python's headers (`apt install g++ python3-dev`, or `CXX`); "
            "on a GPU Triton too; `--set train.compile=none` needs neither",
        ) from problem


def _refusals() -> tuple[type[Exception], ...]:
    """What torch raises where it cannot compile, as opposed to what compiled code raises."""
    from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException
    from torch.fx.experimental.symbolic_shapes import ConstraintViolationError

    return (TorchDynamoException, FailOnRecompileLimitHit, ConstraintViolationError)


def _first_line(problem: Exception) -> str:
    return str(problem).strip().partition("\n")[0]
