"""`automix report`: what a page says of run folders, and what it refuses."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

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


def page_of(automix: Automix, *arguments: str | Path) -> Reading:
    """The report on some runs, written without complaint."""
    result = automix("report", *arguments, "-o", "page.html")
    assert result.exit_code == 0, result.stderr
    return Reading(Path("page.html").read_text())


def refused(automix: Automix, code: int, *arguments: str | Path) -> str:
    result = automix("report", *arguments)
    assert result.exit_code == code, result.stderr
    return " ".join(result.stderr.split())


def test_a_page_on_two_runs_has_all_parts_with_the_numbers_of_both(automix: Automix) -> None:
    write_measured(Path("runs/a"), method="automix", top1=0.9125)
    write_measured(Path("runs/b"), method="cutmix", top1=0.8375)
    page = page_of(automix, "runs/a", "runs/b")
    assert page.anchors() == PARTS
    assert "91.25 % (90.25 to 92.25)" in page.text
    assert "83.75 % (82.75 to 84.75)" in page.text
    assert "automix (--method)" in page.text
    assert "pgd-10, linf 8/255 40.00 % (30.0 to 50.0)" in page.text
    assert "mean, weather 50.00 % 50.00 %" in page.text
    assert "automix train --preset 'a preset'" in page.text
    drawn = {each.get("aria-label", "") for tag, each in page.tags if tag == "svg"}
    assert "loss/total over the epochs; at the end a: 0.75; b: 0.75" in drawn
    assert len(drawn) == len(re.findall("<figure", Path("page.html").read_text())) - 2  # 2 pictures


def test_a_folder_of_runs_stands_for_those_in_it(automix: Automix) -> None:
    write_measured(Path("runs/a"))
    write_measured(Path("runs/b"))
    assert "Report on a, b" in page_of(automix, "runs").text


def test_without_a_name_it_is_the_newest_finished_run(automix: Automix) -> None:
    write_measured(Path("runs/digits/one"))
    assert automix("report").exit_code == 0
    assert Path("runs/digits/one/report.html").is_file()


def test_hostile_names_are_shown_and_do_nothing(automix: Automix) -> None:
    runs = [
        write_measured(Path("runs") / f"{n} $x$ {HOSTILE}", method=HOSTILE, class_name=HOSTILE)
        for n in range(2)
    ]
    page = page_of(automix, *runs)
    assert "script" not in {tag for tag, _ in page.tags}
    attributes = {name for _, each in page.tags for name in each}
    assert not {name for name in attributes if name.startswith("on")} | (attributes & {"style"})
    assert all(each["src"].startswith("data:image/png") for tag, each in page.tags if tag == "img")
    assert page.text.count(HOSTILE) > 10

    assert automix("report", *runs, "-o", "page.md").exit_code == 0
    written = Path("page.md").read_text()
    assert not re.search(r"<(?!!-- automix|/?details>|/?summary>)[a-z/!]", without_code(written))


def without_code(text: str) -> str:
    """Markdown outside of code, where nothing is escaped because nothing means anything."""
    return re.sub(r"(?m)^```+\n.*?^```+$|`[^`\n]+`", "", text, flags=re.DOTALL)


def test_a_page_asks_for_nothing_and_lets_only_its_own_sheet_in(automix: Automix) -> None:
    write_measured(Path("runs/a"))
    page = page_of(automix, "runs/a")
    text = Path("page.html").read_text()
    assert "http" not in text.replace("http-equiv", "")
    links = [each["href"] for _, each in page.tags if "href" in each]
    assert links
    assert all(link.startswith(("#", "data:")) for link in links)
    (policy,) = (each["content"] for _, each in page.tags if "http-equiv" in each)
    (sheet,) = re.findall("<style>(.*?)</style>", text, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:;")


def test_names_in_drawings_are_unlike_each_other(automix: Automix) -> None:
    write_measured(Path("runs/a"))
    page = page_of(automix, "runs/a")
    names = [each["id"] for _, each in page.tags if "id" in each]
    assert len(names) == len(set(names))
    used = re.findall(r"url\(#([^)]+)\)", Path("page.html").read_text())
    assert used
    assert set(used) <= set(names)


def test_markdown_has_the_tables_and_its_figures_lie_beside_it(automix: Automix) -> None:
    write_measured(Path("runs/a"), top1=0.9125)
    assert automix("report", "runs/a", "--format", "markdown").exit_code == 0
    file = Path("runs/a/report.md")
    assert "| top-1 | 91.25 % (90.25 to 92.25) |" in file.read_text()
    figures = re.findall(r"!\[[^\n]*?\]\(([^)]+)\)", file.read_text())
    assert len(figures) > 8
    assert [each for each in figures if not (file.parent / unquote(each)).is_file()] == []


def test_what_is_missing_is_named_with_the_command_that_makes_it(automix: Automix) -> None:
    folder = write_measured(Path("runs/a"))
    for name in ("summary", "evaluation/evaluation", "corruptions/CIFAR-10-C", "masks/masks"):
        (folder / f"{name}.json").unlink()
    (folder / "robustness/robustness.json").unlink()
    page = page_of(automix, folder)
    assert page.anchors() == ["overview", "curves", "cost", "settings", "environment", "commands"]
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
    page = page_of(automix, folder)
    assert "a: the last line of the metrics is half-written, and left out" in page.text
    assert "curves" in page.anchors()


@pytest.mark.parametrize("line", ['{"split": "tr', "[1]", '{"split": "train", "step": 1}'])
def test_another_broken_line_is_named(line: str, automix: Automix) -> None:
    folder = write_measured(Path("runs/a"))
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(line + "\n")
    assert "line 9 of `runs/a/metrics.jsonl` is no record" in refused(automix, 4, folder)


def test_a_run_without_metrics_says_so(automix: Automix) -> None:
    folder = write_measured(Path("runs/a"))
    (folder / "metrics.jsonl").unlink()
    page = page_of(automix, folder)
    assert "there are no metrics: nothing was written down of a training" in page.text
    assert "curves" not in page.anchors()


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
    write_measured(Path("runs/a"))
    Path("mine.html").write_text("my own page")
    assert "exists and is no report of ours" in refused(automix, 2, "runs/a", "-o", "mine.html")
    assert Path("mine.html").read_text() == "my own page"
    for arguments in (("--force",), ()):
        assert automix("report", "runs/a", "-o", "mine.html", *arguments).exit_code == 0


def test_where_it_cannot_write_it_says_so(automix: Automix) -> None:
    write_measured(Path("runs/a"))
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
    page = page_of(automix, *folders, "--include", "both.json")
    assert "pgd-10, linf 8/255 40.00 % (30.0 to 50.0) 40.00 % (30.0 to 50.0)" in page.text
    other = write_measured(Path("runs/c"))
    message = refused(automix, 2, other, "--include", "both.json")
    assert "which lies in none of the runs" in message


def test_runs_that_were_attacked_differently_are_not_overlaid(automix: Automix) -> None:
    folders = [write_measured(Path("runs") / name) for name in "ab"]
    fewer = robustness(folders[1], "b", num_images=100)
    (folders[1] / "robustness/robustness.json").write_text(json.dumps(fewer))
    text = page_of(automix, *folders).text
    assert "These runs were attacked in different ways" in text
    assert "Images: quick: 500 of the 1,000 test images" in text
    assert "Images: quick: 100 of the 1,000 test images" in text


def test_runs_judged_on_different_images_are_marked(automix: Automix) -> None:
    folders = [write_measured(Path("runs") / name) for name in "ab"]
    settings = folders[1] / "settings.toml"
    settings.write_text(settings.read_text().replace("cifar10", "cifar100"))
    text = page_of(automix, *folders).text
    assert "different test images (1,000 of cifar10, 1,000 of cifar100)" in text


def test_an_evaluation_of_other_weights_is_marked(automix: Automix) -> None:
    folder = write_measured(Path("runs/a"), top1=0.9)
    file = folder / "evaluation/evaluation.json"
    file.write_text(file.read_text().replace('"top1": 0.9,', '"top1": 0.85,'))
    text = page_of(automix, folder).text
    assert "the evaluation found 85.00 % top-1" in text
    assert "they are of different weights" in text
