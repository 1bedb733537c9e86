"""What a document is made of, whatever it is written as.

All text is plain: whoever writes it down escapes it, and it may come from anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from automix_cli.reporting.figures import Background

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


@dataclass(frozen=True)
class Paragraph:
    """A sentence or several; as a warning it is set apart."""

    text: str
    is_warning: bool = False


@dataclass(frozen=True)
class Commands:
    """Lines to type."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Numbers or words in rows; the first cell of a row is its name.

    Args:
        caption: What is in it.
        columns: Their names, the first one that of the rows' names.
        rows: As many cells each as there are columns.
        runs_from: The first column that is of a run and shows its colour; None: none is.
        code: Columns that hold what a person types.
        is_text: Whether the cells are words rather than numbers.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    runs_from: int | None = None
    code: tuple[int, ...] = ()
    is_text: bool = False


@dataclass(frozen=True)
class Figure:
    """A drawing.

    Args:
        name: Of its file; unlike any other of the document.
        title: Printed above it.
        alt: What it shows, for those who do not see it.
        draw: Gives it on a background.
        is_wide: Whether it can only be read at some width, so that small screens scroll in it.
    """

    name: str
    title: str
    alt: str
    draw: Callable[[Background], Drawing]
    is_wide: bool = False


@dataclass(frozen=True)
class Picture:
    """A PNG file that is there already; arguments as for `Figure`."""

    name: str
    title: str
    alt: str
    content: bytes


@dataclass(frozen=True)
class Gallery:
    """Figures and pictures side by side, as many as there is room for."""

    figures: tuple[Figure | Picture, ...]


@dataclass(frozen=True)
class More:
    """What only some want to read."""

    summary: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Section:
    """A part with a heading.

    Args:
        anchor: Its name in addresses: letters and hyphens.
        title: Its heading.
        blocks: What is in it.
    """

    anchor: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """The whole: a title, what it is about, and sections."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]


Block: TypeAlias = Paragraph | Commands | Table | Gallery | More


def kind_of(block: Block | Figure | Picture) -> str:
    """The name of a block's kind in lower case, by which writers choose what to do."""
    return type(block).__name__.lower()


def figures_in(blocks: Sequence[Block]) -> list[Figure | Picture]:
    """All figures and pictures of some blocks, in order."""
    found: list[Figure | Picture] = []
    for block in blocks:
        if isinstance(block, Gallery):
            found += block.figures
        elif isinstance(block, More):
            found += figures_in(block.blocks)
    return found
