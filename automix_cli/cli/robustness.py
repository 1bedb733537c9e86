"""`automix robustness`."""
# pyright: strict

from pathlib import Path
from typing import Annotated

import typer

from automix_cli.cli.options import (
    BatchSize,
    DataDir,
    Device,
    Json,
    ReportDir,
    Set,
    Weights,
)


def robustness(  # noqa: PLR0913 - Typer reads the flags from the signature
    *,
    run: Annotated[
        Path | None,
        typer.Argument(help="Run folder (default: the newest finished run).", metavar="RUN"),
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(help="A file or run folder to compare; repeatable.", metavar="FILE"),
    ] = None,
    attack: Annotated[
        list[str] | None,
        typer.Option(
            help="Attack to run; repeatable (default: fgsm and pgd).",
            metavar="fgsm|pgd|mifgsm|autoattack",
        ),
    ] = None,
    epsilon: Annotated[
        list[str] | None,
        typer.Option(
            help="Largest change, in units of the pixel range; repeatable (default: 2/255, 4/255"
            " and 8/255).",
            metavar="8/255|0.03",
        ),
    ] = None,
    norm: Annotated[str, typer.Option(help="How a change is measured.", metavar="linf|l2")] = (
        "linf"
    ),
    steps: Annotated[int, typer.Option(help="Gradient steps of pgd and mifgsm.")] = 10,
    step_size: Annotated[
        str | None,
        typer.Option(help="Size of a step (default: a fourth of epsilon).", metavar="2/255|0.01"),
    ] = None,
    restarts: Annotated[int, typer.Option(help="Random starts of pgd.")] = 1,
    momentum: Annotated[float, typer.Option(help="Momentum of mifgsm.")] = 1.0,
    targeted: Annotated[
        bool, typer.Option("--targeted", help="Attack towards a random other class.")
    ] = False,
    ood: Annotated[
        list[str] | None,
        typer.Option(
            help="Data set that is unknown to the network; repeatable (default: noise and digits).",
            metavar="noise|DATASET",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Measure this part only; repeatable.",
            metavar="attacks|masking|unknown|occlusion",
        ),
    ] = None,
    quick: Annotated[
        int | None,
        typer.Option(help="Take so many test images, the same share of each class.", min=1),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.", min=0)] = 0,
    weights: Weights = None,
    sets: Set = None,
    data_dir: DataDir = None,
    batch_size: BatchSize = None,
    device: Device = None,
    output_dir: ReportDir = None,
    as_json: Json = False,
) -> None:
    """Attack a trained classifier, show it unknown images, and hide parts of what it knows.

    Examples:
    $ automix robustness --quick 500
    $ automix robustness runs/mine --attack pgd --steps 50 --restarts 5 --epsilon 8/255
    $ automix robustness --checkpoint runs/mine --checkpoint runs/other --ood cifar100
    $ automix robustness runs/mine --attack autoattack --norm l2 --epsilon 0.5 --quick 200
    """
    from automix_cli.commands import robustness as command
    from automix_cli.commands.requests import RobustnessRequest
    from automix_cli.settings.layering import Flag, Overrides

    flags = (
        Flag("--weights", "evaluation.weights", weights),
        Flag("--data-dir", "data.dir", data_dir),
        Flag("--batch-size", "evaluation.batch_size", batch_size),
        Flag("--device", "run.device", device),
    )
    overrides = Overrides(
        flags=tuple(flag for flag in flags if flag.value is not None), sets=tuple(sets or ())
    )
    request = RobustnessRequest(
        run=run,
        checkpoints=tuple(checkpoint or ()),
        attacks=tuple(attack or ()),
        epsilons=tuple(epsilon or ()),
        norm=norm,
        steps=steps,
        step_size=step_size,
        restarts=restarts,
        momentum=momentum,
        targeted=targeted,
        unknown=tuple(ood or ()),
        parts=tuple(only or ()),
        quick=quick,
        seed=seed,
        output_dir=output_dir,
        as_json=as_json,
    )
    command.run(overrides, request)
