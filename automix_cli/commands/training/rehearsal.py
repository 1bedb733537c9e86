"""`--dry-run` of a training: take two steps, write nothing, say what a run would cost."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor, nn

from automix_cli.engine.loop import Plan, Training, take_step
from automix_cli.engine.runtime import peak_memory_bytes
from automix_cli.reporting.progress import say
from automix_cli.reporting.tables import key_value_table, print_tables
from automix_cli.settings import Settings
from automix_cli.settings.layering import Origins
from automix_cli.settings.toml import print_config


def rehearse(
    training: Training, plan: Plan, settings: Settings, origins: Origins, *, as_json: bool
) -> None:
    """Take two training steps on real data and report sizes, memory and the time of a whole run.

    The second step is the one timed: the first one pays for allocation and start-up.
    """
    seconds = [_timed_step(training, plan, step) for step in range(min(2, plan.total_steps))][-1]
    accelerator = training.accelerator
    if not accelerator.is_main_process:
        return
    facts = {**_sizes(training), **_cost(plan, settings, seconds)}
    facts["device"] = str(accelerator.device)
    facts["num_processes"] = accelerator.num_processes
    facts["mixed_precision"] = accelerator.mixed_precision
    facts["peak_memory_mib"] = round(peak_memory_bytes(accelerator.device) / 2**20)
    if as_json:
        sys.stdout.write(json.dumps({**facts, "origins": dict(origins)}, indent=2) + "\n")
        return
    sys.stdout.write(print_config(settings, origins))
    print_tables(key_value_table("dry run", facts))
    say("nothing was written; leave out `--dry-run` to train")


def _timed_step(training: Training, plan: Plan, step: int) -> float:
    started = time.perf_counter()
    float(take_step(training, plan, step).total)  # waits for the device
    return time.perf_counter() - started


def _sizes(training: Training) -> dict[str, Any]:
    method = cast(nn.Module, training.accelerator.unwrap_model(training.model))
    images = next(iter(training.batches.at(0))).images
    counts = {
        f"parameters_{name}": sum(each.numel() for each in module.parameters())
        for name, module in method.named_children()
        if name != "momentum_classifier"
    }
    return {**counts, "images_per_process_and_pass": _shape(images)}


def _shape(images: Tensor | Sequence[Tensor]) -> str:
    """Number, channels, height and width; of images of several sizes the largest."""
    if isinstance(images, Tensor):
        return " x ".join(map(str, images.shape))
    largest = (max(sides) for sides in zip(*(each.shape for each in images), strict=True))
    return f"{len(images)} x {' x '.join(map(str, largest))} at most"


def _cost(plan: Plan, settings: Settings, seconds: float) -> dict[str, Any]:
    return {
        "steps_per_epoch": plan.steps_per_epoch,
        "total_steps": plan.total_steps,
        "seconds_per_step": round(seconds, 3),
        "images_per_second": round(settings.train.batch_size / seconds, 1),
        "hours_without_evaluation": round(seconds * plan.total_steps / 3600, 2),
    }
