"""`automix data voc-to-coco`: Pascal VOC's annotations as COCO's format."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from automix_cli.data.voc import coco_of_voc, folder_of
from automix_cli.errors import DataError
from automix_cli.reporting import records
from automix_cli.reporting.progress import say


def run(directory: Path, test_share: float, *, as_json: bool) -> None:
    """Write `train.json` and `test.json` into the folder.

    Raises:
        DataError: it is not VOC's layout, or cannot be written to.
    """
    parts = coco_of_voc(directory, test_share)
    images = folder_of(directory, "images").name
    try:
        for part, content in parts.items():
            records.write_text(directory / f"{part}.json", json.dumps(content) + "\n")
    except OSError as problem:
        raise DataError(f"cannot write to `{directory}`: {problem}") from problem
    facts = {
        part: {name: len(content[name]) for name in ("images", "annotations", "categories")}
        for part, content in parts.items()
    }
    if as_json:
        sys.stdout.write(json.dumps({"directory": str(directory), **facts}, indent=2) + "\n")
        return
    for part, counts in facts.items():
        listed = ", ".join(f"{number:,} {name}" for name, number in counts.items())
        sys.stdout.write(f"{directory / f'{part}.json'}: {listed}\n")
    sets = {
        "train": "train.json",
        "test": "test.json",
        "train_images": images,
        "test_images": images,
    }
    given = " ".join(f"--set detection.{name}={value}" for name, value in sets.items())
    say(f"next: automix detect --data-dir {directory} {given}")
