"""What a person asks of a command besides settings: where to start, what to show.

Plain data, so that the command line can fill it in without importing the command.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrainRequest:
    """What `automix train` is asked for.

    Args:
        resume: None starts a run; `newest` goes on with the newest; `auto` with the one in the
            output folder or the newest, and starts one if there is none; anything else is the
            path of a run folder or checkpoint.
        dry_run: Build everything, take two steps, say what a run would cost, write nothing.
        print_config: Show the settings with their origins, and do nothing else.
        as_json: Write the result to stdout as JSON.
    """

    resume: str | None = None
    dry_run: bool = False
    print_config: bool = False
    as_json: bool = False


@dataclass(frozen=True)
class EvaluateRequest:
    """What `automix eval` is asked for.

    Args:
        run: Run folder; None with no checkpoint means the newest finished run.
        checkpoint: Checkpoint file to evaluate instead of a run's own.
        print_config: Show the settings with their origins, and do nothing else.
        as_json: Write the result to stdout as JSON.
        num_bins: Bins of the calibration errors.
        mixed: Measure accuracy on mixed images too.
        output_dir: Folder for the numbers and the figures; None writes no files.
    """

    run: Path | None = None
    checkpoint: Path | None = None
    print_config: bool = False
    as_json: bool = False
    num_bins: int = 15
    mixed: bool = False
    output_dir: Path | None = None
