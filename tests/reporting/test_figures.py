"""Figures: both formats, the same bytes for the same numbers, colours that can be told apart."""

from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from automix_cli.reporting.figures import COLOURS, Background, save_figure, style


def drawn(background: Background = "light") -> Figure:
    with style(background):
        figure = Figure(figsize=(3, 2))
        axes = figure.add_subplot()
        axes.plot([0, 1], [1, 0], label="a line")
        axes.legend()
    return figure


@pytest.mark.parametrize("background", ["light", "dark"])
def test_the_same_figure_gives_the_same_bytes(tmp_path: Path, background: Background) -> None:
    once = save_figure(drawn(background), tmp_path / "v1.0", background=background)
    again = save_figure(drawn(background), tmp_path / "v1.0-again", background=background)
    assert [path.name for path in once] == ["v1.0.png", "v1.0.svg"]
    assert [path.read_bytes() for path in once] == [path.read_bytes() for path in again]


def test_dark_and_light_differ(tmp_path: Path) -> None:
    light, _ = save_figure(drawn("light"), tmp_path / "light")
    dark, _ = save_figure(drawn("dark"), tmp_path / "dark", background="dark")
    assert light.read_bytes() != dark.read_bytes()


def test_the_first_colours_can_be_told_apart_without_red_and_green() -> None:
    """Seen by a dichromat, roughly: only luminance and the blue-yellow difference are left."""
    seen = []
    for red, green, blue in map(to_rgb, COLOURS[:6]):
        luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        seen.append((luminance, blue - (red + green) / 2))
    assert min(abs(a - c) + abs(b - d) for (a, b), (c, d) in combinations(seen, 2)) > 0.08
