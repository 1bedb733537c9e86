"""The files of `automix visualize-masks`, page by page, and its tables.

```text
FOLDER/
  masks.json               every number, as `--json` writes it
  masks.png  .svg          pairs, masks and mixtures; masks-2.png, ... if a page is not enough
  maps.png  .svg           with `--maps`: what mix blocks look at; as many pages
  curves.png  .svg         area against ratio, entropy, total variation
  progress.png  .svg .gif  the masks of the training; see `masks.progress`
```
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from automix_cli.reporting.evaluation_files import report_folder
from automix_cli.reporting.figures import Background, save_figure
from automix_cli.reporting.mask_curves_figure import curves_figure
from automix_cli.reporting.mask_figure import PairBlock, mask_figure
from automix_cli.reporting.mask_maps_figure import MapsRow, maps_figure
from automix_cli.reporting.progress import say
from automix_cli.reporting.records import write_json
from automix_cli.reporting.tables import percent


class MaskFolder:
    """The folder that pages are written into as they come.

    Args:
        path: Of the folder; files that are there are replaced.
        background: Of all figures.

    Raises:
        SettingsError: the folder cannot be made.
    """

    def __init__(self, path: Path, background: Background) -> None:
        self.path = report_folder(path)
        self.background: Background = background
        self.num_pages = 0
        self._num_maps = 0

    def add_page(self, blocks: Sequence[PairBlock]) -> None:
        """Write a page of pairs."""
        self.num_pages += 1
        figure = mask_figure(blocks, background=self.background)
        save_figure(figure, self._stem("masks", self.num_pages), background=self.background)

    def add_maps(self, rows: Sequence[MapsRow]) -> None:
        """Write a page of maps."""
        self._num_maps += 1
        figure = maps_figure(rows, background=self.background)
        save_figure(figure, self._stem("maps", self._num_maps), background=self.background)

    def finish(self, content: Mapping[str, Any]) -> None:
        """Write the curves and the numbers."""
        figure = curves_figure(content["methods"], background=self.background)
        save_figure(figure, self.path / "curves", background=self.background)
        write_json(self.path / "masks.json", content)
        say(f"wrote {self.num_pages} page(s), curves and masks.json to {self.path}")

    def _stem(self, name: str, number: int) -> Path:
        return self.path / (name if number == 1 else f"{name}-{number}")


def progress_table(content: Mapping[str, Any]) -> Table:
    """One row a moment of the training: what its masks look like."""
    table = Table(title=f"Masks of {content['method']} in training", title_justify="left")
    for column in ("epoch", "area", "entropy", "variation"):
        table.add_column(column, justify="right")
    for each in content["epochs"]:
        areas = [f"{area:.2f}" for area in (min(each["areas"]), max(each["areas"]))]
        area = f"{each['area_mean']:.2f} ({areas[0]} to {areas[1]})"
        variation = f"{each['total_variation']:.2f}"
        table.add_row(str(each["epoch"]), area, f"{each['entropy']:.3f}", variation)
    table.caption = (
        f"of {len(content['pairs'])} pairs at ratio {content['ratio']}: mean area (least to most), "
        "entropy in bits a pixel, total variation in sides of the picture"
    )
    table.caption_justify = "left"
    return table


def mask_tables(content: Mapping[str, Any]) -> list[Table]:
    """One row a method: how far areas are from ratios, and what masks look like at 0.5."""
    table = Table(title="Masks", title_justify="left")
    table.add_column("method")
    for column in ("pairs", "area at 0.5", "|area - lam|", "entropy", "variation"):
        table.add_column(column, justify="right")
    table.add_column("falls back", justify="right")
    for name, record in content["methods"].items():
        half = next(each for each in record["curve"] if each["ratio"] == 0.5)
        if record["has_masks"]:
            error = f"{record['area_error']:.3f}" if "area_error" in record else "-"
            spread = f"{half['area_mean']:.2f} +- {half['area_std']:.2f}"
            numbers = [spread, error, f"{half['entropy']:.3f}", f"{half['total_variation']:.2f}"]
        else:
            numbers = ["no mask", "-", "-", "-"]
        share = percent(record["fall_back"]["share"]) if "fall_back" in record else "-"
        table.add_row(name, str(record["num_pairs"]), *numbers, share)
    table.caption = (
        "|area - lam|: distance of the mean area from the ratio, over all ratios; "
        "entropy in bits a pixel and total variation in sides of the picture, at ratio 0.5; falls "
        "back: training mixtures that are linear because their ratio is extreme"
    )
    table.caption_justify = "left"
    return [table]
