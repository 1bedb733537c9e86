"""What a person asks of the commands that write a classifier for others, or take one over.

Plain data, so that the command line can fill it in without importing the command.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ExportRequest:
    """What `automix export` is asked for.

    Args:
        run: Run folder; None with no checkpoint means the newest finished run.
        checkpoint: Checkpoint file to export instead of a run's own.
        format: Name of the format.
        normalize: Put mean and standard deviation inside.
        softmax: Give probabilities instead of logits.
        output: The file; None for one beside the checkpoint.
        force: Replace a file that exists.
        opset: Version of ONNX's operators.
        verify_images: Test images to compare before and after.
        license: Of the weights, as the Hub names licences; None: unknown.
        hub_repo: Where to upload file and card; None: nowhere.
        private: Make that repository private.
        as_json: Write the result to stdout as JSON.
    """

    run: Path | None = None
    checkpoint: Path | None = None
    format: str = "onnx"
    normalize: bool = False
    softmax: bool = False
    output: Path | None = None
    force: bool = False
    opset: int = 18
    verify_images: int = 256
    license: str | None = None
    hub_repo: str | None = None
    private: bool = False
    as_json: bool = False


@dataclass(frozen=True)
class ImportRequest:
    """What `automix import-openmixup` is asked for.

    Args:
        file: Of the reference.
        output: The checkpoint; None for one beside `file`.
        force: Replace a file that exists.
        as_json: Write the result to stdout as JSON.
    """

    file: Path
    output: Path | None = None
    force: bool = False
    as_json: bool = False
