"""No run goes on with numbers that are none: which quantity it was, and between which steps.

Looked at only where the host waits for the device anyway: when losses are recorded, and before
weights are evaluated or saved. So no step waits, and no checkpoint holds NaN or infinity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from torch import Tensor, nn

from automix_cli.errors import DivergedError

HINT = "try a lower `optimizer.lr`, or `optimizer.clip_norm`, or `--mixed-precision no`"

SMALLEST_SCALE = 2.0**-14
"""Of fp16's losses: with one still smaller, no gradient that half precision holds is left."""


def state_of(
    accelerator: Accelerator, model: nn.Module, optimizer: AcceleratedOptimizer
) -> dict[str, Tensor]:
    """All that a step changes, by name: parameters, buffers and what the optimizer keeps."""
    plain = accelerator.unwrap_model(model)
    tensors: dict[str, Tensor] = dict(plain.state_dict())
    for name, parameter in plain.named_parameters():
        kept = optimizer.state.get(parameter, {})
        tensors |= {f"{name} ({key})": each for key, each in kept.items() if torch.is_tensor(each)}
    return tensors


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """The names of the tensors that hold NaN or infinity; waits for the device once."""
    flags: dict[torch.device, dict[str, Tensor]] = {}
    for name, each in tensors.items():
        if each.is_floating_point():
            flags.setdefault(each.device, {})[name] = torch.isfinite(each).all()
    wrong: set[str] = set()
    for of_device in flags.values():
        are_finite = torch.stack(list(of_device.values())).tolist()
        wrong |= {name for name, fine in zip(of_device, are_finite, strict=True) if not fine}
    return [name for name in tensors if name in wrong]


def refuse_state(tensors: Mapping[str, Tensor], last_good: int, step: int) -> None:
    """Accept weights, buffers and the optimizer's state if they are finite.

    Args:
        tensors: By name.
        last_good: Step after which they were.
        step: How many steps were taken.

    Raises:
        DivergedError: names the first that is not.
    """
    wrong = not_finite(tensors)
    if wrong:
        when = f"stopped being finite between steps {last_good} and {step}"
        if last_good == step:
            when = f"{'is' if len(wrong) == 1 else 'are'} not finite after step {step}"
        raise DivergedError(f"{_listed(wrong)} {when}", hint=HINT)


def refuse_losses(
    losses: Mapping[str, float],
    tensors: Callable[[], Mapping[str, Tensor]],
    last_good: int,
    step: int,
) -> None:
    """Accept mean losses if they are finite; else say of the weights whether they are.

    Args:
        losses: By name; `total` is a sum of others.
        tensors: Gives weights by name; asked if a loss is not finite.
        last_good: Step after which the last mean was taken.
        step: How many steps were taken.

    Raises:
        DivergedError: names the losses, and the first weight.
    """
    wrong = {name: each for name, each in losses.items() if not math.isfinite(each)}
    if not wrong:
        return
    parts = {name: each for name, each in wrong.items() if name != "total"} or wrong
    said = " and ".join(f"loss `{name}` became {each}" for name, each in parts.items())
    weights = not_finite(tensors())
    state = f"not finite now: {_listed(weights)}" if weights else "all weights are finite"
    raise DivergedError(f"{said} between steps {last_good} and {step}; {state}", hint=HINT)


def refuse_scale(accelerator: Accelerator, last_good: int, step: int) -> None:
    """Accept how fp16's losses are scaled: every step that overflows is left out, and halves it.

    Raises:
        DivergedError: so many were left out that no step is taken any more.
    """
    scaler = accelerator.scaler
    if scaler is not None and scaler.get_scale() < SMALLEST_SCALE:
        raise DivergedError(
            f"the gradients overflow fp16 at any scale: steps were left out until it was "
            f"{scaler.get_scale():.3g}, between steps {last_good} and {step}",
            hint=HINT,
        )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"`{names[0]}`{more}"
