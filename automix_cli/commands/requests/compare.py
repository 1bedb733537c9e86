"""What a person asks of `automix compare` besides settings: plain data, free of torch."""

from dataclasses import dataclass
from pathlib import Path


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
