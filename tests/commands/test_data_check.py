"""`automix data check`, as a person runs it."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """Ten images of each of two classes in two parts, and a table of them."""
    rows = ["path,label,split"]
    for number in range(40):
        part, name = ("train", "test")[number % 2], ("owl", "cat [red]")[number // 2 % 2]
        path = tmp_path / "birds" / part / name / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(path)
        rows.append(f"{path.relative_to(tmp_path / 'birds')},{name},{part}")
    (tmp_path / "birds" / "labels.csv").write_text("\n".join(rows))
    return tmp_path / "birds"


def test_a_good_folder_is_shown_with_its_classes(automix, birds: Path) -> None:
    result = automix("data", "check", birds, "--strict")
    assert result.exit_code == 0
    shown = result.stdout
    assert "cat [red]" in shown  # a class name is no markup
    assert "none: every image can be read" in shown
    assert result.stderr == ""


def test_findings_are_shown_and_fatal_only_if_so_wanted(automix, birds: Path) -> None:
    (birds / "train/owl/empty.jpg").write_bytes(b"")
    (birds / "test/owl/broken.jpg").write_bytes(b"no image")
    shown = automix("data", "check", birds)
    assert shown.exit_code == 0
    assert "Findings: 1 empty file, 1 unreadable" in shown.stdout
    strict = automix("data", "check", birds, "--strict")
    assert strict.exit_code == 3
    assert strict.stdout == shown.stdout
    assert strict.stderr == "error: 2 findings, and `--strict` takes none\n"


@pytest.mark.parametrize("kind", ["folder", "csv"])
def test_json_holds_every_number_and_finding(kind: str, automix, birds: Path) -> None:
    (birds / "train/owl/0.png").write_bytes(b"")
    what = [birds] if kind == "folder" else ["--csv", birds / "labels.csv"]
    report = json.loads(automix("data", "check", *what, "--json", "--workers", "1").stdout)
    assert (report["schema_version"], report["name"]) == (1, kind)
    assert report["parts"]["train"]["classes"] == {"cat [red]": 10, "owl": 10}
    assert report["parts"]["test"]["width"] == [8, 8, 8]
    (finding,) = report["findings"]
    assert finding == {
        "kind": "empty file",
        "part": "train",
        "path": "train/owl/0.png",
        "detail": "it has no bytes",
    }


def test_names_that_are_no_text_are_shown_all_the_same(automix, birds: Path) -> None:
    name = os.fsdecode(b"na\xefve.png")
    (birds / "train/owl" / name).write_bytes(b"")
    assert "na\\udcefve.png" in "".join(automix("data", "check", birds).stdout.split())
    report = json.loads(automix("data", "check", birds, "--json").stdout)
    assert report["findings"][0]["path"] == f"train/owl/{name}"


def test_a_data_set_by_name_is_checked_in_its_folder(automix) -> None:
    report = json.loads(automix("data", "check", "--name", "digits", "--json").stdout)
    assert report["parts"]["train"]["num_images"] == 1437
    assert report["parts"]["test"]["modes"] == {"L": 360}


def test_of_many_classes_the_smallest_and_the_largest_are_shown(automix, tmp_path: Path) -> None:
    for number in range(40):
        for copy in range(1 + number // 20):
            path = tmp_path / "many" / f"class{number:02d}" / f"{copy}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 4), number).save(path)
    shown = automix("data", "check", tmp_path / "many").stdout
    assert "the 15 smallest and 15 largest of 40" in " ".join(shown.split())
    assert "and 20 more; --json has all" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "nothing says which images to check"),
        (["x", "--name", "cub20"], 2, "did you mean `cub200`?"),
        (["x", "--name", "csv"], 2, "`--name csv` and `--csv FILE` go together"),
        (["x", "--name", "cub200", "--csv", "y"], 2, "go together"),
        (["nowhere"], 3, "cannot read the folder `nowhere`"),
        (["nowhere", "--name", "cub200"], 3, "CUB-200-2011 needs `images`"),
        (["--csv", "nowhere.csv"], 3, "cannot read the table `nowhere.csv`"),
    ],
)
def test_what_cannot_be_checked_is_said(
    arguments: list[str], code: int, words: str, automix
) -> None:
    result = automix("data", "check", *arguments)
    assert result.exit_code == code
    assert words in result.stderr
