"""The files of a document.

```text
NAME.html            everything
NAME.md              the text, with its figures in
NAME_files/*.svg     drawings, on white
NAME_files/*.png     pictures
```
"""

from __future__ import annotations

import io
from pathlib import Path
from urllib.parse import quote

from automix_cli.errors import SettingsError
from automix_cli.reporting.document.blocks import Document, Figure, figures_in
from automix_cli.reporting.document.html import as_html
from automix_cli.reporting.document.markdown import as_markdown
from automix_cli.reporting.figures import style
from automix_cli.reporting.records import write_text

MARK = b"automix report"
"""Stands near the beginning of every file that is written here."""


def is_a_report(path: Path) -> bool:
    """Whether a file was written here, so that a newer one may take its place."""
    try:
        with path.open("rb") as file:
            return MARK in file.read(500)
    except OSError:
        return False


def write_html(document: Document, path: Path) -> Path:
    """Write one file that holds everything.

    Raises:
        SettingsError: it cannot be written.
    """
    text = as_html(document)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as problem:
        raise _cannot(path, problem) from problem
    return path


def write_markdown(document: Document, path: Path) -> Path:
    """Write the text, and the figures into a folder beside it.

    Raises:
        SettingsError: they cannot be written.
    """
    folder = path.with_name(f"{path.stem}_files")
    names: dict[str, str] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for section in document.sections:
            for figure in figures_in(section.blocks):
                is_drawing = isinstance(figure, Figure)
                file = folder / f"{figure.name}{'.svg' if is_drawing else '.png'}"
                file.write_bytes(svg_file(figure) if is_drawing else figure.content)
                names[figure.name] = f"{quote(folder.name)}/{file.name}"
        write_text(path, as_markdown(document, names))
    except OSError as problem:
        raise _cannot(path, problem) from problem
    return path


def svg_file(figure: Figure) -> bytes:
    """A drawing as a file of its own."""
    content = io.BytesIO()
    drawing = figure.draw("light")
    with style("light"):
        drawing.savefig(content, format="svg", bbox_inches="tight", metadata={"Date": None})
    return content.getvalue()


def _cannot(path: Path, problem: OSError) -> SettingsError:
    return SettingsError(
        f"cannot write `{path}`: {problem.strerror}", hint="name a file elsewhere with `-o FILE`"
    )
