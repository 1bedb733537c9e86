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
        corruptions: What to measure on corrupted images, or None.
    """

    run: Path | None = None
    checkpoint: Path | None = None
    print_config: bool = False
    as_json: bool = False
    corruptions: "CorruptedEvaluation | None" = None


@dataclass(frozen=True)
class CorruptionsRequest:
    """What `automix corruptions make` is asked for.

    Args:
        folder: Where the files are written; None is a folder of its own under the data folder.
        corruptions: Names; none means all.
        severities: From 1 to 5.
        seed: Seed of all draws.
        fast: Compute in float32: values within one level.
        frost_dir: Folder of the frost photographs.
        force: Replace files that are there.
        as_json: Write the result to stdout as JSON.
    """

    folder: Path | None = None
    corruptions: tuple[str, ...] = ()
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    seed: int = 0
    fast: bool = False
    frost_dir: Path | None = None
    force: bool = False
    as_json: bool = False


@dataclass(frozen=True)
class CorruptedEvaluation:
    """What `automix eval --corruptions` is asked for.

    Args:
        suite: Name of the set of corruptions: `cifar-c`.
        folder: Folder of the corrupted images; None looks in the data folder, and makes them there
            when they are not there.
        frost_dir: Folder of the frost photographs.
        limit: Measure on so many images of each corruption and severity, the first ones.
        baseline: Record of another classifier, to which the errors are related.
        report_dir: Where record and heat map are written; None is beside the checkpoint.
    """

    suite: str
    folder: Path | None = None
    frost_dir: Path | None = None
    limit: int | None = None
    baseline: Path | None = None
    report_dir: Path | None = None
