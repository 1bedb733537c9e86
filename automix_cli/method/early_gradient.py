"""A loss that brings its gradient along, so that its graph need not wait for the backward pass.

A step of AutoMix has three losses of about the same size, each with the activations of a whole
network behind it. Added up and sent backwards together, as autograd does it, all three lie in
memory at once. `with_gradient` takes the gradient of each loss as soon as the loss is known, and
frees its activations before the next network runs. What it returns still is an ordinary loss: one
forward and one backward a step, as DistributedDataParallel and gradient accumulation want it; the
backward only multiplies. So the step is the same mathematics in the same number of operations, at
about the memory of plain training.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable


def with_gradient(
    compute: Callable[[], Float[Tensor, ""]], inputs: Sequence[Tensor]
) -> Float[Tensor, ""]:
    """Compute a loss and its gradient now, and free the graph in between.

    Where no gradient is wanted, this is `compute()`. So it is in half precision (fp16): there the
    caller scales the loss before the backward pass, lest small gradients become zero, and a
    gradient taken here would come too early for that.

    Args:
        compute: Gives the loss.
        inputs: All tensors that are to get a gradient through it, leaves or not. What is behind
            one that is no leaf gets its gradient in the backward pass, as usual. Those that want
            none, and those that the loss does not depend on, get none.

    Returns:
        The loss. Sent backwards, it hands out the gradient times what arrives.
    """
    wanting = [each for each in inputs if each.requires_grad]
    if not torch.is_grad_enabled() or not wanting or _is_half_precision(wanting[0].device.type):
        return compute()
    loss = compute()
    with torch.autocast(wanting[0].device.type, enabled=False):  # as a backward pass has it
        gradients = torch.autograd.grad(loss, wanting, allow_unused=True)
    return _Known.apply(loss.detach(), gradients, *wanting)


def _is_half_precision(device: str) -> bool:
    return torch.is_autocast_enabled(device) and (torch.get_autocast_dtype(device) == torch.float16)


class _Known(torch.autograd.Function):
    """The identity of a loss, whose gradient with respect to `inputs` is already there."""

    @staticmethod
    def forward(
        ctx: Any, loss: Tensor, gradients: Sequence[Tensor | None], *inputs: Tensor
    ) -> Tensor:
        del inputs
        ctx.gradients = gradients
        return loss.clone()

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] - decorated in torch too
        ctx: Any, *arriving: Tensor
    ) -> tuple[Tensor | None, ...]:
        known = [each for each in ctx.gradients if each is not None]
        scaled = iter(torch._foreach_mul(known, arriving[0]))  # pyright: ignore[reportPrivateImportUsage]
        return (None, None, *(None if each is None else next(scaled) for each in ctx.gradients))
