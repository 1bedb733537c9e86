"""Nothing in a training step waits for the device: no value of a tensor is asked for."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from automix_cli.engine.loop import micro_batches
from automix_cli.engine.step import train_step
from tests.engine.conftest import Prepare

WAITING = (
    torch.ops.aten._local_scalar_dense,  # item, tolist, bool, float, int
    torch.ops.aten.equal,
    torch.ops.aten.is_nonzero,
    torch.ops.aten.nonzero,
    torch.ops.aten.masked_select,
    torch.ops.aten._unique2,
)


def indexes_by_mask(operation: Any, arguments: tuple[Any, ...]) -> bool:
    """Whether it picks the places where a mask is true, which have to be counted first."""
    if operation not in (torch.ops.aten.index, torch.ops.aten.index_put):
        return False
    indices = [each for each in arguments[1] if each is not None]
    return any(each.dtype in (torch.bool, torch.uint8) for each in indices)


class Trap(TorchDispatchMode):
    """Refuses every operation whose result the host has to wait for, in backward passes too."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func.overloadpacket in WAITING or indexes_by_mask(func.overloadpacket, args):
            raise AssertionError(f"the host waits for the device: `{func}`")
        return func(*args, **(kwargs or {}))


@contextmanager
def trap() -> Iterator[None]:
    """The same, and methods that read the values without an operation."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the host waits for the device: a tensor's values are read")

    with ExitStack() as patches, Trap():
        for name in ("tolist", "numpy", "cpu"):
            patches.enter_context(mock.patch.object(torch.Tensor, name, refuse))
        yield


@pytest.mark.parametrize("precision", ["no", "bf16"])
@pytest.mark.parametrize("method", ["automix", "samix", "adautomix", "cutmix"])
def test_a_step_with_optimizer_and_momentum_update_does_not_wait(
    prepare: Prepare, method: str, precision: str
) -> None:
    prepared = prepare(f"mix.method={method}", f"train.mixed_precision={precision}")
    training = prepared.training
    (batch,) = micro_batches(training, 0, 0)
    with trap():
        train_step(
            training.accelerator,
            training.model,
            training.optimizer,
            [batch],
            training.values_at(0),
        )


def test_the_trap_is_armed() -> None:
    numbers = torch.arange(3)
    for wait in (
        lambda: numbers.sum().item(),
        lambda: numbers.tolist(),
        lambda: numbers.numpy(),
        lambda: bool(numbers[0]),
        lambda: numbers[numbers > 1],
        lambda: numbers.unique(),
    ):
        with trap(), pytest.raises(AssertionError, match="the host waits"):
            wait()


@pytest.mark.parametrize("method", ["automix", "samix"])
def test_losses_of_bfloat16_follow_those_of_float32(prepare: Prepare, method: str) -> None:
    """Three steps of the whole method, each on its own weights: 8 bits of mantissa."""
    followed = []
    for precision in ("no", "bf16"):
        training = prepare(f"mix.method={method}", f"train.mixed_precision={precision}").training
        training.model.train()
        losses = [
            train_step(
                training.accelerator,
                training.model,
                training.optimizer,
                micro_batches(training, 0, step),
                training.values_at(step),
            )
            for step in range(3)
        ]
        followed.append(torch.stack([torch.stack(list(each)) for each in losses]))
        assert followed[-1].dtype == torch.float32
    torch.testing.assert_close(followed[1], followed[0], rtol=0.05, atol=0.05)
