"""How fast batches are made: ours, and a torchvision DataLoader's."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import numpy as np
import torch

from automix_cli.data.batch_plan import Batches
from automix_cli.data.streaming import STEPS_AHEAD


def pipeline_rate(batches: Batches, steps: range, device: torch.device) -> float:
    """Make the batches of some steps and nothing else: images per second.

    What was prepared ahead before the clock starts is used up before, and the threads end
    afterwards, so that nothing is given away and nobody else is disturbed.
    """
    for step in steps[: STEPS_AHEAD + 1]:
        batches.at(step)
    timed = steps[STEPS_AHEAD + 1 :]
    _wait(device)
    started = time.perf_counter()
    num_images = sum(len(batch.labels) for step in timed for batch in batches.at(step))
    _wait(device)
    seconds = time.perf_counter() - started
    batches.close()
    return num_images / seconds


def loader_rate(
    loader: Iterable[Sequence[torch.Tensor]], num_ahead: int, device: torch.device
) -> float:
    """Go through a DataLoader, and put what it gives on the device: images per second.

    Args:
        loader: Ends when it has given all its batches, so that its processes rest afterwards.
        num_ahead: Batches that do not count: those it has prepared before they are asked for.
        device: Where batches are wanted.
    """
    batches = iter(loader)
    for _ in range(num_ahead):
        next(batches)
    started = time.perf_counter()
    num_images = 0
    for images, labels in batches:
        images.to(device)
        num_images += len(labels)
    _wait(device)
    return num_images / (time.perf_counter() - started)


def random_batches(
    num_images: int, batch_size: int, num_batches: int, rng: np.random.Generator
) -> list[list[int]]:
    """Draw the images of some batches, each image as often as any other up to one."""
    wanted = batch_size * num_batches
    passes = [rng.permutation(num_images) for _ in range(-(-wanted // num_images))]
    order = np.concatenate(passes)[:wanted]
    return order.reshape(num_batches, batch_size).tolist()


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
