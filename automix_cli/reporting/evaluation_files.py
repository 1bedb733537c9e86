"""The files of an evaluation.

```text
FOLDER/
  evaluation.json          every number, as `--json` writes it
  reliability.png  .svg    accuracy against confidence
  confidence.png  .svg     how many images have which confidence
  confusion.csv            rows: true classes, columns: what they are taken for
  mixed.png  .svg          with `--mixed`
  localization.png  .svg   with `--localization`: some images, their boxes and maps
```
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from automix_cli.errors import SettingsError
from automix_cli.reporting.calibration_figures import (
    confidence_histogram,
    mixed_figure,
    reliability_diagram,
)
from automix_cli.reporting.figures import save_figure
from automix_cli.reporting.localization_figure import LocatedRow, localization_figure
from automix_cli.reporting.records import write_json, write_text


def report_folder(folder: Path) -> Path:
    """Make the folder of a report, or take the one that is there; its files are replaced.

    Raises:
        SettingsError: it cannot be made, or nothing can be written into it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # rights alone do not say it: disks fill up
            pass
    except OSError as problem:
        raise SettingsError(
            f"cannot write a report into the folder `{folder}`: {problem}",
            hint="choose another with `--output-dir`",
        ) from problem
    return folder


def write_evaluation(
    folder: Path, content: Mapping[str, Any], located: Sequence[LocatedRow] = ()
) -> Path:
    """Write numbers and figures of an evaluation with one head.

    Args:
        folder: Where.
        content: The numbers.
        located: Images to draw with their boxes.

    Raises:
        SettingsError: the folder cannot be made.
    """
    report_folder(folder)
    ((_, row),) = content["heads"].items()
    save_figure(reliability_diagram(row["calibration"]), folder / "reliability")
    save_figure(confidence_histogram(row["calibration"]), folder / "confidence")
    if "mixed" in row:
        save_figure(mixed_figure(row["mixed"]), folder / "mixed")
    if located:
        save_figure(localization_figure(located), folder / "localization")
    if row["confusion"] is not None:
        names = [each["name"] for each in row["classes"]]
        write_text(folder / "confusion.csv", confusion_csv(names, row["confusion"]))
    write_json(folder / "evaluation.json", content)
    return folder


def confusion_csv(names: list[str], confusion: list[list[int]]) -> str:
    """A table with the names of the classes on two sides."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["true \\ taken for", *names])
    writer.writerows([name, *row] for name, row in zip(names, confusion, strict=True))
    return text.getvalue()
