"""`automix visualize-masks`."""
# pyright: strict

from pathlib import Path
from typing import Annotated

import typer

from automix_cli.cli.options import (
    TRAINED,
    Checkpoints,
    DataDir,
    Device,
    DrawSeed,
    Json,
    ReportDir,
    Run,
    Set,
    overrides_of,
)
from automix_cli.startup import quick_imports

Methods = Annotated[
    str | None,
    typer.Option(
        help="Methods to show on the same pairs (default: what the checkpoint was trained with).",
        metavar="NAME,NAME,...",
    ),
]
Images = Annotated[
    list[Path] | None,
    typer.Option(
        help="Image files to pair, in order; any size, two for each pair.", metavar="FILE FILE ..."
    ),
]
Indices = Annotated[
    str | None,
    typer.Option(help="Test images to pair, in order, counted from 0.", metavar="N,N,..."),
]
Classes = Annotated[
    str | None,
    typer.Option(
        help="Draw pairs from these classes; of two, the first images from one and the second from"
        " the other.",
        metavar="NAME,NAME,...",
    ),
]
NumPairs = Annotated[int, typer.Option("--pairs", help="How many pairs to draw.", min=1)]
Ratios = Annotated[
    str, typer.Option(help="Shares of the first image, in [0, 1].", metavar="LAM,LAM,...")
]
Background = Annotated[str, typer.Option(help="What to draw on.", metavar="light|dark")]
Maps = Annotated[
    bool, typer.Option("--maps", help="Draw what the mix block makes its masks of, too.")
]

Progress = Annotated[
    bool,
    typer.Option(
        "--progress",
        help="Instead, draw the masks that a run kept while it trained, finished or not.",
    ),
]


def visualize_masks(  # noqa: PLR0913 - Typer reads the flags from the signature
    *,
    run: Run = None,
    checkpoint: Checkpoints = None,
    methods: Methods = None,
    images: Images = None,
    indices: Indices = None,
    classes: Classes = None,
    pairs: NumPairs = 4,
    ratios: Ratios = "0,0.3,0.5,0.7,1",
    seed: DrawSeed = 0,
    background: Background = "light",
    maps: Maps = False,
    progress: Progress = False,
    sets: Set = None,
    data_dir: DataDir = None,
    device: Device = None,
    output_dir: ReportDir = None,
    as_json: Json = False,
) -> None:
    """Draw what methods make of pairs of images, and measure their masks.

    Examples:
    $ automix visualize-masks
    $ automix visualize-masks runs/mine --methods mixup,cutmix,automix --maps
    $ automix visualize-masks runs/mine --images a.jpg b.jpg --background dark
    $ automix visualize-masks runs/mine --classes cat,dog --pairs 12 -o cats
    $ automix visualize-masks --checkpoint runs/automix --checkpoint runs/samix --indices 3,17
    $ automix visualize-masks runs/mine --progress --background dark
    """
    with quick_imports():
        from automix_cli.commands import visualize_masks as command
    from automix_cli.commands.requests.visualize_masks import MasksRequest, PairsRequest

    request = MasksRequest(
        run,
        tuple(checkpoint or ()),
        methods,
        PairsRequest(tuple(images or ()), indices, classes, pairs, seed),
        ratios=ratios,
        background=background,
        maps=maps,
        progress=progress,
        output_dir=output_dir,
        as_json=as_json,
    )
    overrides = overrides_of(TRAINED, sets, data_dir=data_dir, device=device)
    command.run(overrides, request)
