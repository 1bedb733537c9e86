"""`automix eval`: every number, from the command line to the files."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from automix_cli.cli import app
from tests.commands.conftest import QUICK, Automix, write_with_nine_classes

HEAD = "momentum_one_hot"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve steps on digits, with images held out."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    options = ("--set=train.max_steps=12", "--set=data.holdout=0.1", "-o", str(folder))
    result = CliRunner().invoke(app, ["train", "-p", "digits-tiny", *QUICK, *options])
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def report(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an evaluation with everything."""
    folder = tmp_path_factory.mktemp("report")
    result = CliRunner().invoke(app, ["eval", str(run), "--mixed", "-o", str(folder)])
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def row(report: Path) -> dict:
    return json.loads((report / "evaluation.json").read_text())["heads"][HEAD]


def evaluated(automix: Automix, run: Path, *options: str) -> dict:
    result: Result = automix("eval", run, *options, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["heads"][HEAD]


def test_the_report_is_exactly_these_files(report: Path) -> None:
    figures = {f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg")}
    assert {path.name for path in report.iterdir()} == {
        "evaluation.json",
        "confusion.csv",
        *figures,
    }


FIGURES = ("reliability", "confidence", "mixed")


def test_json_says_its_schema_and_keeps_the_keys_it_had(report: Path, row: dict) -> None:
    content = json.loads((report / "evaluation.json").read_text())
    assert content["schema_version"] == 2
    assert (content["dataset"], content["split"]) == ("digits", "test")
    assert {"num_images", "top1", "top1_interval", "top5", "nll", "ece"} <= set(row)


def test_bins_classes_and_confusion_are_about_the_same_images(row: dict) -> None:
    calibration = row["calibration"]
    num_right = round(row["top1"] * 360)
    assert sum(calibration["bins"]["num_images"]) == row["num_images"] == 360
    assert sum(calibration["bins"]["num_right"]) == num_right
    assert sum(each["num_images"] for each in row["classes"]) == 360
    assert sum(row["confusion"][k][k] for k in range(10)) == num_right
    assert [sum(line) for line in row["confusion"]] == [
        each["num_images"] for each in row["classes"]
    ]
    assert calibration["ece"] == pytest.approx(row["ece"], rel=1e-12)
    low, high = calibration["ece_interval"]
    assert low <= calibration["ece"] <= high


def test_the_confusion_table_has_the_names_of_the_classes(report: Path, row: dict) -> None:
    with (report / "confusion.csv").open() as file:
        head, *lines = csv.reader(file)
    assert head[1:] == [line[0] for line in lines] == list("0123456789")
    assert [[int(each) for each in line[1:]] for line in lines] == row["confusion"]


def test_temperature_is_fitted_on_the_images_training_held_out(row: dict) -> None:
    temperature = row["temperature"]
    assert temperature["fitted_on"] == "the 144 images held out of training"
    assert len(temperature["temperatures"]) == 1
    assert temperature["before"]["ece"] == pytest.approx(row["ece"], rel=1e-5)
    assert temperature["before"]["nll"] == pytest.approx(row["nll"], rel=1e-5)


def test_without_held_out_images_each_half_of_the_test_images_serves_the_other(
    automix: Automix,
) -> None:
    automix("train", "-p", "digits-tiny", *QUICK, "-o", "run")
    temperature = evaluated(automix, Path("run"))["temperature"]
    assert temperature["fitted_on"] == "the other half of the test images"
    assert len(temperature["temperatures"]) == 2
    assert temperature["num_images"] == 360


def test_mixed_images_are_counted_by_their_larger_share(row: dict) -> None:
    assert set(row["mixed"]) == {"mixup", "cutmix", "automix"}
    for measured in row["mixed"].values():
        assert sum(each["num_images"] for each in measured["by_larger_share"]) == 360
        assert measured["top1_larger"] <= measured["top1_either"]
        assert 280 < measured["num_of_two_classes"] < 360  # nine of ten pairs, more or less


def test_no_number_depends_on_the_batch_size(automix: Automix, run: Path, row: dict) -> None:
    other = evaluated(automix, run, "--mixed", "--batch-size", "37")

    def same(one: object, two: object) -> None:
        if isinstance(one, dict):
            assert one.keys() == two.keys()
            for key in one:
                same(one[key], two[key])
        elif isinstance(one, list):
            for a, b in zip(one, two, strict=True):
                same(a, b)
        else:
            assert two == (pytest.approx(one, rel=1e-4) if isinstance(one, float) else one)

    same(row, other)


def test_any_number_of_bins_may_be_asked_for(automix: Automix, run: Path, row: dict) -> None:
    other = evaluated(automix, run, "--bins", "1")["calibration"]
    assert other["num_bins"] == 1
    gap = row["calibration"]["overconfidence"] - row["calibration"]["underconfidence"]
    assert other["ece"] == pytest.approx(abs(gap), rel=1e-9)  # one bin sees the mean gap alone
    assert automix("eval", run, "--bins", "0").exit_code == 2


def test_a_person_sees_every_number(automix: Automix, run: Path) -> None:
    shown = automix("eval", run, "--mixed").stdout
    for words in ("ECE", "overconfidence", "Brier", "temperature", "hardest", "cutmix", "360"):
        assert words in shown


def test_without_a_folder_nothing_is_written(automix: Automix, run: Path, tmp_path: Path) -> None:
    before = {path.name for path in run.iterdir()}
    automix("eval", run)
    assert {path.name for path in run.iterdir()} == before
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_clear_error(automix: Automix, run: Path) -> None:
    Path("file").write_text("")
    result = automix("eval", run, "-o", "file/report")
    assert result.exit_code == 2
    assert "cannot write a report into the folder" in result.stderr


def test_training_writes_calibration_beside_likelihood(run: Path) -> None:
    last = json.loads((run / "summary.json").read_text())["last"]["test"]
    assert all(0 <= each["ece"] <= 1 for each in last.values())
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert f"{HEAD}/ece" in lines[-1]


def test_a_checkpoint_of_another_class_count_is_refused(automix: Automix, run: Path) -> None:
    write_with_nine_classes(run / "classifier.safetensors", Path("nine.safetensors"))
    result = automix("eval", "--checkpoint", "nine.safetensors")
    assert result.exit_code == 3
    assert "trained on the 9 classes" in result.stderr
