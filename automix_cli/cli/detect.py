"""`automix detect`: a detector on the backbone of a run."""
# pyright: strict

from typing import Annotated

import typer

from automix_cli.cli.options import (
    TRAINING,
    BatchSize,
    Config,
    DataDir,
    Device,
    DryRun,
    Epochs,
    Json,
    MixedPrecision,
    OutputDir,
    Preset,
    PrintConfig,
    Seed,
    Set,
    overrides_of,
)
from automix_cli.cli.train import Resume


def detect(  # noqa: PLR0913 - Typer reads the flags from the signature
    *,
    preset: Preset = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="Begin with the network of this run, or with `timm`'s weights, or those of a file"
            " (`automix settings model.init`).",
            metavar="RUN|FILE|timm[:TAG]",
        ),
    ] = None,
    config: Config = None,
    sets: Set = None,
    seed: Seed = None,
    output_dir: OutputDir = None,
    data_dir: DataDir = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    device: Device = None,
    mixed_precision: MixedPrecision = None,
    resume: Resume = None,
    dry_run: DryRun = False,
    print_config: PrintConfig = False,
    as_json: Json = False,
) -> None:
    """Train a detector (Faster R-CNN) on a backbone, and measure its AP.

    Images with boxes in COCO's format; `automix data voc-to-coco` makes it of
    Pascal VOC's. Settings are those of `[detection]` and as for `automix train`.

    Examples:
    $ automix detect --backbone runs/mine --data-dir ~/coco
    $ automix detect --backbone timm:tv_in1k --data-dir ~/coco
    $ automix detect --backbone runs/mine --data-dir ~/raccoons --set detection.train=train.json
    $ automix detect --resume
    $ automix eval runs/detector --set detection.test=other.json
    """
    from automix_cli.commands import detect as command
    from automix_cli.commands.requests.detect import DetectRequest

    overrides = overrides_of(
        TRAINING,
        sets,
        preset=preset,
        config=config,
        seed=seed,
        output_dir=output_dir,
        data_dir=data_dir,
        epochs=epochs,
        batch_size=batch_size,
        device=device,
        mixed_precision=mixed_precision,
    )
    request = DetectRequest(
        backbone=backbone,
        resume=resume,
        dry_run=dry_run,
        print_config=print_config,
        as_json=as_json,
    )
    command.run(overrides, request)
