"""Tables about corrupted images: accuracies, generated files, verified files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from rich.table import Table

from automix_cli.reporting.corruption_figure import heading

MEAN_LABELS = {
    "noise": "mean, noise",
    "blur": "mean, blur",
    "weather": "mean, weather",
    "digital": "mean, digital",
    "extra": "mean, extra",
    "mean15": "mean of the 15",
    "mean19": "mean of the 19",
}


def corruption_table(record: Mapping[str, Any]) -> Table:
    """Top-1 accuracy in percent by corruption and severity, and every mean.

    Args:
        record: What `automix eval --corruptions` writes.
    """
    table = Table(title="\n".join(heading(record)), title_justify="left")
    table.add_column("corruption")
    for severity in record["severities"]:
        table.add_column(f"s{severity}", justify="right")
    table.add_column("mean", justify="right")
    group = None
    for name, row in record["corruptions"].items():
        if group not in {None, row["group"]}:
            table.add_section()
        group = row["group"]
        table.add_row(name, *map(_percent, row["top1"]), _percent(fmean(row["top1"])))
    table.add_section()
    blank = [""] * len(record["severities"])
    for key, label in MEAN_LABELS.items():
        mean = record["means"].get(key)
        if mean is None:
            continue
        total = len(mean["of"]) + len(mean["missing"])
        without = ", ".join(mean["missing"])
        note = f" ({len(mean['of'])} of {total}, without {without})" if without else ""
        style = "bold" if key.startswith("mean") else None
        table.add_row(label + note, *blank, _percent(mean["top1"]), style=style)
    table.caption = "\n".join(_conclusions(record))
    table.caption_justify = "left"
    return table


def _conclusions(record: Mapping[str, Any]) -> list[str]:
    lines = [
        f"clean / corrupted (19): {_percent(record['clean_top1'])} / "
        f"{_percent(record['corrupted_top1'])} % top-1{_of(record, 'mean19')}"
    ]
    if "mean15" in record["means"]:
        error = _percent(record["means"]["mean15"]["error"])
        without = _of(record, "mean15")
        lines.append(f"mean corruption error (15), not normalised: {error} %{without}")
    mce = record["mce"]
    if mce is not None:
        relative = mce["relative_mce"]
        shown = "not defined" if relative is None else f"{_percent(relative)} %"
        lines.append(
            f"mCE {_percent(mce['mce'])} %, relative mCE {shown}, over {len(mce['of'])}"
            f" corruptions; baseline {mce['baseline_checkpoint']}"
        )
    return lines


def _of(record: Mapping[str, Any], label: str) -> str:
    mean = record["means"][label]
    return f", without {', '.join(mean['missing'])}" if mean["missing"] else ""


def made_table(title: str, rows: Sequence[Mapping[str, Any]], caption: str) -> Table:
    """Parts of a generated set: checksum, verdict, processor time."""
    table = Table(title=title, title_justify="left")
    table.add_column("part")
    table.add_column("md5", no_wrap=True)
    table.add_column("verdict")
    table.add_column("ms", justify="right")
    for row in rows:
        milliseconds = row["milliseconds"]
        shown = "" if milliseconds is None else f"{milliseconds:.3f}"
        table.add_row(row["name"], row["md5"], row["verdict"], shown)
    table.caption = caption
    table.caption_justify = "left"
    return table


def verified_table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Files of a folder as compared with the published ones."""
    table = Table(title=title, title_justify="left")
    table.add_column("file")
    table.add_column("md5", no_wrap=True)
    table.add_column("verdict")
    for row in rows:
        table.add_row(row["name"], row["md5"] or "", row["verdict"])
    return table


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
