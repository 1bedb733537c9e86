"""A comparison as tables: for the terminal, as Markdown, and as CSV for spreadsheets.

Accuracies are percent in the terminal and in Markdown, and fractions in CSV and JSON.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from rich.table import Table

from automix_cli.reporting.comparison import COSTS, Comparison, Row
from automix_cli.reporting.spreadsheets import no_formula
from automix_cli.reporting.student import Estimate

TIED = "="
SCORES = {"top1": "top-1", "ap": "AP"}
"""By measure, what people call it."""

LEGEND = (
    f"Bold: the highest mean. {TIED}: not told apart from it, the 95 % interval of the difference "
    "seed by seed holds 0. Intervals are over seeds, by Student's t."
)
ESTIMATE_COLUMNS = ("n", "mean", "deviation", "interval_low", "interval_high")


def comparison_tables(comparison: Comparison) -> list[Table]:
    """Two tables for the terminal: accuracies, then likelihood and cost."""
    tables: list[Table] = []
    parts = (accuracy_cells(comparison), cost_cells(comparison))
    of_costs = "likelihood and cost" if comparison.score == "top1" else "cost"
    titles = (heading(comparison), f"{of_costs} (medians over seeds)")
    for title, (head, *rows) in zip(titles, parts, strict=True):
        table = Table(title=title, title_justify="left")
        for column, name in enumerate(head):
            table.add_column(name, justify="right" if column else "left")
        for row, cells in zip(comparison.rows, rows, strict=True):
            table.add_row(*cells, style="bold" if row.is_best else None)
        tables.append(table)
    tables[0].caption, tables[0].caption_justify = LEGEND, "left"
    return tables


def heading(comparison: Comparison) -> str:
    """What was compared on, in a line."""
    subject = comparison.subject
    named = subject["preset"] or "runs"
    images = f"{subject['num_images']:,} test images of {subject['dataset']}"
    return (
        f"{named}: {SCORES[comparison.score]} of {subject['stands_for']} at the last step, {images}"
    )


def accuracy_cells(comparison: Comparison) -> list[list[str]]:
    """Heads and cells of the table of accuracies."""
    base = comparison.baseline
    others = {"classifier_top1": "classifier %"}
    if comparison.score == "ap":
        others = {"ap50": "AP50", "ap75": "AP75"}
    head = ["method", "n", f"{SCORES[comparison.score]} %", "95 % interval"]
    head += [f"minus {base}", "95 % interval"] if base is not None else []
    rows = [[*head, *others.values()]]
    for row in comparison.rows:
        score = row.mean_score
        name = f"{row.name} {TIED}" if row.is_tied else row.name
        cells = [name, str(score.n), _spread(score), _interval(score)]
        if base is not None:
            cells += [_spread(row.difference, sign="+"), _interval(row.difference, sign="+")]
        rows.append([*cells, *(_spread(row.measures.get(each)) for each in others)])
    return rows


def cost_cells(comparison: Comparison) -> list[list[str]]:
    """Heads and cells of the table of likelihood and cost."""
    base, has_ece = comparison.baseline, any("ece" in row.measures for row in comparison.rows)
    has_nll = comparison.score == "top1"
    head = ["method", *(["NLL"] if has_nll else []), *(["ECE %"] if has_ece else []), "s/epoch"]
    head += [f"times {base}"] if base is not None else []
    rows = [[*head, "images/s", "peak MiB"]]
    for row in comparison.rows:
        nll, costs = row.measures.get("nll"), row.costs
        cells = [row.name, *([_spread(nll, scale=1, digits=4)] if has_nll else [])]
        cells += [_spread(row.measures.get("ece"))] if has_ece else []
        cells.append(_number(costs.get("seconds_per_epoch"), "{:,.2f}"))
        cells += [_number(row.cost_ratio, "{:.2f}")] if base is not None else []
        cells.append(_number(costs.get("images_per_second"), "{:,.0f}"))
        memory = costs.get("peak_memory_bytes")
        rows.append([*cells, _number(None if memory is None else memory / 2**20, "{:,.0f}")])
    return rows


def comparison_markdown(comparison: Comparison) -> str:
    """Both tables, what is missing and the notes, as Markdown."""
    accuracy = _markdown_table(accuracy_cells(comparison), comparison.rows, bold=(0, 2))
    cost = _markdown_table(cost_cells(comparison), comparison.rows, bold=(0,))
    seeds = ", ".join(map(str, comparison.subject["seeds"]))
    blocks = [f"{_in_markdown(heading(comparison))}; seeds {seeds}.", accuracy, LEGEND, cost]
    missing = [f"- missing: {name}: {why}" for name, why in comparison.missing.items()]
    notes = [f"- {note}" for note in comparison.notes]
    if missing or notes:
        blocks.append("\n".join(_in_markdown(" ".join(each.split())) for each in missing + notes))
    return "\n\n".join(blocks) + "\n"


def comparison_csv(comparison: Comparison) -> str:
    """One line a method; accuracies are fractions, an empty field is a number that is not there."""
    estimates = [*comparison.measured, f"{comparison.score}_minus_baseline"]
    head = [
        "method_name",
        "method",
        "seeds",
        *(f"{a}_{b}" for a in estimates for b in ESTIMATE_COLUMNS),
    ]
    head += [*COSTS, "cost_ratio", "is_best", "is_tied_with_best"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for row in comparison.rows:
        values = [*(row.measures.get(name) for name in comparison.measured), row.difference]
        writer.writerow(
            [
                no_formula(row.name),
                no_formula(row.method),
                " ".join(str(run.seed) for run in row.runs),
                *(field for value in values for field in _csv_fields(value)),
                *(row.costs.get(name) for name in COSTS),
                row.cost_ratio,
                row.is_best,
                row.is_tied,
            ]
        )
    return text.getvalue()


def _csv_fields(value: Estimate | None) -> list[object]:
    if value is None:
        return [None] * len(ESTIMATE_COLUMNS)
    low, high = value.interval or (None, None)
    return [value.n, value.mean, value.deviation, low, high]


def _spread(value: Estimate | None, *, scale: float = 100, digits: int = 2, sign: str = "") -> str:
    if value is None:
        return "-"
    mean = f"{scale * value.mean:{sign}.{digits}f}"
    if value.deviation is None:
        return mean
    return f"{mean} +- {scale * value.deviation:.{digits}f}"


def _interval(value: Estimate | None, *, sign: str = "") -> str:
    if value is None or value.interval is None:
        return "-"
    low, high = value.interval
    return f"{100 * low:{sign}.2f} to {100 * high:{sign}.2f}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _markdown_table(
    cells: Sequence[Sequence[str]], rows: Sequence[Row], *, bold: tuple[int, ...]
) -> str:
    """A table in which the best row's cells in the columns `bold` are bold."""
    head, *body = cells
    lines = [_markdown_line(head), _markdown_line(["---", *["--:"] * (len(head) - 1)])]
    for row, each in zip(rows, body, strict=True):
        shown = [_in_markdown(cell) for cell in each]
        for column in bold if row.is_best else ():
            shown[column] = f"**{shown[column]}**"
        lines.append(_markdown_line(shown))
    return "\n".join(lines)


def _markdown_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _in_markdown(text: str) -> str:
    """Text in which nothing is taken for a cell, a tag or emphasis."""
    return "".join(f"\\{letter}" if letter in "|<*_`[" else letter for letter in text)
