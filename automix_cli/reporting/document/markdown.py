"""A document as Markdown (GitHub's), with its figures as SVG and PNG files beside it."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

from automix_cli.reporting.document.blocks import (
    Block,
    Commands,
    Document,
    Gallery,
    More,
    Paragraph,
    Table,
)

_SPECIAL = re.compile(r"([\\`*_\[\]#|~$])")


def as_markdown(document: Document, files: Mapping[str, str]) -> str:
    """The text of the file.

    Args:
        document: What to write.
        files: Where each figure lies, relative to the text, by its name.
    """
    parts = [
        "<!-- automix report -->",
        f"# {escaped(document.title)}",
        escaped(document.subtitle),
    ]
    for section in document.sections:
        parts.append(f"## {escaped(section.title)}")
        parts += [_shown(block, files) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Text that means nothing but itself in Markdown and in the HTML that is made of it."""
    return _SPECIAL.sub(r"\\\1", html.escape(" ".join(text.split()), quote=False))


def code(text: str) -> str:
    """Text as code in a line; a row of backticks longer than any in it stands around it."""
    line = " ".join(text.split()).replace("|", "\\|")
    longest = max((len(each) for each in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {line} {fence}" if longest else f"`{line}`"


def _shown(block: Block, files: Mapping[str, str]) -> str:
    match block:
        case Paragraph():
            return f"> **Note:** {escaped(block.text)}" if block.is_warning else escaped(block.text)
        case Commands():
            return _fenced("\n".join(block.lines))
        case Table():
            return _table(block)
        case Gallery():
            figures = (
                f"**{escaped(each.title)}**\n\n![{escaped(each.alt)}]({files[each.name]})"
                for each in block.figures
            )
            return "\n\n".join(figures)
        case More():
            inside = "\n\n".join(_shown(each, files) for each in block.blocks)
            summary = html.escape(block.summary)
            return f"<details><summary>{summary}</summary>\n\n{inside}\n\n</details>"


def _fenced(text: str) -> str:
    longest = max((len(each) for each in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _table(table: Table) -> str:
    side = ":--" if table.is_text else "--:"
    rows = [
        [code(cell) if place in table.code else escaped(cell) for place, cell in enumerate(row)]
        for row in table.rows
    ]
    head = [[escaped(each) for each in table.columns], [":--", *[side] * (len(table.columns) - 1)]]
    lines = ["| " + " | ".join(row) + " |" for row in [*head, *rows]]
    return "\n".join([escaped(table.caption), "", *lines])
