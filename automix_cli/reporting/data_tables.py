"""Tables about a data set: its classes, its sizes, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

from rich.table import Table

MOST_CLASSES = 30
"""Classes that are listed one by one; of more, the smallest and the largest are."""

MOST_FINDINGS = 20
"""Findings that are listed; the rest are counted, and in the JSON."""


class PartNumbers(Protocol):
    """One part of a data set in numbers."""

    @property
    def num_images(self) -> int:
        """All images that are listed."""
        ...

    @property
    def classes(self) -> Mapping[str, int]:
        """Number of images of each class."""
        ...

    @property
    def width(self) -> tuple[float, float, float] | None:
        """Least, median and largest width."""
        ...

    @property
    def height(self) -> tuple[float, float, float] | None:
        """Least, median and largest height."""
        ...

    @property
    def modes(self) -> Mapping[str, int]:
        """Number of images of each kind of pixels."""
        ...


class FindingText(Protocol):
    """One thing that is wrong."""

    @property
    def kind(self) -> str:
        """What kind of thing."""
        ...

    @property
    def part(self) -> str:
        """In which part."""
        ...

    @property
    def path(self) -> str:
        """Which file or class."""
        ...

    @property
    def detail(self) -> str:
        """What is wrong, in words."""
        ...


def check_tables(parts: Mapping[str, PartNumbers], findings: Sequence[FindingText]) -> list[Table]:
    """Show a check: the parts, their classes, and what was found."""
    return [_parts_table(parts), _classes_table(parts), _findings_table(findings)]


def _parts_table(parts: Mapping[str, PartNumbers]) -> Table:
    table = Table(title="Images", title_justify="left")
    table.add_column("part")
    for column in ("images", "classes", "width", "height", "pixels"):
        table.add_column(column, justify="right")
    for name, part in parts.items():
        table.add_row(
            name,
            f"{part.num_images:,}",
            f"{sum(count > 0 for count in part.classes.values()):,}",
            _spread(part.width),
            _spread(part.height),
            ", ".join(f"{mode} {count:,}" for mode, count in part.modes.items()),
        )
    table.caption = "width and height: least, median, largest"
    table.caption_justify = "left"
    return table


def _spread(values: tuple[float, float, float] | None) -> str:
    return "-" if values is None else " / ".join(f"{value:g}" for value in values)


def _classes_table(parts: Mapping[str, PartNumbers]) -> Table:
    names = list(parts["train"].classes)
    table = Table(title="Images of each class", title_justify="left")
    table.add_column("class")
    for part in parts:
        table.add_column(part, justify="right")
    shown = names
    if len(names) > MOST_CLASSES:
        by_size = sorted(names, key=lambda name: parts["train"].classes[name])
        half = MOST_CLASSES // 2
        shown = by_size[:half] + by_size[-half:]
        table.caption = f"the {half} smallest and {half} largest of {len(names):,}; --json has all"
        table.caption_justify = "left"
    for name in shown:
        counts = [f"{part.classes[name]:,}" for part in parts.values()]
        table.add_row(name, *counts)
    return table


def _findings_table(findings: Sequence[FindingText]) -> Table:
    if not findings:
        table = Table(title="Findings", title_justify="left", show_header=False)
        table.add_row("none: every image can be read, and none is in two parts")
        return table
    kinds = Counter(finding.kind for finding in findings)
    counted = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
    table = Table(title=f"Findings: {counted}", title_justify="left")
    for column in ("kind", "part", "file or class", "what"):
        table.add_column(column, overflow="fold")
    for finding in findings[:MOST_FINDINGS]:
        cells = (finding.kind, finding.part, finding.path, finding.detail)
        table.add_row(*cells)
    if len(findings) > MOST_FINDINGS:
        table.caption = f"and {len(findings) - MOST_FINDINGS:,} more; --json has all"
        table.caption_justify = "left"
    return table
