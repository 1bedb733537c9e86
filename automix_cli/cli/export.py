"""`automix export`."""
# pyright: strict

from pathlib import Path
from typing import Annotated

import typer

from automix_cli.cli.options import (
    TRAINED,
    Checkpoint,
    DataDir,
    Json,
    Run,
    Set,
    Weights,
    overrides_of,
)
from automix_cli.startup import quick_imports

Format = Annotated[
    str,
    typer.Option("--format", help="What to write.", metavar="onnx|torch-export|safetensors|timm"),
]
Normalize = Annotated[
    bool,
    typer.Option(
        "--normalize/--no-normalize",
        help="Put mean and standard deviation inside: images come in [0, 1].",
    ),
]
Softmax = Annotated[bool, typer.Option("--softmax", help="Give probabilities instead of logits.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="File (default: beside the weights).", metavar="FILE"),
]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that exists.")]
Opset = Annotated[int, typer.Option(help="Version of ONNX's operators.")]
VerifyImages = Annotated[int, typer.Option(help="Test images to compare before and after.", min=7)]

License = Annotated[
    str | None,
    typer.Option(
        "--license",
        help="Licence of the weights for the model card, such as apache-2.0 (default: unknown).",
        metavar="ID",
    ),
]
PushToHub = Annotated[
    str | None,
    typer.Option(
        "--push-to-hub",
        help="Upload the file and its model card to the Hugging Face Hub.",
        metavar="OWNER/NAME",
    ),
]
Private = Annotated[bool, typer.Option("--private", help="If a repository is made, a private one.")]


def export(  # noqa: PLR0913 - Typer reads the flags from the signature
    *,
    run: Run = None,
    checkpoint: Checkpoint = None,
    file_format: Format = "onnx",
    weights: Weights = None,
    normalize: Normalize = False,
    softmax: Softmax = False,
    output: Output = None,
    force: Force = False,
    opset: Opset = 18,
    verify_images: VerifyImages = 256,
    licence: License = None,
    push_to_hub: PushToHub = None,
    private: Private = False,
    sets: Set = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Write a trained classifier for other programs, and prove that the file is that classifier.

    It is loaded in a fresh process and compared; a file that says anything else is not left behind.
    A model card (`README.md`) is written beside it.

    Examples:
    $ automix export
    $ automix export runs/mine --normalize --softmax -o classifier.onnx
    $ automix export runs/mine --format timm --weights classifier
    $ automix export --checkpoint best.pt --format torch-export --data-dir ~/data
    $ automix export runs/mine --format timm --license apache-2.0 --push-to-hub me/my-model
    """
    with quick_imports():
        from automix_cli.commands import export as command
    from automix_cli.commands.requests.export import ExportRequest

    overrides = overrides_of(TRAINED, sets, weights=weights, data_dir=data_dir)
    request = ExportRequest(
        run=run,
        checkpoint=checkpoint,
        format=file_format,
        normalize=normalize,
        softmax=softmax,
        output=output,
        force=force,
        opset=opset,
        verify_images=verify_images,
        license=licence,
        hub_repo=push_to_hub,
        private=private,
        as_json=as_json,
    )
    command.run(overrides, request)
