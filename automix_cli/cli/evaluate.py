"""`automix eval`: how good a trained classifier is."""
# pyright: strict

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from automix_cli.startup import quick_imports

if TYPE_CHECKING:
    from automix_cli.commands.requests.evaluate import LocalizationRequest

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

Corruptions = Annotated[
    str | None,
    typer.Option(
        "--corruptions",
        help="Measure on corrupted test images too: published ones in the data folder, else"
        " generated ones.",
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


def verify_first(folder: Path | None) -> None:
    """Compare a folder's files with the published ones, where one is named."""
    if folder is not None:
        from automix_cli.commands.corruption_verify import require_published

        require_published(folder)


def localization_request(
    boxes: Path | None, stage: int | None, *, wanted: bool
) -> "LocalizationRequest | None":
    """What is asked about localisation; naming boxes or a stage asks for it."""
    from automix_cli.commands.requests.evaluate import LocalizationRequest

    is_asked = wanted or boxes is not None or stage is not None
    return LocalizationRequest(boxes, stage) if is_asked else None


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

    Of a run of `automix detect` it measures the AP, on the images and annotations
    that `--set detection.test=FILE` and `detection.test_images` name.

    Examples:
    $ automix eval
    $ automix eval runs/mine --mixed -o report
    $ automix eval runs/mine --weights classifier --json
    $ automix eval --checkpoint best.pt --data-dir ~/data
    $ automix eval runs/mine --corruptions cifar-c
    $ automix eval runs/birds --localization -o report
    $ automix eval runs/detector --set detection.test=other.json -o report
    """
    with quick_imports():
        from automix_cli.commands import evaluate as command
    from automix_cli.commands.requests.corruptions import CorruptedEvaluation
    from automix_cli.commands.requests.evaluate import EvaluateRequest

    overrides = overrides_of(
        TRAINED, sets, weights=weights, data_dir=data_dir, batch_size=batch_size, device=device
    )
    corrupted = corruptions and CorruptedEvaluation(
        corruptions, corruptions_dir, frost_dir, corruptions_limit, baseline, output_dir
    )
    verify_first(verify_cifar_c)
    request = EvaluateRequest(
        run=run,
        checkpoint=checkpoint,
        print_config=print_config,
        as_json=as_json,
        num_bins=bins,
        mixed=mixed,
        mixed_by=tuple(mixed_by or ()),
        output_dir=output_dir,
        corruptions=corrupted or None,
        localization=localization_request(boxes, cam_stage, wanted=localization),
    )
    command.run(overrides, request)
