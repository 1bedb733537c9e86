"""What is asked of the data: which images, from where, and which of them."""

from dataclasses import dataclass
from pathlib import Path

LARGEST_UNASKED_GB = 20
"""A data set larger than that is not downloaded unless somebody asks for it."""


@dataclass(frozen=True)
class DataRequest:
    """Which images are wanted.

    Attributes:
        name: A data set of `catalogue.CATALOGUE` by name, or `folder` or `csv` for a
            person's own.
        directory: Where its folder lies or is put. `digits` and `csv` need none.
        download: Fetch what is missing; None: if that is no more than `LARGEST_UNASKED_GB`.
        mirror: Address that is asked before the official one, or None.
        csv: Table of paths and labels, for `csv`.
        holdout: Part of the training images to hold out, class by class, in [0, 1). They are the
            validation part; where a folder or a table has no test part, they are that.
        train_limit: How many of the remaining ones to train on, class by class; None: on all.
        image_size: Height and width that the network sees; None: the data set's own.

    Raises:
        ValueError: if `holdout` is out of range.
    """

    name: str
    directory: Path = Path("data")
    download: bool | None = False
    mirror: str | None = None
    csv: Path | None = None
    holdout: float = 0.0
    train_limit: int | None = None
    image_size: int | None = None

    def __post_init__(self) -> None:
        """Check the range and expand `~`, so that nobody below has to."""
        if not 0 <= self.holdout < 1:
            raise ValueError(f"holdout must be in [0, 1), got {self.holdout}")
        object.__setattr__(self, "directory", self.directory.expanduser())

    def may_download(self, num_gb: int = 0) -> bool:
        """Whether a data set of a size may come from the network."""
        return num_gb <= LARGEST_UNASKED_GB if self.download is None else self.download
