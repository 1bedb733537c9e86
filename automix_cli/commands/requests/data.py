"""What a person asks of `automix data ...` besides settings: plain data, free of torch."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DataCheckRequest:
    """What `automix data check` is asked for.

    Args:
        directory: Folder of the images, or of the data sets when `name` is given.
        name: A data set by name; None means a person's own folder, or table if `csv` is given.
        csv: Table of paths and labels.
        workers: Threads that read images; None means one for each core.
        strict: End with an error if anything is found.
        as_json: Write the result to stdout as JSON.
    """

    directory: Path | None = None
    name: str | None = None
    csv: Path | None = None
    workers: int | None = None
    strict: bool = False
    as_json: bool = False


@dataclass(frozen=True)
class DataBenchRequest:
    """What `automix data bench` is asked for.

    Args:
        rounds: How often each thing is measured.
        steps: Batches in each of the pipeline's rounds.
        against_torchvision: Measure a torchvision DataLoader that does the same, too.
        as_json: Write the result to stdout as JSON.
    """

    rounds: int = 5
    steps: int = 20
    against_torchvision: bool = False
    as_json: bool = False
