"""`automix bench`: what a training step costs."""
# pyright: strict

from typing import Annotated

import typer

from automix_cli.cli.options import (
    TRAINING,
    BatchSize,
    Config,
    Device,
    Json,
    Method,
    MixedPrecision,
    OutputDir,
    Preset,
    Set,
    overrides_of,
)
from automix_cli.startup import quick_imports

VS = Annotated[
    list[str] | None,
    typer.Option(help="Another method, timed in turns; repeatable.", metavar="METHOD"),
]
VsSettings = Annotated[
    list[str] | None,
    typer.Option(
        help="The same with other settings, timed in turns; repeatable.",
        metavar="'NAME: KEY=VALUE,...'",
    ),
]
Grow = Annotated[
    str | None,
    typer.Option(
        help="Time it at several values of a setting, or of `classes`.", metavar="KEY=VALUE,VALUE"
    ),
]
Rounds = Annotated[int, typer.Option(help="Steps of each, taken in turns.")]
Classes = Annotated[int, typer.Option(help="Classes of the made-up images.", min=2)]
Memory = Annotated[
    bool, typer.Option(help="Measure peak memory, in a process for each configuration.")
]
AnswerQuestions = Annotated[bool, typer.Option("--answer-questions", hidden=True)]


def bench(  # noqa: PLR0913 - Typer reads the flags from the signature
    *,
    preset: Preset = None,
    method: Method = None,
    config: Config = None,
    sets: Set = None,
    batch_size: BatchSize = None,
    device: Device = None,
    mixed_precision: MixedPrecision = None,
    vs: VS = None,
    vs_settings: VsSettings = None,
    grow: Grow = None,
    rounds: Rounds = 5,
    classes: Classes = 100,
    output_dir: OutputDir = None,
    memory: Memory = True,
    answer_questions: AnswerQuestions = False,
    as_json: Json = False,
) -> None:
    """Time a training step in turns with a plain one: parts, speed, memory, arithmetic.

    The images are made up, so no data set is needed. `automix data bench` times
    the images.

    Examples:
    $ automix bench --preset digits-tiny
    $ automix bench -p cifar100-r18 --vs cutmix --vs puzzlemix --rounds 9
    $ automix bench -p cifar100-r18 --mixed-precision bf16 --json
    $ automix bench -p cifar100-r18 --grow train.batch_size=25,50,100 -o growth
    """
    with quick_imports():
        from automix_cli.commands import bench as command
    from automix_cli.commands.requests.bench import BenchRequest

    overrides = overrides_of(
        TRAINING,
        sets,
        preset=preset,
        config=config,
        method=method,
        batch_size=batch_size,
        device=device,
        mixed_precision=mixed_precision,
    )
    request = BenchRequest(
        rounds=rounds,
        versus=tuple(vs or ()),
        versus_settings=tuple(vs_settings or ()),
        grow=grow,
        num_classes=classes,
        folder=output_dir,
        memory=memory,
        answer_questions=answer_questions,
        as_json=as_json,
    )
    command.run(overrides, request)
