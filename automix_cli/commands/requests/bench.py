"""What a person asks of `automix bench` besides settings: plain data, free of torch."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class BenchRequest:
    """What `automix bench` is asked for.

    Args:
        rounds: How often each configuration takes a step, after one that does not count.
        versus: Methods to time in turns with the one asked for.
        versus_settings: `NAME: KEY=VALUE, ...` texts, each a configuration of its own.
        grow: `KEY=VALUE,VALUE,...`: the step at each of these values too, of a setting or of
            `classes`; None: no growth.
        num_classes: Classes of the images that are made up.
        folder: Where `bench.json` and the figure of `grow` go; None: nowhere.
        memory: Measure the peak memory of each configuration, in a process of its own.
        answer_questions: Be such a process: see `automix_cli.commands.bench_process`.
        as_json: Write the result to stdout as JSON.
    """

    rounds: int = 5
    versus: tuple[str, ...] = ()
    versus_settings: tuple[str, ...] = ()
    grow: str | None = None
    num_classes: int = 100
    folder: Path | None = None
    memory: bool = True
    answer_questions: bool = False
    as_json: bool = False
