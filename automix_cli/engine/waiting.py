"""How the processes of one run meet, and wait for each other.

A process that ends is noticed by the others at once: its connections close, and whoever waits for
it ends with an error. What is limited here is how long they wait for one that hangs, or whose
machine is gone without a word.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, gather_object
from torch.distributed.rendezvous import register_rendezvous_handler, rendezvous

from automix_cli.errors import CheckpointError

SECONDS = 600
"""As long as torch itself waits on GPUs; on processors it would be half an hour."""

LONGEST_PREPARATION = timedelta(days=1)
"""While one process downloads data, the others wait without having anything to do."""

ATTEMPT = "TORCHELASTIC_RESTART_COUNT"
"""How often torchrun has started the processes again; there is none without torchrun."""


def patience(seconds: int) -> InitProcessGroupKwargs:
    """How processes meet and how long they wait for each other, as Accelerate wants to be told.

    It leaves out what equals its own default, ten minutes, and torch then takes half an hour on
    processors: hence the microsecond.
    """
    timeout = timedelta(seconds=seconds, microseconds=1)
    if ATTEMPT not in os.environ:
        return InitProcessGroupKwargs(timeout=timeout)
    with suppress(RuntimeError):  # it is known already
        register_rendezvous_handler("torchrun", attempt_of_torchrun)
    return InitProcessGroupKwargs(timeout=timeout, init_method="torchrun://")


def attempt_of_torchrun(url: str, **options: Any) -> Iterator[tuple[Any, int, int]]:
    """Meet as torchrun's processes do, in a part of its store that is this attempt's own.

    torchrun keeps one store while it starts processes again and again. Without this they find the
    addresses of those that are gone, wait for them, and every restart fails as the first one did.
    """
    for store, rank, num_processes in rendezvous("env://", **options):
        own = cast(Any, torch.distributed).PrefixStore(f"attempt {os.environ[ATTEMPT]}", store)
        yield own, rank, num_processes


def group_of_processors(timeout: timedelta) -> torch.distributed.ProcessGroup:
    """A group of all processes that talks by processor: it never waits for an accelerator's queue.

    Args:
        timeout: How long its members wait for each other.
    """
    return cast(Any, torch.distributed.new_group(backend="gloo", timeout=timeout))


@contextmanager
def main_first(accelerator: Accelerator) -> Iterator[None]:
    """On each machine let one process go first, as it may have to download something.

    All processes leave together, so that nobody's patience is used up by a long way here.
    """
    if accelerator.num_processes == 1:
        yield
        return
    group = group_of_processors(LONGEST_PREPARATION)
    if not accelerator.is_local_main_process:
        torch.distributed.barrier(group)
    yield
    if accelerator.is_local_main_process:
        torch.distributed.barrier(group)
    torch.distributed.barrier(group)


def refuse_other_starts(accelerator: Accelerator, step: int) -> None:
    """Make sure that all processes begin at the same step.

    Args:
        accelerator: The processes.
        step: Where this one would begin.

    Raises:
        CheckpointError: they found different checkpoints, as on machines that share no disk.
    """
    if accelerator.num_processes == 1:
        return
    steps = cast(list[int], gather_object([step]))
    if len(set(steps)) > 1:
        listed = ", ".join(f"process {rank} after step {each}" for rank, each in enumerate(steps))
        raise CheckpointError(
            f"the processes would go on from different checkpoints: {listed}",
            hint="every machine must see the same run folder: put it on a disk that they share",
        )
