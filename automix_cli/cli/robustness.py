"""`automix robustness`."""
# pyright: strict

from typing import Annotated

import typer

from automix_cli.cli.options import (
    TRAINED,
    BatchSize,
    Checkpoints,
    DataDir,
    Device,
    DrawSeed,
    Json,
    ReportDir,
    Run,
    Set,
    Weights,
    overrides_of,
)
from automix_cli.startup import quick_imports

Attacks = Annotated[
    list[str] | None,
    typer.Option(
        help="Attack to run; repeatable (default: fgsm and pgd).",
        metavar="fgsm|pgd|mifgsm|autoattack",
    ),
]
Epsilons = Annotated[
    list[str] | None,
    typer.Option(
        help="Largest change, in units of the pixel range; repeatable (default: 2/255, 4/255 and"
        " 8/255).",
        metavar="8/255|0.03",
    ),
]
Norm = Annotated[str, typer.Option(help="How a change is measured.", metavar="linf|l2")]
Steps = Annotated[int, typer.Option(help="Gradient steps of pgd and mifgsm.")]
StepSize = Annotated[
    str | None,
    typer.Option(help="Size of a step (default: a fourth of epsilon).", metavar="2/255|0.01"),
]
Restarts = Annotated[int, typer.Option(help="Random starts of pgd.")]
Momentum = Annotated[float, typer.Option(help="Momentum of mifgsm.")]
Targeted = Annotated[bool, typer.Option("--targeted", help="Attack towards a random other class.")]
Unknown = Annotated[
    list[str] | None,
    typer.Option(
        help="Data set, or folder of images, that is unknown to the network; repeatable (default:"
        " noise and digits).",
        metavar="noise|DATASET|FOLDER",
    ),
]
Parts = Annotated[
    list[str] | None,
    typer.Option(
        help="Measure this part only; repeatable.", metavar="attacks|masking|unknown|occlusion"
    ),
]
Quick = Annotated[
    int | None,
    typer.Option(help="Take so many test images, the same share of each class.", min=1),
]


def robustness(  # noqa: PLR0913 - Typer reads the flags from the signature
    *,
    run: Run = None,
    checkpoint: Checkpoints = None,
    attack: Attacks = None,
    epsilon: Epsilons = None,
    norm: Norm = "linf",
    steps: Steps = 10,
    step_size: StepSize = None,
    restarts: Restarts = 1,
    momentum: Momentum = 1.0,
    targeted: Targeted = False,
    ood: Unknown = None,
    only: Parts = None,
    quick: Quick = None,
    seed: DrawSeed = 0,
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
    $ automix robustness runs/mine --only unknown --ood ~/photographs
    $ automix robustness runs/mine --attack autoattack --norm l2 --epsilon 0.5 --quick 200
    """
    with quick_imports():
        from automix_cli.commands import robustness as command
    from automix_cli.commands.requests.robustness import AttackRequest, RobustnessRequest

    names, epsilons = tuple(attack or ()), tuple(epsilon or ())
    request = RobustnessRequest(
        run,
        tuple(checkpoint or ()),
        AttackRequest(names, epsilons, norm, steps, step_size, restarts, momentum, targeted),
        unknown=tuple(ood or ()),
        parts=tuple(only or ()),
        quick=quick,
        seed=seed,
        output_dir=output_dir,
        as_json=as_json,
    )
    overrides = overrides_of(
        TRAINED, sets, weights=weights, data_dir=data_dir, batch_size=batch_size, device=device
    )
    command.run(overrides, request)
