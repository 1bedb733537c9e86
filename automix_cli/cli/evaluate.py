"""`automix eval`: how good a trained classifier is."""
# pyright: strict

from pathlib import Path
from typing import Annotated

import typer

from automix_cli.cli.options import (
    Baseline,
    BatchSize,
    Corruptions,
    CorruptionsDir,
    CorruptionsLimit,
    DataDir,
    Device,
    FrostDir,
    Json,
    PrintConfig,
    ReportDir,
    Set,
    VerifyCifarC,
    Weights,
    overrides_of_trained,
)

Run = Annotated[
    Path | None,
    typer.Argument(help="Run folder (default: the newest finished run).", metavar="RUN"),
]
Checkpoint = Annotated[
    Path | None, typer.Option(help="Evaluate this file instead of a run.", metavar="FILE")
]
Bins = Annotated[int, typer.Option(help="Bins of the calibration errors.", min=1)]
Mixed = Annotated[
    bool,
    typer.Option(
        "--mixed", help="Measure accuracy on mixed images too: mixup, cutmix, and the run's own."
    ),
]
MixedBy = Annotated[
    list[str] | None,
    typer.Option(
        "--mixed-by",
        help="Measure accuracy on images mixed by this method; repeatable. AutoMix, SAMix and"
        " AdAutoMix need a checkpoint with their mix block.",
        metavar="METHOD",
    ),
]
Localization = Annotated[
    bool,
    typer.Option("--localization", help="Measure whether CAM and Grad-CAM find the object too."),
]
BoxList = Annotated[
    Path | None,
    typer.Option(
        "--boxes",
        help="Table of path,x,y,w,h, paths relative to the data folder; implies --localization."
        " cub200 has its own.",
        metavar="CSV",
    ),
]
CamStage = Annotated[
    int | None,
    typer.Option(
        help="Feature stage that Grad-CAM looks at (default: the last map); implies"
        " --localization.",
        metavar="STAGE",
    ),
]


def evaluate(  # noqa: PLR0913 - Typer reads the flags from the signature
    *,
    run: Run = None,
    checkpoint: Checkpoint = None,
    weights: Weights = None,
    bins: Bins = 15,
    mixed: Mixed = False,
    mixed_by: MixedBy = None,
    localization: Localization = False,
    boxes: BoxList = None,
    cam_stage: CamStage = None,
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
    $ automix eval runs/birds --localization -o report
    """
    from automix_cli.commands import evaluate as command
    from automix_cli.commands.corruption_requests import CorruptedEvaluation
    from automix_cli.commands.requests import EvaluateRequest, LocalizationRequest

    overrides = overrides_of_trained(
        weights=weights, data_dir=data_dir, batch_size=batch_size, device=device, sets=sets
    )
    corrupted = None
    if corruptions is not None:
        corrupted = CorruptedEvaluation(
            corruptions, corruptions_dir, frost_dir, corruptions_limit, baseline, output_dir
        )
    if verify_cifar_c is not None:
        from automix_cli.commands.corruption_verify import require_published

        require_published(verify_cifar_c)
    located = localization or boxes is not None or cam_stage is not None
    request = EvaluateRequest(
        run=run,
        checkpoint=checkpoint,
        print_config=print_config,
        as_json=as_json,
        num_bins=bins,
        mixed=mixed,
        mixed_by=tuple(mixed_by or ()),
        output_dir=output_dir,
        corruptions=corrupted,
        localization=LocalizationRequest(boxes, cam_stage) if located else None,
    )
    command.run(overrides, request)
