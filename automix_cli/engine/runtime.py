"""Devices, processes, precision and seeds: what differs between a laptop and a cluster.

Why it is like this:

* Batch-norm buffers. Every process normalises with its own share of the batch, as in the reference.
  The reference then lets the running statistics of the processes drift apart and saves those of
  process 0. Here they are averaged over the processes after every step, so that every process holds
  the same model at every step and a checkpoint is the whole truth. DistributedDataParallel's own
  broadcast is switched off: it would overwrite buffers between our forwards.
* One forward a step. AutoMix makes its four passes inside one module and one forward: the wrapper
  sees one forward and one backward; several wrapped forwards before one backward break on the
  in-place updates of batch-norm.
"""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar, cast

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.state import AcceleratorState
from accelerate.utils import DynamoBackend, broadcast_object_list, gather_object
from torch import Tensor, nn
from torch.optim import Optimizer

from automix_cli.engine import waiting
from automix_cli.engine.allocator import keep_freed_memory
from automix_cli.errors import SettingsError
from automix_cli.randomness import Purpose, torch_seed

Value = TypeVar("Value")


def build_accelerator(
    *,
    device: str,
    mixed_precision: str | None,
    process_timeout: int = waiting.SECONDS,
    keeps_memory: bool = True,
) -> Accelerator:
    """Ask Accelerate for the device and the processes.

    Args:
        device: `auto`, `cpu`, `cuda` or `mps`.
        mixed_precision: `no`, `bf16`, `fp16`, or None for what `accelerate launch` says, else
            `no`.
        process_timeout: Seconds that a process waits for the others; the first accelerator of a
            process decides.
        keeps_memory: Keep, on a CPU and from now on, what is freed; see `engine.allocator`.

    Raises:
        SettingsError: the device is not there, it has no such precision, or the launcher compiles.
    """
    AcceleratorState._reset_state()  # a second run in one process may want another precision
    try:
        accelerator = Accelerator(
            cpu=device == "cpu",
            mixed_precision=cast(Any, mixed_precision),
            kwargs_handlers=[waiting.patience(process_timeout)],
        )
    except ValueError as problem:
        raise _no_such_precision(str(mixed_precision), str(problem)) from problem
    if accelerator.mixed_precision != "no" and not accelerator.native_amp:
        # Accelerate would go on in float32 without a word
        raise _no_such_precision(accelerator.mixed_precision, f"not on {accelerator.device.type}")
    if cast(Any, accelerator.state).dynamo_plugin.backend is not DynamoBackend.NO:
        raise SettingsError(
            "`accelerate launch` was told to compile (`--dynamo_backend`, or its configuration): "
            "it would wrap the model, and put a prefix before the names in checkpoints",
            hint="`--dynamo_backend no`, and `--set train.compile=default`",
        )
    if device not in {"auto", accelerator.device.type}:
        raise SettingsError(
            f"`run.device` is `{device}`, but this machine offers `{accelerator.device.type}`",
            hint="`--device auto` takes what is there",
        )
    if keeps_memory and accelerator.device.type == "cpu":
        keep_freed_memory()
    return accelerator


def _no_such_precision(wanted: str, reason: str) -> SettingsError:
    return SettingsError(
        f"`train.mixed_precision` is `{wanted}`, which cannot be had: {reason}",
        hint="use `--mixed-precision no`, or `bf16` where the processor has it",
    )


def make_deterministic() -> None:
    """Ask torch for deterministic kernels; where there is none, torch warns and goes on."""
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    torch.backends.cudnn.benchmark = False


def seed_initialisation(seed: int) -> None:
    """Make the first weights a function of `seed`, the same on every process."""
    torch.manual_seed(torch_seed(Purpose.INIT, seed))  # noqa: TID251 - this module is the one place


def seed_step(seed: int, step: int, rank: int) -> None:
    """Make dropout and stochastic depth of this step a function of `(seed, step, rank)`.

    Resuming at `step` then draws what an uninterrupted run draws, with no generator state to save.
    """
    torch.manual_seed(torch_seed(Purpose.DROPOUT, seed, step, rank))  # noqa: TID251 - as above


def prepare(
    accelerator: Accelerator, model: nn.Module, optimizer: Optimizer, *, has_rests: bool = False
) -> tuple[nn.Module, AcceleratedOptimizer]:
    """Place and wrap model and optimizer; gradients are then averaged over the processes.

    Args:
        accelerator: Knows device and processes.
        model: What is trained.
        optimizer: Of its parameters.
        has_rests: Whether there are steps at which some parameters have no gradient, the same ones
            on every process. They keep still then, momentum and weight decay included, with several
            processes as with one.
    """
    if has_rests:
        cast(Any, accelerator).ddp_handler = DistributedDataParallelKwargs(
            find_unused_parameters=True
        )
    model, prepared = accelerator.prepare(model, optimizer)
    if isinstance(model, nn.parallel.DistributedDataParallel):
        model.broadcast_buffers = False  # see the module docstring
    return model, cast(AcceleratedOptimizer, prepared)


def said_by_main(value: Value) -> Value:
    """What the main process has here, on every process."""
    return cast(Value, broadcast_object_list([value])[0])


def gathered(accelerator: Accelerator, values: list[Value]) -> list[Value]:
    """The plain values of all processes, in their order, on every process."""
    return values if accelerator.num_processes == 1 else cast(list[Value], gather_object(values))


def add_over_processes(accelerator: Accelerator, total: Tensor) -> Tensor:
    """The sum of every process's `total`, a tensor anywhere; nothing to do for one process."""
    if accelerator.num_processes == 1:
        return total
    return cast(Tensor, accelerator.reduce(total.to(accelerator.device), reduction="sum"))


@torch.no_grad()
def average_buffers(accelerator: Accelerator, model: nn.Module) -> None:
    """Give every process the mean of all processes' running statistics; nothing to do for one."""
    if accelerator.num_processes == 1:
        return
    buffers = [buffer for buffer in model.buffers() if buffer.is_floating_point()]
    if not buffers:
        return
    flat = torch.cat([buffer.flatten() for buffer in buffers])
    mean = cast(Tensor, accelerator.reduce(flat, reduction="mean"))
    start = 0
    for buffer in buffers:
        buffer.copy_(mean[start : start + buffer.numel()].view_as(buffer))
        start += buffer.numel()


def peak_memory_bytes(device: torch.device) -> int:
    """Largest memory held so far: of the accelerator where there is one, else of the process."""
    if device.type in {"cuda", "xpu"}:
        return torch.accelerator.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.is_file():  # Linux; its `ru_maxrss` begins with the size of who started the process
        (line,) = (each for each in status.read_text().splitlines() if each.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes everywhere but on macOS


class StopRequest:
    """Turns SIGINT and SIGTERM into a wish that all processes read at the same step.

    A signal may reach one process only, or all at different steps. `agreed` tells every process the
    same answer: the largest signal number any of them has received, 0 for none. A second Ctrl-C
    interrupts at once.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator
        self._received = 0
        self._previous: dict[int, Any] = {}
        self._group: torch.distributed.ProcessGroup | None = None
        if accelerator.num_processes > 1:
            self._group = waiting.group_of_processors(cast(Any, accelerator).init_handler.timeout)

    def __enter__(self) -> StopRequest:
        """Listen from here on."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back to whoever had them."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self._received == number == signal.SIGINT:
            raise KeyboardInterrupt
        self._received = number

    def agreed(self) -> int:
        """The signal that any process received, or 0; the same number on every process."""
        if self._group is None:
            return self._received
        received = torch.tensor(self._received)
        torch.distributed.all_reduce(received, torch.distributed.ReduceOp.MAX, group=self._group)
        return int(received)
