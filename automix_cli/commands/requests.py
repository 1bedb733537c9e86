"""What a person asks of a command besides settings: where to start, what to show.

Plain data, so that the command line can fill it in without importing the command.
"""

from dataclasses import dataclass
from pathlib import Path

from automix_cli.commands.corruption_requests import CorruptedEvaluation


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
        corruptions: What to measure on corrupted images, or None.
    """

    run: Path | None = None
    checkpoint: Path | None = None
    print_config: bool = False
    as_json: bool = False
    corruptions: CorruptedEvaluation | None = None


@dataclass(frozen=True)
class CompareRequest:
    """What `automix compare` is asked for.

    Args:
        runs: Run folders, or folders of them, to tabulate; none trains what is missing.
        methods: Names of methods, separated by commas; None for the usual ones.
        seeds: Whole numbers, separated by commas; None for the usual ones.
        variants: `NAME: KEY=VALUE, ...` texts, each a row of its own.
        folder: Where the runs and the tables go; None for the usual place, or, for existing
            runs, nowhere.
        launcher: What starts a training instead of this Python, such as `torchrun`.
        as_json: Write the result to stdout as JSON.
    """

    runs: tuple[Path, ...] = ()
    methods: str | None = None
    seeds: str | None = None
    variants: tuple[str, ...] = ()
    folder: Path | None = None
    launcher: str | None = None
    as_json: bool = False
