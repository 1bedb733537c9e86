"""Curves over a training: every value counts, and names are text."""

from pathlib import Path

from automix_cli.reporting.curves_figure import (
    MOST_POINTS,
    Line,
    curve_panel,
    legend_label,
    thinned,
)
from automix_cli.reporting.document.inline_svg import inline_svg
from automix_cli.reporting.run_report.reported import labels_of


def test_a_long_line_is_drawn_by_means_of_neighbours() -> None:
    places = [float(each) for each in range(4 * MOST_POINTS)]
    drawn, heights = thinned(places, [2 * each for each in places])
    assert len(drawn) == MOST_POINTS
    assert drawn[:2] == [1.5, 5.5]
    assert heights == [2 * each for each in drawn]
    assert thinned(places[:5], places[:5]) == (places[:5], places[:5])


def test_names_in_a_drawing_are_text_and_never_mathematics() -> None:
    names = ["a $x$ <b>", "_hidden"]
    lines = [Line(name, [1.0, 2.0], [0.5, float("nan")], n) for n, name in enumerate(names)]
    drawing = inline_svg(curve_panel(lines, background="page"), "here", 'say "it"')
    assert "a $x$ &lt;b&gt;" in drawing
    assert "_hidden" in drawing
    assert 'aria-label="say &quot;it&quot;"' in drawing
    assert "style=" not in drawing
    assert 'class="ink-' in drawing


def test_a_long_name_keeps_its_end() -> None:
    assert legend_label("x" * 60 + "/seed0").endswith("xx/seed0")
    assert len(legend_label("x" * 60)) == 32


def test_runs_are_called_by_the_shortest_ends_that_differ() -> None:
    folders = [Path("runs/a/seed0"), Path("runs/b/seed0")]
    assert labels_of(folders) == ["a/seed0", "b/seed0"]
    assert labels_of(folders[:1]) == ["seed0"]
