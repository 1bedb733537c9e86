"""What a person asks of the commands about corrupted images besides settings.

Plain data, so that the command line can fill it in without importing the commands.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CorruptionsRequest:
    """What `automix corruptions make` is asked for.

    Args:
        folder: Where the files are written; None is a folder of its own in the data folder.
        suite: `cifar-c`, `imagenet-c` or `tiny-imagenet-c`.
        corruptions: Names; none means all.
        severities: From 1 to 5.
        seed: Seed of all draws.
        fast: Compute in float32: values within one level.
        frost_dir: Folder of the frost photographs.
        force: Replace files that are there.
        as_json: Write the result to stdout as JSON.
    """

    folder: Path | None = None
    suite: str = "cifar-c"
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
        suite: Name of the set of corrupted images: `cifar-c`, `imagenet-c` or `tiny-imagenet-c`.
        folder: Folder of the corrupted images; None looks in the data folder, and makes them there
            when they are not there.
        frost_dir: Folder of the frost photographs.
        limit: Measure on so many images of each corruption and severity, the first ones.
        baseline: Record of another classifier, to which the errors are related, or `alexnet`.
        report_dir: Where record and heat map are written; None is beside the checkpoint.
    """

    suite: str
    folder: Path | None = None
    frost_dir: Path | None = None
    limit: int | None = None
    baseline: Path | None = None
    report_dir: Path | None = None
