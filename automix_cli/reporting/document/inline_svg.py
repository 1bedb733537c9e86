"""A matplotlib figure as SVG that stands inside an HTML page and takes the page's colours.

matplotlib says colours in `style` attributes, which a strict Content-Security-Policy forbids, and
names its parts alike in every figure. Here styles become presentation attributes, names get the
figure's name in front, text stays text, and ink and grid become classes that the page's own style
sheet colours, light or dark.
"""

from __future__ import annotations

import io
import re
import warnings
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from automix_cli.reporting.figures import PAGE_GRID, PAGE_INK, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CLASSES = {PAGE_INK: "ink", PAGE_GRID: "grid"}
_NOT_IN_A_PAGE = ("metadata", "style")
_FONT = re.compile(r"(?P<weight>bold|[1-9]00)?.*?(?P<size>[\d.]+px)")
_POINTS_TO_PIXELS = 96 / 72


def inline_svg(figure: Figure, name: str, alt: str) -> str:
    """Write a figure as an SVG element.

    Args:
        figure: Drawn on the background `page`.
        name: Of letters, digits and hyphens, unlike any other in the page.
        alt: What it shows, for those who do not see it.
    """
    root = ET.fromstring(_svg(figure))
    _clean(root, name)
    _, _, width, height = root.attrib["viewBox"].split()
    for attribute, length in (("width", width), ("height", height)):
        root.set(attribute, f"{float(length) * _POINTS_TO_PIXELS:.0f}")
    root.set("role", "img")
    root.set("aria-label", alt)
    return ET.tostring(root, encoding="unicode")


def _svg(figure: Figure) -> str:
    import matplotlib as mpl

    written = io.BytesIO()
    with (
        style("page"),
        mpl.rc_context({"svg.fonttype": "none"}),
        warnings.catch_warnings(),
    ):
        # the browser has the letters that matplotlib's own font has not
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    return written.getvalue().decode()


def _clean(element: ET.Element, name: str) -> None:
    """Change an element and all in it as the module says."""
    element.tag = _local(element.tag)
    old = dict(element.attrib)
    element.attrib.clear()
    for attribute, value in old.items():
        if attribute == "style":
            _style_to_attributes(element, value)
        elif not attribute.endswith("}space"):
            element.set(_local(attribute), value)
    for attribute, value in element.attrib.items():
        element.set(attribute, value.replace("url(#", f"url(#{name}-"))
        if attribute == "id" or (attribute == "href" and value.startswith("#")):
            element.set(attribute, f"#{name}-{value[1:]}" if value[0] == "#" else f"{name}-{value}")
    for child in list(element):
        if _local(child.tag) in _NOT_IN_A_PAGE:
            element.remove(child)
        else:
            _clean(child, name)


def _local(name: str) -> str:
    """A name without its namespace: HTML knows what `svg` is."""
    return name.rpartition("}")[2]


def _style_to_attributes(element: ET.Element, text: str) -> None:
    classes: list[str] = []
    for declaration in text.split(";"):
        name, _, value = (each.strip() for each in declaration.partition(":"))
        if name == "font":
            found = _FONT.match(value)
            element.set("font-size", found["size"] if found else "10px")
            if found and found["weight"]:
                element.set("font-weight", found["weight"])
        elif value.lower() in _CLASSES:
            classes.append(f"{_CLASSES[value.lower()]}-{name}")
        elif name and name != "font-family":
            element.set(name, value)
    if element.tag == "text" and "fill" not in element.attrib and "ink-fill" not in classes:
        classes.append("ink-fill")  # text without a colour is black in SVG
    if classes:
        element.set("class", " ".join(classes))
