"""The files of a robustness report: `robustness.json`, and one page of plots as PNG and SVG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from automix_cli.reporting.evaluation_files import report_folder
from automix_cli.reporting.figures import save_figure
from automix_cli.reporting.records import write_json
from automix_cli.reporting.robustness_figure import robustness_figure


def write_robustness(folder: Path, content: Mapping[str, Any]) -> Path:
    """Write the report; one that is there is replaced.

    Raises:
        SettingsError: the folder cannot be made.
    """
    report_folder(folder)
    save_figure(robustness_figure(content), folder / "robustness")
    write_json(folder / "robustness.json", content)
    return folder
