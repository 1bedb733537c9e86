"""`automix eval`: how good a trained classifier is."""
# pyright: strict

from pathlib import Path
from typing import Annotated

import typer

from automix_cli.cli.options import (
    TRAINED,
    BatchSize,
    Checkpoint,
    DataDir,
    Device,
    FrostDir,
    Json,
    PrintConfig,
    ReportDir,
    Run,
    Set,
    Weights,
    overrides_of,
)

Bins = Annotated[int, typer.Option(help="Bins of the calibration errors.", min=1)]
Mixed = Annotated[bool, typer.Option("--mixed", help="Measure accuracy on mixed images too.")]

Corruptions = Annotated[
    str | None,
    typer.Option(
        "--corruptions",
        help="Measure on corrupted test images too: published ones in the data folder, for CIFAR"
        " else generated ones.",
        metavar="cifar-c|imagenet-c|tiny-imagenet-c",
    ),
]
CorruptionsDir = Annotated[
    Path | None, typer.Option(help="Folder of the corrupted images.", metavar="FOLDER")
]
CorruptionsLimit = Annotated[
    int | None,
    typer.Option(help="Only so many images of each corruption and severity.", metavar="N"),
]
Baseline = Annotated[
    Path | None,
    typer.Option(
        help="Relate corruption errors to those of another evaluation (mCE); on imagenet-c also"
        " `alexnet`.",
        metavar="JSON",
    ),
]
VerifyCifarC = Annotated[
    Path | None,
    typer.Option(
        "--verify-cifar-c",
        help="First compare a folder's files with the published ones, as `automix corruptions"
        " verify` does.",
        metavar="FOLDER",
    ),
]


def evaluate(  # noqa: PLR0913 - Typer reads the flags from the signature
    *,
    run: Run = None,
    checkpoint: Checkpoint = None,
    weights: Weights = None,
    bins: Bins = 15,
    mixed: Mixed = False,
    output_dir: ReportDir = None,
    sets: Set = None,
    data_dir: DataDir = None,
    batch_size: BatchSize = None,
    device: Device = None,
    corruptions: Corruptions = None,
    corruptions_dir: CorruptionsDir = None,
    corruptions_limit: CorruptionsLimit = None,
    frost_dir: FrostDir = None,
    baseline: Baseline = None,
    verify_cifar_c: VerifyCifarC = None,
    print_config: PrintConfig = False,
    as_json: Json = False,
) -> None:
    """Evaluate a trained classifier on its test set: accuracy, likelihood and calibration.

    Examples:
    $ automix eval
    $ automix eval runs/mine --mixed -o report
    $ automix eval runs/mine --weights classifier --json
    $ automix eval --checkpoint best.pt --data-dir ~/data
    $ automix eval runs/mine --corruptions cifar-c
    """
    from automix_cli.commands import evaluate as command
    from automix_cli.commands.corruption_requests import CorruptedEvaluation
    from automix_cli.commands.requests import EvaluateRequest

    overrides = overrides_of(
        TRAINED, sets, weights=weights, data_dir=data_dir, batch_size=batch_size, device=device
    )
    corrupted = None
    if corruptions is not None:
        corrupted = CorruptedEvaluation(
            corruptions, corruptions_dir, frost_dir, corruptions_limit, baseline, output_dir
        )
    if verify_cifar_c is not None:
        from automix_cli.commands.corruption_verify import require_published

        require_published(verify_cifar_c)
    request = EvaluateRequest(
        run=run,
        checkpoint=checkpoint,
        print_config=print_config,
        as_json=as_json,
        num_bins=bins,
        mixed=mixed,
        output_dir=output_dir,
        corruptions=corrupted,
    )
    command.run(overrides, request)
