"""A run as its folder tells it, finished or not; nothing here is measured anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

Record = Mapping[str, Any]

DETECTOR = "detector"
"""What is judged of a run of `automix detect`, where others have heads."""

NOTHING = "-"
"""What stands in a table where there is no number."""


@dataclass(frozen=True)
class ReportedRun:
    """One run.

    Args:
        folder: Where it lies.
        label: What tables and figures call it.
        settings: Values by dotted key, without the unset ones.
        origins: Who set them, by the same keys; empty where that was not kept.
        sessions: Of `environment.json`, the first one first.
        records: Of `metrics.jsonl`, in order.
        summary: Of a finished run, else None.
        evaluation: What `automix eval` wrote of a classifier, or None.
        precision: What it wrote of a detector, or None.
        corruptions: What `automix eval --corruptions` wrote, by title of the images.
        robustness: What `automix robustness` wrote of this run's network, with what was common to
            all networks there; None where it was not measured.
        masks: What `automix visualize-masks` wrote, or None.
        mask_pages: Its pages as PNG files.
        boxes: The page of boxes that a detector's run or evaluation drew, as a PNG file, or None.
        mask_progress: The picture of the masks that training took, or None.
        can_resume: Whether there is a checkpoint to go on from.
        notes: What a reader must know of the files.
    """

    folder: Path
    label: str
    settings: Record
    origins: Mapping[str, str]
    sessions: Sequence[Record]
    records: Sequence[Record]
    summary: Record | None
    evaluation: Record | None = None
    precision: Record | None = None
    corruptions: Mapping[str, Record] = field(default_factory=dict)
    robustness: Record | None = None
    masks: Record | None = None
    mask_pages: Sequence[bytes] = ()
    boxes: bytes | None = None
    mask_progress: bytes | None = None
    can_resume: bool = False
    notes: Sequence[str] = ()

    @property
    def method(self) -> str:
        """How it mixes; of a run of `automix detect`, which mixes nothing, `detector`."""
        return DETECTOR if self.is_detector else str(self.settings.get("mix.method", "unknown"))

    @property
    def is_detector(self) -> bool:
        """Whether it learned to find boxes, instead of telling classes of images apart."""
        return self.settings.get("data.name") == "coco"

    @property
    def command(self) -> str:
        """What trained it."""
        return "automix detect" if self.is_detector else "automix train"

    @cached_property
    def training(self) -> list[Record]:
        """The records of training, which have losses, schedules and speed."""
        return [each for each in self.records if each.get("split") == "train"]

    def evaluations(self, split: str) -> list[Record]:
        """The records of one split that was evaluated during training."""
        return [each for each in self.records if each.get("split") == split]

    @property
    def stands_for(self) -> str:
        """The network and head that the run is judged by."""
        if self.summary is not None:
            return str(self.summary["stands_for"])
        if self.is_detector:
            return DETECTOR
        return f"{self.settings.get('evaluation.weights', 'momentum')}_one_hot"

    @property
    def step(self) -> int:
        """Steps that are written down."""
        return int(self.records[-1]["step"]) if self.records else 0

    @property
    def heads(self) -> dict[str, dict[str, Any]]:
        """The newest test numbers of every head, or of the detector; empty before there are any."""
        if self.summary is not None:
            return {name: dict(row) for name, row in self.summary["last"]["test"].items()}
        newest = (self.evaluations("test") or [{}])[-1]
        if self.is_detector:
            return {DETECTOR: dict(newest)} if newest else {}
        heads: dict[str, dict[str, Any]] = {}
        for name, value in newest.items():
            head, _, quantity = name.rpartition("/")
            if head:
                heads.setdefault(head, {})[quantity] = value
        return heads

    @property
    def judged(self) -> dict[str, Any]:
        """The test numbers of the network and head that it stands for, or nothing."""
        return self.heads.get(self.stands_for, {})


def labels_of(folders: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell runs apart."""
    parts = [folder.resolve().parts for folder in folders]
    longest = max(map(len, parts))
    for length in range(1, longest + 1):
        labels = ["/".join(each[-length:]) for each in parts]
        if len(set(labels)) == len(labels):
            return labels
    raise ValueError(f"wanted different folders, got {', '.join(map(str, folders))}")
