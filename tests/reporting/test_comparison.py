"""Rows of a comparison: means, differences seed by seed, the best and its ties, the files."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from automix_cli.reporting.comparison import (
    Comparison,
    Row,
    RunResult,
    compare_rows,
    comparison_record,
    paired_difference,
)
from automix_cli.reporting.comparison_figure import comparison_figure
from automix_cli.reporting.comparison_tables import (
    comparison_csv,
    comparison_markdown,
    comparison_tables,
    no_formula,
)
from automix_cli.reporting.figures import save_figure
from automix_cli.reporting.student import estimate
from automix_cli.reporting.terminal import Terminal


def runs(*top1: float, seconds: float = 10.0, ece: float | None = None) -> list[RunResult]:
    """One run a seed, from 0."""
    return [
        RunResult(
            f"run-seed{seed}",
            seed,
            {"top1": each, "classifier_top1": each - 0.01, "nll": 1 - each}
            | ({} if ece is None else {"ece": ece}),
            {"seconds_per_epoch": seconds + seed, "peak_memory_bytes": 2.0**20 * (seed + 1)},
        )
        for seed, each in enumerate(top1)
    ]


def rows(**groups: list[RunResult]) -> dict[str, Row]:
    baseline = "vanilla" if "vanilla" in groups else None
    given = {name: (name, each) for name, each in groups.items()}
    return {row.name: row for row in compare_rows(given, baseline)}


def comparison(*more: Row, missing: dict[str, str] | None = None) -> Comparison:
    made = rows(vanilla=runs(0.70, 0.72, 0.74), cutmix=runs(0.75, 0.76, 0.80, seconds=21.0))
    subject = {
        "preset": "digits-tiny",
        "dataset": "digits",
        "num_images": 360,
        "stands_for": "momentum_one_hot",
        "seeds": [0, 1, 2],
    }
    return Comparison(subject, (*made.values(), *more), "vanilla", missing or {}, ("a note",))


def shown(value: Comparison) -> str:
    console = Terminal()
    console.width = 200
    with console.capture() as capture:
        for table in comparison_tables(value):
            console.print(table)
    return capture.get()


def test_costs_are_medians_over_seeds_and_the_ratio_is_of_medians() -> None:
    made = rows(vanilla=runs(0.7, 0.7, 0.7, seconds=10.0), mixup=runs(0.7, 0.7, 0.9, seconds=21.0))
    assert made["vanilla"].costs["seconds_per_epoch"] == 11.0
    assert made["mixup"].cost_ratio == pytest.approx(22.0 / 11.0)
    assert made["vanilla"].cost_ratio == 1.0
    assert made["mixup"].costs["peak_memory_bytes"] == 2 * 2**20


def test_the_difference_to_vanilla_is_taken_seed_by_seed() -> None:
    made = rows(vanilla=runs(0.60, 0.70, 0.80), mixup=runs(0.61, 0.72, 0.83))
    difference = made["mixup"].difference
    assert difference == estimate(difference.values)  # pyright: ignore
    assert difference.values == pytest.approx((0.01, 0.02, 0.03))  # pyright: ignore
    # the seeds differ by 10 points, the methods by 2: only the pairing tells them apart
    assert difference.interval[0] > -0.005  # pyright: ignore
    assert made["mixup"].measures["top1"].interval[0] < 0.5  # pyright: ignore
    assert made["vanilla"].difference is None


def test_only_shared_seeds_are_paired() -> None:
    one, other = runs(0.5, 0.6, 0.7), runs(0.4, 0.4)
    assert paired_difference(one, other).values == pytest.approx((0.1, 0.2))  # pyright: ignore
    assert paired_difference(one[2:], other) is None


def test_the_best_is_marked_and_what_cannot_be_told_apart_from_it_is_tied() -> None:
    made = rows(
        vanilla=runs(0.50, 0.51, 0.50), mixup=runs(0.70, 0.69, 0.71), cutmix=runs(0.71, 0.69, 0.72)
    )
    assert [name for name, row in made.items() if row.is_best] == ["cutmix"]
    assert [row.is_tied for row in made.values()] == [False, True, None]


def test_equal_means_are_both_best() -> None:
    made = rows(mixup=runs(0.5, 0.7), cutmix=runs(0.7, 0.5))
    assert [row.is_best for row in made.values()] == [True, True]


def test_of_single_runs_no_tie_is_claimed() -> None:
    made = rows(vanilla=runs(0.5), mixup=runs(0.5001))
    assert [row.is_tied for row in made.values()] == [None, None]
    assert made["mixup"].difference.interval is None  # pyright: ignore


def test_a_measure_that_some_run_lacks_is_left_out() -> None:
    some = [*runs(0.5, 0.6, ece=0.1), replace(runs(0.7)[0], seed=2)]
    made = rows(mixup=some, cutmix=runs(0.5, ece=0.1))
    assert "ece" not in made["mixup"].measures
    assert made["cutmix"].measures["ece"].mean == 0.1


def test_the_record_is_json_with_fractions_and_every_seed() -> None:
    record = json.loads(json.dumps(comparison_record(comparison(missing={"mixup-seed0": "x"}))))
    assert record["schema_version"] == 1
    assert record["missing"] == {"mixup-seed0": "x"}
    cutmix = record["methods"][1]
    assert cutmix["top1"]["values"] == [0.75, 0.76, 0.80]
    assert cutmix["seeds"] == [0, 1, 2]
    assert cutmix["ece"] is None
    assert cutmix["is_best"]


def test_every_line_of_the_csv_has_the_fields_of_its_head() -> None:
    text = comparison_csv(comparison())
    head, *body = csv.reader(io.StringIO(text))
    assert len(head) == len(set(head))
    assert {len(line) for line in body} == {len(head)}
    (_, cutmix) = csv.DictReader(io.StringIO(text))
    assert float(cutmix["top1_mean"]) == pytest.approx(0.77)
    assert cutmix["ece_mean"] == ""


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1"])
def test_no_name_becomes_a_formula_in_a_spreadsheet(name: str) -> None:
    assert no_formula(name) == f"'{name}"
    bad = replace(comparison().rows[0], name=name)
    last = list(csv.reader(io.StringIO(comparison_csv(comparison(bad)))))[-1]
    assert last[0] == f"'{name}"


def test_tables_show_percent_and_mark_the_best_and_the_tied() -> None:
    text = shown(comparison())
    assert "72.00 +- 2.00" in text
    assert "77.00 +- 2.65" in text
    assert "+5.00" in text
    assert "vanilla =" not in text
    tied = rows(mixup=runs(0.70, 0.69), cutmix=runs(0.71, 0.69))
    assert "mixup =" in shown(replace(comparison(), rows=tuple(tied.values()), baseline=None))


def test_the_calibration_error_has_a_column_exactly_if_a_run_has_it() -> None:
    assert "ECE" not in shown(comparison())
    with_it = rows(mixup=runs(0.5, 0.6, ece=0.0321))["mixup"]
    assert "3.21 +- 0.00" in shown(comparison(with_it))


def test_markup_in_a_name_is_text_everywhere() -> None:
    named = replace(comparison().rows[0], name="[bold]a|b_c*", is_best=False)
    assert "[bold]a|b_c*" in shown(comparison(named))
    assert "\\[bold]a\\|b\\_c\\* |" in comparison_markdown(comparison(named))


def test_markdown_says_what_is_missing_on_one_line_and_bolds_the_best() -> None:
    text = comparison_markdown(comparison(missing={"mixup-seed0": "failed:\nerror: x"}))
    assert "- missing: mixup-seed0: failed: error: x" in text
    assert "| **cutmix** | 3 | **77.00 +- 2.65** |" in text
    assert "- a note" in text
    widths = {line.count("|") for line in text.split("\n\n")[1].splitlines()}
    assert len(widths) == 1


def test_the_figure_has_one_point_a_method_with_its_deviation(tmp_path: Path) -> None:
    figure = comparison_figure(comparison())
    assert figure is not None
    (axes,) = figure.axes
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["vanilla", "cutmix"]
    points = [tuple(bar.lines[0].get_xydata()[0]) for bar in axes.containers]  # pyright: ignore
    assert points == [(11.0, pytest.approx(72.0)), (22.0, pytest.approx(77.0))]
    (segment,) = axes.containers[0].lines[2][0].get_segments()  # pyright: ignore
    assert [end[1] for end in segment] == pytest.approx([70.0, 74.0])
    assert all(path.stat().st_size > 0 for path in save_figure(figure, tmp_path / "compare"))


def test_a_name_with_a_dollar_is_no_formula_in_the_figure(tmp_path: Path) -> None:
    named = replace(comparison().rows[0], name="$\\frac{$")
    figure = comparison_figure(comparison(named))
    assert figure is not None
    save_figure(figure, tmp_path / "compare")


def test_costs_far_apart_are_drawn_on_a_logarithmic_axis() -> None:
    far = rows(vanilla=runs(0.7, seconds=1), puzzlemix=runs(0.7, seconds=100))
    made = replace(comparison(), rows=tuple(far.values()))
    assert comparison_figure(made).axes[0].get_xscale() == "log"  # pyright: ignore
    assert comparison_figure(comparison()).axes[0].get_xscale() == "linear"  # pyright: ignore


def test_without_costs_there_is_no_figure() -> None:
    without = tuple(replace(row, costs={}) for row in comparison().rows)
    assert comparison_figure(replace(comparison(), rows=without)) is None
