"""What a person asks of `automix eval` besides settings: plain data, free of torch."""

from dataclasses import dataclass
from pathlib import Path

from automix_cli.commands.requests.corruptions import CorruptedEvaluation


@dataclass(frozen=True)
class LocalizationRequest:
    """What `automix eval --localization` is asked for.

    Args:
        boxes: Table of boxes; None for those that are published with the data set.
        stage: Feature stage that Grad-CAM looks at; None for the last map.
    """

    boxes: Path | None = None
    stage: int | None = None


@dataclass(frozen=True)
class EvaluateRequest:
    """What `automix eval` is asked for.

    Args:
        run: Run folder; None with no checkpoint means the newest finished run.
        checkpoint: Checkpoint file to evaluate instead of a run's own.
        print_config: Show the settings with their origins, and do nothing else.
        as_json: Write the result to stdout as JSON.
        num_bins: Bins of the calibration errors.
        mixed: Measure accuracy on images mixed by the usual methods and the run's own too.
        mixed_by: Measure accuracy on images mixed by these methods too.
        output_dir: Folder for the numbers and the figures; None writes no files.
        corruptions: What to measure on corrupted images, or None.
        localization: How to measure whether objects are found, or None.
    """

    run: Path | None = None
    checkpoint: Path | None = None
    print_config: bool = False
    as_json: bool = False
    num_bins: int = 15
    mixed: bool = False
    mixed_by: tuple[str, ...] = ()
    output_dir: Path | None = None
    corruptions: CorruptedEvaluation | None = None
    localization: LocalizationRequest | None = None
