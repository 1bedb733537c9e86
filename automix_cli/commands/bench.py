"""`automix bench`: what a training step costs, beside a plain one, part by part."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from automix_cli.commands.bench_process import BenchProcess, answer_questions
from automix_cli.commands.bench_setups import (
    PLAIN,
    VANILLA,
    Grown,
    Setup,
    arms,
    grown_arms,
    set_up,
    watched_calls,
)
from automix_cli.commands.comparing.arms import Arm
from automix_cli.commands.comparing.cells import settings_of
from automix_cli.commands.requests.bench import BenchRequest
from automix_cli.commands.train import with_default_preset
from automix_cli.commands.turns import Rounds, in_turns
from automix_cli.engine.arithmetic import count_flops, matrix_product_ceiling
from automix_cli.engine.compiling import as_written
from automix_cli.engine.phases import PhaseClock
from automix_cli.errors import SettingsError
from automix_cli.reporting import records
from automix_cli.reporting.bench_tables import bench_tables, growth_figure
from automix_cli.reporting.evaluation_files import report_folder
from automix_cli.reporting.figures import save_figure
from automix_cli.reporting.progress import say
from automix_cli.reporting.tables import print_tables
from automix_cli.settings.layering import Overrides

SCHEMA_VERSION = 1
STEM = "bench"
STEPS_FOR_MEMORY = 2


def run(overrides: Overrides, request: BenchRequest) -> None:
    """Time all configurations in turns, and show what was found.

    Raises:
        AutoMixError: anything a person can mend; the exit code says what kind.
    """
    overrides = with_default_preset(overrides)
    if request.answer_questions:
        answer_questions(overrides, request.num_classes, sys.stdin, sys.stdout)
        return
    if request.rounds < 1:
        raise SettingsError(f"`--rounds` must be at least 1, got `{request.rounds}`")
    if request.folder is not None:
        report_folder(request.folder)  # before anything is measured
    chosen, grown = arms(request), grown_arms(request)
    for arm, _ in grown:
        settings_of(arm, overrides)  # said before anything is measured
    setups = [set_up(arm, overrides, request.num_classes) for arm in chosen]
    if setups[0].prepared.training.accelerator.num_processes > 1:
        raise SettingsError(
            "`automix bench` measures one process, and was started as several",
            hint="run it without `accelerate launch` or `torchrun`",
        )
    say(f"timing {len(setups)} configurations in turns, {request.rounds} rounds")
    content = report(chosen, setups, overrides, request)
    del setups
    content["growth"] = growth(grown, overrides, request)
    if request.folder is not None:
        write(content, request.folder)
    if request.as_json:
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
    else:
        print_tables(*bench_tables(content))


def report(
    chosen: Sequence[Arm], setups: Sequence[Setup], overrides: Overrides, request: BenchRequest
) -> dict[str, Any]:
    """All that is measured of the configurations, as plain values."""
    device = setups[0].prepared.training.accelerator.device
    taken = timed(setups, request)
    vanilla, plain = (taken[chosen.index(unit)] for unit in (VANILLA, PLAIN))
    formats = {setup.number_format for setup in setups}
    ceilings = {each: matrix_product_ceiling(device, each) for each in formats}
    rows = [
        {
            "name": setup.name,
            "seconds": list(seconds.values),
            "times_vanilla": ratio_record(seconds, vanilla),
            "times_plain": ratio_record(seconds, plain),
            "batch_size": setup.prepared.settings.train.batch_size,
            "flops": flops_of(setup),
            "ceiling_flops_per_second": ceilings[setup.number_format],
            "mixed_precision": setup.mixed_precision,
            "peak_memory_bytes": memory_of(arm, overrides, request),
        }
        for arm, setup, seconds in zip(chosen, setups, taken, strict=True)
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "device": str(device),
        "threads": torch.get_num_threads(),
        "images": "made up",
        "rows": rows,
        "vanilla": setups[chosen.index(VANILLA)].name,
        "plain": setups[chosen.index(PLAIN)].name,
        "pairs": [
            {"over": setup.name, **ratio_record(taken[0], seconds)}
            for setup, seconds in zip(setups[3:], taken[3:], strict=True)
        ],
        "parts": parts_of(setups[0]),
    }


def timed(setups: Sequence[Setup], request: BenchRequest) -> list[Rounds]:
    """Seconds of the step of each configuration, in turns."""
    with ExitStack() as others:
        timers = [timer(setup, request, others) for setup in setups]
        return in_turns(timers, request.rounds)


def timer(setup: Setup, request: BenchRequest, others: ExitStack) -> Callable[[int], float]:
    """What measures the step of a configuration: here, or in a process of its own.

    This process keeps the memory that a step frees, so one that shall not is another process.
    """
    settings = setup.prepared.settings
    on_cpu = setup.prepared.training.accelerator.device.type == "cpu"
    if settings.run.keep_freed_memory or not on_cpu:
        return setup.seconds_of
    process = BenchProcess(setup.name, settings, request.num_classes)
    others.callback(process.close)
    return process.seconds_of


def flops_of(setup: Setup) -> float:
    """Floating-point operations of a step as it is written, the mean over the run."""
    is_compiled = setup.prepared.settings.train.compile != "none"
    with as_written() if is_compiled else nullcontext():
        return setup.mean_over_run(lambda step: count_flops(lambda: setup.take_step(step)))


def parts_of(setup: Setup) -> dict[str, float]:
    """Seconds of each named part of a step, by parts; the mean over the run, of two rounds."""
    device = setup.prepared.training.accelerator.device
    parts: dict[str, float] = {}
    for share, steps in setup.stretches(0):
        clock = PhaseClock(watched_calls(setup, steps[0]), device)
        for step in (*steps, *steps):
            with clock.watch():
                setup.take_step(step)
        for phase, seconds in clock.seconds.items():
            parts[phase] = parts.get(phase, 0.0) + share * seconds / (2 * len(steps))
    return parts


def ratio_record(seconds: Rounds, unit: Rounds) -> dict[str, Any]:
    """Steps over steps of the same round: the median and every round."""
    ratios = seconds.ratios(unit)
    return {"median": Rounds(ratios).median, "rounds": list(ratios)}


def memory_of(arm: Arm, overrides: Overrides, request: BenchRequest) -> int | None:
    """Peak memory of a process of its own, since a process never gives back its peak.

    Returns:
        Bytes; None if the request wants no processes of their own.

    Raises:
        AutoMixError: the process failed.
    """
    if not request.memory:
        return None
    settings = settings_of(arm, overrides)
    with closing(BenchProcess(arm.name, settings, request.num_classes)) as process:
        return process.peak_after(STEPS_FOR_MEMORY)


def growth(
    grown: Sequence[Grown], overrides: Overrides, request: BenchRequest
) -> list[dict[str, Any]]:
    """Seconds, memory and arithmetic of the step at each value of `--grow`, in turns."""
    if not grown:
        return []
    setups = [set_up(arm, overrides, num_classes) for arm, num_classes in grown]
    rounds = timed(setups, request)
    return [
        {
            "value": arm.name,
            "seconds": list(taken.values),
            "batch_size": setup.prepared.settings.train.batch_size,
            "flops": flops_of(setup),
            "peak_memory_bytes": memory_of(
                arm, overrides, replace(request, num_classes=num_classes)
            ),
        }
        for (arm, num_classes), setup, taken in zip(grown, setups, rounds, strict=True)
    ]


def write(content: dict[str, Any], folder: Path) -> None:
    """`bench.json`, and the figure of the growth if there is one."""
    records.write_json(folder / f"{STEM}.json", content)
    if content["growth"]:
        save_figure(growth_figure(content["growth"]), folder / f"{STEM}-growth")
    say(f"wrote {folder / STEM}.json")
