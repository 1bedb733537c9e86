"""A document as one HTML file that asks for nothing: no script, no request, one style sheet.

Its Content-Security-Policy lets a browser use this style sheet, by its hash, and pictures in the
file itself; so even text that got past the escaping could load and run nothing.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from automix_cli.reporting.document.blocks import Document, Figure, Picture, kind_of
from automix_cli.reporting.document.inline_svg import inline_svg
from automix_cli.reporting.figures import COLOURS


def as_html(document: Document) -> str:
    """The whole file."""
    sheet = style_sheet()
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )
    return _template().render(document=document, sheet=Markup(sheet), policy=policy)


@cache
def style_sheet() -> str:
    """The style sheet, with a class for the colour of each run."""
    runs = "".join(f".run-{place}{{background:{each}}}\n" for place, each in enumerate(COLOURS))
    return _packaged("page.css") + runs


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"kind": kind_of, "svg": _svg, "data_address": _data_address}
    environment.globals["num_colours"] = len(COLOURS)
    return environment.from_string(_packaged("page.html.jinja"))


def _packaged(name: str) -> str:
    folder = files("automix_cli.reporting.document") / "templates"
    return (folder / name).read_text(encoding="utf-8")


def _svg(figure: Figure) -> Markup:
    return Markup(inline_svg(figure.draw("page"), figure.name, figure.alt))


def _data_address(picture: Picture) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.content).decode()
