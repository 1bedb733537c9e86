"""`automix data bench`: how fast images are made, how fast they are used, and which waits."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

from automix_cli import build
from automix_cli.commands.requests.data import DataBenchRequest
from automix_cli.commands.train import with_default_preset
from automix_cli.commands.training.run import Prepared, prepare_run
from automix_cli.commands.turns import Rounds, in_turns
from automix_cli.data.batches import TrainBatches
from automix_cli.data.speed import loader_rate, pipeline_rate, random_batches
from automix_cli.data.streaming import STEPS_AHEAD
from automix_cli.data.torchvision_loader import torchvision_loader
from automix_cli.data.worker_pool import default_workers
from automix_cli.engine.loop import micro_batches, take_step
from automix_cli.errors import SettingsError
from automix_cli.randomness import Purpose, stream
from automix_cli.reporting.progress import say
from automix_cli.reporting.speed_tables import data_path_tables
from automix_cli.reporting.tables import print_tables
from automix_cli.settings import DataSettings, Settings
from automix_cli.settings.layering import Overrides, load

SCHEMA_VERSION = 1
LOADER_AHEAD = 2
"""Batches that each worker of a DataLoader prepares: its default."""


def run(overrides: Overrides, request: DataBenchRequest) -> None:
    """Measure the pipeline and the training step in turns, and show medians.

    Raises:
        AutoMixError: anything a person can mend; the exit code says what kind.
    """
    settings, _ = load(with_default_preset(overrides))
    prepared = prepare_run(settings)
    if prepared.training.accelerator.num_processes > 1:
        raise SettingsError(
            "`automix data bench` measures one process, and was started as several",
            hint="run it without `accelerate launch` or `torchrun`",
        )
    say(f"measuring {request.rounds} times in turns; the first round does not count")
    measures: list[Callable[[int], float]] = [
        pipeline_of(prepared, settings, request.steps),
        partial(training_rate, prepared),
    ]
    if request.against_torchvision:
        reduced = settings.model_copy(update={"data": without_colours(settings.data)})
        if reduced != settings:
            say("against torchvision, both sides only crop, mirror and normalise")
        measures.append(pipeline_of(prepared, reduced, request.steps))
        measures.append(loader_of(prepared, reduced, request.steps))
    rates = in_turns(measures, request.rounds)
    prepared.training.accelerator.end_training()
    content = report(prepared, rates)
    if request.as_json:
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
    else:
        print_tables(*data_path_tables(content))


def without_colours(data: DataSettings) -> DataSettings:
    """The same settings with no augmentation but crop and mirroring."""
    return data.model_copy(
        update={
            "rand_augment": "none",
            "three_augment": False,
            "color_jitter": 0.0,
            "erase_probability": 0.0,
            "repeats": 1,
        }
    )


def pipeline_of(prepared: Prepared, settings: Settings, steps: int) -> Callable[[int], float]:
    """Images per second of making batches alone."""
    device = prepared.training.accelerator.device
    batches = build.train_batches(settings, prepared.splits, rank=0, num_ranks=1, device=device)
    in_a_round = STEPS_AHEAD + 1 + steps

    def measure(number: int) -> float:
        first = number * in_a_round
        with closing(batches):
            return pipeline_rate(batches, range(first, first + in_a_round), device)

    return measure


def training_rate(prepared: Prepared, number: int) -> float:
    """Images per second of one training step whose images are there already."""
    training, plan = prepared.training, prepared.plan
    with closing(training.batches):
        images = micro_batches(training, plan.seed, number)
    started = time.perf_counter()
    float(take_step(training, plan, number, images).total)  # waits for the device
    return sum(len(each.labels) for each in images) / (time.perf_counter() - started)


def loader_of(prepared: Prepared, settings: Settings, steps: int) -> Callable[[int], float]:
    """Images per second of a torchvision DataLoader that does the same."""
    splits, data = prepared.splits, settings.data
    workers = num_workers(data)
    ahead = max(1, LOADER_AHEAD * workers)
    size = min(settings.train.batch_size, len(splits.train))
    rng = stream(Purpose.ORDER, settings.run.seed, 0)
    loader = torchvision_loader(
        splits.train,
        build.recipe(data, splits),
        build.view(data, splits.mean, splits.std, splits.image_size),
        random_batches(len(splits.train), size, ahead + steps, rng),
        workers,
    )
    device = prepared.training.accelerator.device
    return lambda _: loader_rate(loader, ahead, device)


def num_workers(data: DataSettings) -> int:
    """Threads of ours, and processes of a DataLoader."""
    return default_workers() if data.workers is None else data.workers


def report(prepared: Prepared, rates: list[Rounds]) -> dict[str, Any]:
    """What was measured, as plain values."""
    settings, training = prepared.settings, prepared.training
    pipeline, step, *comparison = rates
    is_whole = isinstance(training.batches, TrainBatches)
    content: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "dataset": prepared.splits.name,
        "images_made": "in whole batches on the device" if is_whole else "one by one in threads",
        "workers": 0 if is_whole else num_workers(settings.data),
        "image_size": prepared.splits.image_size,
        "batch_size": settings.train.batch_size,
        "method": settings.mix.method,
        "backbone": settings.model.backbone,
        "device": str(training.accelerator.device),
        "pipeline": rate_record(pipeline),
        "training_step": rate_record(step),
        "bottleneck": "pipeline" if pipeline.median < step.median else "training step",
    }
    if comparison:
        ours, theirs = comparison
        ratios = ours.ratios(theirs)
        content["torchvision"] = {
            "workers": num_workers(settings.data),
            "ours": rate_record(ours),
            "theirs": rate_record(theirs),
            "ratio": Rounds(ratios).median,
            "ratios": list(ratios),
        }
    return content


def rate_record(rates: Rounds) -> dict[str, Any]:
    """Images per second: the median and every round."""
    return {"images_per_second": rates.median, "rounds": list(rates.values)}
