"""`automix report`: what a page says of run folders, and what it refuses."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import pytest
from typer.testing import CliRunner

from automix_cli.cli import app
from automix_cli.commands.run_report.runs import found_folders, read_runs
from automix_cli.reporting.document.blocks import (
    Block,
    Commands,
    Gallery,
    More,
    Paragraph,
    Table,
    figures_in,
)
from automix_cli.reporting.run_report.whole import report_on
from tests.commands.conftest import Automix
from tests.commands.measured_runs import robustness, write_measured

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)<'
"""A name as an enemy would choose it, of letters that a folder may have."""

PARTS = ["overview", "curves", "calibration", "corruptions", "robustness", "masks", "cost"]
PARTS += ["settings", "environment", "commands"]


class Reading(HTMLParser):
    """Tags with their attributes, and the text between them, as a browser takes them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def anchors(self) -> list[str]:
        return [each["id"] for tag, each in self.tags if tag == "h2"]


class Told(NamedTuple):
    """What a report says, before it is drawn."""

    text: str
    anchors: list[str]
    figures: dict[str, str]


def told(*paths: str | Path, include: Sequence[Path] = ()) -> Told:
    """Everything in the report on some runs; drawing it would take seconds."""
    runs = read_runs(found_folders([Path(path) for path in paths]), include)
    document = report_on(runs, version="1", moment=datetime(2026, 1, 1, tzinfo=UTC))
    words = [document.title]
    figures: dict[str, str] = {}
    for section in document.sections:
        words += said_by(section.blocks)
        figures |= {each.title: each.alt for each in figures_in(section.blocks)}
    return Told(" ".join(words), [section.anchor for section in document.sections], figures)


def said_by(blocks: Iterable[Block]) -> Iterator[str]:
    """The words of some blocks, in order."""
    for block in blocks:
        match block:
            case Paragraph():
                yield block.text
            case Commands():
                yield from block.lines
            case Table():
                yield from (
                    block.caption,
                    *block.columns,
                    *(cell for row in block.rows for cell in row),
                )
            case More():
                yield block.summary
                yield from said_by(block.blocks)
            case Gallery():
                yield from (figure.title for figure in block.figures)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page and the Markdown on two runs whose every name is hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    runs = [
        write_measured(folder / f"{n} $x$ {HOSTILE}", method=HOSTILE, class_name=HOSTILE)
        for n in range(2)
    ]
    for name in ("page.html", "page.md"):
        result = CliRunner().invoke(app, ["report", *map(str, runs), "-o", str(folder / name)])
        assert result.exit_code == 0, result.stderr
    return folder


def refused(automix: Automix, code: int, *arguments: str | Path) -> str:
    result = automix("report", *arguments)
    assert result.exit_code == code, result.stderr
    return " ".join(result.stderr.split())


def test_a_page_on_two_runs_has_all_parts_with_the_numbers_of_both(automix: Automix) -> None:
    write_measured(Path("runs/a"), method="automix", top1=0.9125)
    write_measured(Path("runs/b"), method="cutmix", top1=0.8375)
    page = told("runs/a", "runs/b")
    assert page.anchors == PARTS
    assert "91.25 % (90.25 to 92.25)" in page.text
    assert "83.75 % (82.75 to 84.75)" in page.text
    assert "automix (--method)" in page.text
    assert "pgd-10, linf 8/255 40.00 % (30.0 to 50.0)" in page.text
    assert "mean, weather 50.00 % 50.00 %" in page.text
    assert "automix train --preset 'a preset'" in page.text
    assert {"Pairs, masks and mixtures, b", "Masks during the training, b"} <= page.figures.keys()
    assert page.figures["loss/total"] == "loss/total over the epochs; at the end a: 0.75; b: 0.75"


def test_a_folder_of_runs_stands_for_those_in_it(automix: Automix) -> None:
    write_measured(Path("runs/a"))
    write_measured(Path("runs/b"))
    assert "Report on a, b" in told("runs").text


def test_without_a_name_it_is_the_newest_finished_run(automix: Automix) -> None:
    write_bare(Path("runs/digits/one"))
    assert automix("report").exit_code == 0
    assert Path("runs/digits/one/report.html").is_file()


def write_bare(folder: Path) -> Path:
    """A finished run without anything to draw."""
    write_measured(folder)
    for path in (*folder.glob("*/*"), folder / "metrics.jsonl"):
        path.unlink()
    return folder


def test_hostile_names_are_shown_and_do_nothing(hostile: Path) -> None:
    page = Reading((hostile / "page.html").read_text())
    assert "script" not in {tag for tag, _ in page.tags}
    attributes = {name for _, each in page.tags for name in each}
    assert not {name for name in attributes if name.startswith("on")} | (attributes & {"style"})
    sources = [each["src"] for tag, each in page.tags if tag == "img"]
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert page.text.count(HOSTILE) > 10
    assert page.anchors() == PARTS


def test_hostile_names_are_text_in_markdown(hostile: Path) -> None:
    written = without_code((hostile / "page.md").read_text())
    assert not re.search(r"<(?!!-- automix|/?details>|/?summary>)[a-z/!]", written)


def without_code(text: str) -> str:
    """Markdown outside of code, where nothing is escaped because nothing means anything."""
    return re.sub(r"(?m)^```+\n.*?^```+$|`[^`\n]+`", "", text, flags=re.DOTALL)


def test_a_page_asks_for_nothing_and_lets_only_its_own_sheet_in(hostile: Path) -> None:
    text = (hostile / "page.html").read_text()
    page = Reading(text)
    assert "http:" not in text
    assert "https:" not in text
    links = [each["href"] for _, each in page.tags if "href" in each]
    assert links
    assert all(link.startswith(("#", "data:")) for link in links)
    (policy,) = (each["content"] for _, each in page.tags if "http-equiv" in each)
    (sheet,) = re.findall("<style>(.*?)</style>", text, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:;")


def test_names_in_drawings_are_unlike_each_other(hostile: Path) -> None:
    text = (hostile / "page.html").read_text()
    names = [each["id"] for _, each in Reading(text).tags if "id" in each]
    assert len(names) == len(set(names))
    used = re.findall(r"url\(#([^)]+)\)", text)
    assert used
    assert set(used) <= set(names)


def test_markdown_has_the_tables_and_its_figures_lie_beside_it(hostile: Path) -> None:
    text = (hostile / "page.md").read_text()
    assert "| top-1 | 90.00 % (89.00 to 91.00) | 90.00 % (89.00 to 91.00) |" in text
    figures = re.findall(r"\]\((page_files/[^)]+)\)", text)
    assert len(figures) > 12
    assert [each for each in figures if not (hostile / unquote(each)).is_file()] == []


def test_what_is_missing_is_named_with_the_command_that_makes_it(automix: Automix) -> None:
    folder = write_measured(Path("runs/a"))
    for name in ("summary", "evaluation/evaluation", "corruptions/CIFAR-10-C", "masks/masks"):
        (folder / f"{name}.json").unlink()
    (folder / "robustness/robustness.json").unlink()
    page = told(folder)
    assert page.anchors == [*PARTS[:2], "masks", *PARTS[6:]]  # the masks of the training alone
    assert "40 so far, of 4 epochs: not finished" in page.text
    for command in (
        "automix train --resume runs/a",
        "automix eval runs/a -o runs/a/evaluation",
        "automix eval runs/a --corruptions cifar-c",
        "automix robustness runs/a --quick 500",
        "automix visualize-masks runs/a",
    ):
        assert command in page.text


def test_a_half_written_last_line_is_left_out_and_said(automix: Automix) -> None:
    folder = write_measured(Path("runs/a"))
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"split": "train", "st')
    page = told(folder)
    assert "a: the last line of the metrics is half-written, and left out" in page.text
    assert "curves" in page.anchors


@pytest.mark.parametrize("line", ['{"split": "tr', "[1]", '{"split": "train", "step": 1}'])
def test_another_broken_line_is_named(line: str, automix: Automix) -> None:
    folder = write_measured(Path("runs/a"))
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(line + "\n")
    assert "line 9 of `runs/a/metrics.jsonl` is no record" in refused(automix, 4, folder)


def test_a_run_without_metrics_says_so(automix: Automix) -> None:
    folder = write_measured(Path("runs/a"))
    (folder / "metrics.jsonl").unlink()
    page = told(folder)
    assert "there are no metrics: nothing was written down of a training" in page.text
    assert "curves" not in page.anchors


def test_what_is_no_run_is_refused(automix: Automix) -> None:
    Path("empty").mkdir()
    assert "`nowhere` is no run folder: it is no folder" in refused(automix, 2, "nowhere")
    assert "`empty` is no run folder: it has no `settings.toml`" in refused(automix, 2, "empty")


@pytest.mark.parametrize("content", ["{", "[]", '{"heads": {}, "checkpoint": "", "dataset": ""}'])
def test_a_measurement_that_no_command_writes_is_named(content: str, automix: Automix) -> None:
    folder = write_measured(Path("runs/a"))
    (folder / "evaluation/evaluation.json").write_text(content)
    assert "`runs/a/evaluation/evaluation.json`" in refused(automix, 3, folder)


def test_files_of_the_run_that_are_no_json_are_named(automix: Automix) -> None:
    folder = write_measured(Path("runs/a"))
    (folder / "summary.json").write_text("{")
    assert "cannot read `runs/a/summary.json`" in refused(automix, 4, folder)


def test_only_a_report_is_replaced_without_being_asked(automix: Automix) -> None:
    write_bare(Path("runs/a"))
    Path("mine.html").write_text("my own page")
    assert "exists and is no report of ours" in refused(automix, 2, "runs/a", "-o", "mine.html")
    assert Path("mine.html").read_text() == "my own page"
    for arguments in (("--force",), ()):
        assert automix("report", "runs/a", "-o", "mine.html", *arguments).exit_code == 0


def test_where_it_cannot_write_it_says_so(automix: Automix) -> None:
    write_bare(Path("runs/a"))
    Path("file").write_text("")
    assert "cannot write `file/a.html`" in refused(automix, 2, "runs/a", "-o", "file/a.html")
    assert "`runs` is a folder" in refused(automix, 2, "runs/a", "-o", "runs")
    assert "must be one of html, markdown" in refused(automix, 2, "runs/a", "--format", "pdf")


def test_an_included_file_goes_to_the_run_whose_checkpoint_it_names(automix: Automix) -> None:
    folders = [write_measured(Path("runs") / name) for name in "ab"]
    for folder in folders:
        (folder / "robustness/robustness.json").unlink()
    both = robustness(folders[0], "x")
    both["models"] |= robustness(folders[1], "y")["models"]
    Path("both.json").write_text(json.dumps(both))
    page = told(*folders, include=[Path("both.json")])
    assert "pgd-10, linf 8/255 40.00 % (30.0 to 50.0) 40.00 % (30.0 to 50.0)" in page.text
    other = write_measured(Path("runs/c"))
    message = refused(automix, 2, other, "--include", "both.json")
    assert "which lies in none of the runs" in message


def test_runs_that_were_attacked_differently_are_not_overlaid(automix: Automix) -> None:
    folders = [write_measured(Path("runs") / name) for name in "ab"]
    fewer = robustness(folders[1], "b", num_images=100)
    (folders[1] / "robustness/robustness.json").write_text(json.dumps(fewer))
    text = told(*folders).text
    assert "These runs were attacked in different ways" in text
    assert "Images: quick: 500 of the 1,000 test images" in text
    assert "Images: quick: 100 of the 1,000 test images" in text


def test_runs_judged_on_different_images_are_marked(automix: Automix) -> None:
    folders = [write_measured(Path("runs") / name) for name in "ab"]
    settings = folders[1] / "settings.toml"
    settings.write_text(settings.read_text().replace("cifar10", "cifar100"))
    text = told(*folders).text
    assert "different test images (1,000 of cifar10, 1,000 of cifar100)" in text


def test_an_evaluation_of_other_weights_is_marked(automix: Automix) -> None:
    folder = write_measured(Path("runs/a"), top1=0.9)
    file = folder / "evaluation/evaluation.json"
    file.write_text(file.read_text().replace('"top1": 0.9,', '"top1": 0.85,'))
    text = told(folder).text
    assert "the evaluation found 85.00 % top-1" in text
    assert "they are of different weights" in text
