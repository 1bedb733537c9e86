"""What one does with a detector that is trained: measure it elsewhere, report on it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from automix_cli.cli import app
from automix_cli.evaluation.detection import NAMES
from tests.commands.conftest import Automix
from tests.commands.test_detect import SMALL
from tests.data.boxed import content_of, write_boxed

ONE_STEP = [each for each in SMALL if "data-dir" not in each and "max_steps" not in each]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `boxes` and with `run`, which had one step."""
    folder = tmp_path_factory.mktemp("detector")
    write_boxed(folder / "boxes")
    wanted = [*ONE_STEP, f"--data-dir={folder / 'boxes'}", "--set=train.max_steps=1"]
    result = CliRunner().invoke(app, ["detect", *wanted, "-o", str(folder / "run")])
    assert result.exit_code == 0, result.output
    return folder


@pytest.mark.parametrize("named", ["run", "run/detector.safetensors"])
def test_eval_of_a_detector_repeats_numbers_and_boxes_of_its_run(
    automix: Automix, trained: Path, named: str
) -> None:
    result = automix("eval", trained / named, "--json", "-o", "again")
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    summary = json.loads((trained / "run" / "summary.json").read_text())
    assert content["detector"] == summary["last"]["test"]["detector"]
    assert {each.name for each in Path("again").iterdir()} == {
        *("evaluation.json", "predictions.json", "boxes.png", "boxes.svg")
    }
    assert json.loads(Path("again/evaluation.json").read_text()) == content
    found = (trained / "run" / "predictions.json").read_bytes()
    assert Path("again/predictions.json").read_bytes() == found


def other_annotations(trained: Path, name: str, **changes: Any) -> str:
    content = {**content_of(2, first=3), **changes}
    (trained / "boxes" / name).write_text(json.dumps(content))
    return f"--set=detection.test={name}"


def test_a_detector_is_measured_on_other_images_without_training(
    automix: Automix, trained: Path
) -> None:
    before = {each: each.read_bytes() for each in (trained / "run").iterdir()}
    result = automix("eval", trained / "run", other_annotations(trained, "other.json"), "--json")
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    assert content["annotations"].endswith("other.json")
    assert content["detector"]["num_images"] == 2
    assert set(NAMES) < set(content["detector"])
    assert {each: each.read_bytes() for each in (trained / "run").iterdir()} == before
    shown = automix("eval", trained / "run", other_annotations(trained, "other.json"))
    assert "other.json" in shown.stdout


def test_it_is_not_measured_on_categories_that_it_does_not_know(
    automix: Automix, trained: Path
) -> None:
    categories = [{"id": 3, "name": "bright"}, {"id": 90, "name": "black"}]
    wanted = other_annotations(trained, "wrong.json", categories=categories)
    result = automix("eval", trained / "run", wanted)
    assert result.exit_code == 3, result.output
    assert "finds bright (3), dark (90), " in result.stderr
    assert "has bright (3), black (90)" in result.stderr
    result = automix("eval", trained / "run", "--set=detection.test=nothing.json")
    assert result.exit_code == 3, result.output
    assert "wanted annotations at" in result.stderr


@pytest.mark.parametrize(
    "asked",
    [
        *(["--weights=momentum"], ["--bins=10"], ["--mixed"], ["--mixed-by=cutmix"]),
        *(["--localization"], ["--corruptions=cifar-c"]),
    ],
    ids=lambda asked: asked[0],
)
def test_what_is_for_classifiers_is_refused_of_a_detector(
    automix: Automix, trained: Path, asked: list[str]
) -> None:
    result = automix("eval", trained / "run", *asked)
    assert result.exit_code == 2, result.output
    assert f"`{asked[0].partition('=')[0]}` is for classifiers" in result.stderr


@pytest.mark.parametrize(
    ("name", "value"), [("category_ids", None), ("category_ids", [3]), ("mean", [0.5])]
)
def test_a_detector_that_does_not_say_what_it_finds_is_refused(
    automix: Automix, trained: Path, name: str, value: object
) -> None:
    path = trained / "run" / "detector.safetensors"
    with safe_open(path, framework="pt") as file:
        said = json.loads(file.metadata()["automix"])
    del said["sha256"]  # as of an older version: nothing says that it was changed
    said["dataset"][name] = value
    save_file(load_file(path), "changed.safetensors", {"automix": json.dumps(said)})
    result = automix("eval", "--checkpoint", "changed.safetensors")
    assert result.exit_code == 4, result.output
    assert "`changed.safetensors`" in result.stderr


def test_a_report_on_a_detector_has_its_numbers_curves_and_boxes(
    automix: Automix, trained: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(trained / "run", tmp_path / "run")
    assert automix("eval", run, "-o", run / "evaluation").exit_code == 0
    result = automix("report", run, "-o", "report.md")
    assert result.exit_code == 0, result.output
    page = Path("report.md").read_text()
    ap = json.loads((run / "summary.json").read_text())["last"]["test"]["detector"]["ap"]
    assert f"| AP | {100 * ap:.2f} |" in page
    for part in ("| detector |", "test AP50", "loss/objectness", "Test images with boxes"):
        assert part in page
    assert "| run | test.json | 4 |" in page
    assert f"automix detect --config {run}/settings.toml" in page
    assert "top-1" not in page
    (run / "summary.json").unlink()
    assert automix("report", run, "-o", "unfinished.md").exit_code == 0
    page = Path("unfinished.md").read_text()
    assert f"automix detect --resume {run}" in page
    assert f"| AP | {100 * ap:.2f} |" in page
