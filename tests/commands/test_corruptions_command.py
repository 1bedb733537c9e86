"""`automix corruptions` and `automix eval --corruptions` on a tiny CIFAR, as a person runs them."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from data.published_cifar import publish_cifar
from PIL import Image
from typer.testing import CliRunner

from automix_cli.cli import app
from automix_cli.data import frost
from automix_cli.data.cifar import load_cifar_test
from automix_cli.data.corrupted_official import MD5, REPRODUCIBLE
from automix_cli.evaluation.corruptions import CORRUPTIONS, corrupt
from tests.commands.conftest import QUICK, Automix

CIFAR_DIR = os.environ.get("CIFAR_DIR")
OFFLINE = ("--set", "data.download=false")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder with a tiny CIFAR-10: eight test images of three classes."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as monkeypatch:
        publish_cifar("cifar10", folder, monkeypatch)
        monkeypatch.setattr(frost, "SOURCE", "http://127.0.0.1:9/")  # nobody there
        yield folder


@pytest.fixture(scope="module")
def run(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of those classes, as good as untrained."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    arguments = [
        *("train", "--preset", "digits-tiny", "--method", "vanilla", *QUICK, *OFFLINE),
        *("--set", "data.name=cifar10", "--set", "train.batch_size=8"),
        *("--data-dir", str(data_dir), "-o", str(folder)),
    ]
    trained = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert trained.exit_code == 0, trained.output
    return folder


def clean_images(data_dir: Path) -> np.ndarray:
    test = load_cifar_test("cifar10", data_dir, download=False)
    return test.images.permute(0, 2, 3, 1).contiguous().numpy()


def test_make_writes_every_corruption_but_frost_and_says_so(
    automix: Automix, data_dir: Path
) -> None:
    made = automix("corruptions", "make", "--data-dir", data_dir, *OFFLINE, "--json")
    assert made.exit_code == 0, made.output
    content = json.loads(made.stdout)
    assert content["left_out"] == ["frost"]
    folder = data_dir / "CIFAR-10-C-generated"
    expected = {f"{name}.npy" for name in CORRUPTIONS if name != "frost"}
    assert {each.name for each in folder.iterdir()} == {*expected, "labels.npy", "meta.json"}
    assert "frost is left out" in made.stderr
    pixelated = np.load(folder / "pixelate.npy")
    assert pixelated.shape == (40, 32, 32, 3)
    assert np.array_equal(pixelated[16:24], corrupt("pixelate", 3, clean_images(data_dir)))


def test_making_again_makes_nothing_and_another_seed_needs_force(
    automix: Automix, data_dir: Path
) -> None:
    command = ("corruptions", "make", "set", "--data-dir", data_dir, "--corruptions", "fog")
    first = automix(*command, *OFFLINE, "--json")
    content = (Path("set") / "fog.npy").read_bytes()
    again = automix(*command, *OFFLINE, "--json")
    assert json.loads(first.stdout)["files"][1]["milliseconds"] > 0
    assert json.loads(again.stdout)["files"][1]["milliseconds"] is None
    refused = automix(*command, *OFFLINE, "--seed", 1)
    assert refused.exit_code == 3
    assert "seed 0, wanted 1" in refused.stderr
    assert automix(*command, *OFFLINE, "--seed", 1, "--force").exit_code == 0
    assert (Path("set") / "fog.npy").read_bytes() != content


def test_a_file_does_not_depend_on_what_else_is_made(automix: Automix, data_dir: Path) -> None:
    common = ("--data-dir", data_dir, *OFFLINE, "--corruptions")
    automix("corruptions", "make", "one", *common, "snow,fog", "--severities", "1,2,3")
    automix("corruptions", "make", "two", *common, "fog", "--severities", "2")
    one, two = (np.load(Path(folder) / "fog.npy") for folder in ("one", "two"))
    assert np.array_equal(one[8:16], two)


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("--corruptions", "rain"), 2, "there is no corruption `rain`"),
        (("--severities", "1,6"), 2, "severities are 1 to 5, got `6`"),
        (("--severities", "low"), 2, "severities are 1 to 5, got `low`"),
        (("--data-set", "digits"), 2, "`data.name` is `digits`"),
        (("--corruptions", "frost"), 3, "wanted the frost photograph"),
        (("--frost-dir", "nowhere"), 3, "wanted the frost photograph `nowhere"),
    ],
    ids=["name", "severity", "text", "data_set", "frost", "frost_dir"],
)
def test_make_refuses(
    automix: Automix, data_dir: Path, arguments: tuple[str, ...], code: int, complaint: str
) -> None:
    refused = automix("corruptions", "make", "set", "--data-dir", data_dir, *OFFLINE, *arguments)
    assert refused.exit_code == code
    assert complaint in refused.stderr


def test_verify_finds_a_file_that_is_not_the_published_one(
    automix: Automix, data_dir: Path
) -> None:
    common = ("--data-dir", data_dir, *OFFLINE, "--corruptions", "fog,pixelate")
    automix("corruptions", "make", "set", *common)
    unknown = automix("corruptions", "verify", "set")
    assert unknown.exit_code == 5
    assert "neither CIFAR-10-C's nor CIFAR-100-C's" in unknown.stderr
    found = automix("corruptions", "verify", "set", "--data-set", "cifar10", "--json")
    assert found.exit_code == 5  # the tiny images are not the real ones
    verdicts = {row["name"]: row["verdict"] for row in json.loads(found.stdout)["files"]}
    assert verdicts["fog"] == "as generated"
    assert verdicts["pixelate"] == verdicts["labels"] == "WRONG"
    assert verdicts["snow"] == "missing"
    (Path("set") / "fog.npy").write_bytes(b"changed")
    found = automix("corruptions", "verify", "set", "--data-set", "cifar10", "--json")
    assert {row["name"]: row["verdict"] for row in json.loads(found.stdout)["files"]}[
        "fog"
    ] == "WRONG"


def test_verify_of_an_empty_folder_is_missing_data(automix: Automix, tmp_path: Path) -> None:
    assert automix("corruptions", "verify", tmp_path).exit_code == 3


def test_eval_makes_measures_labels_and_writes(automix: Automix, run: Path, data_dir: Path) -> None:
    command = ("eval", run, "--corruptions", "cifar-c", *OFFLINE, "--device", "cpu")
    measured = automix(*command, "--json")
    assert measured.exit_code == 0, measured.output
    record = json.loads(measured.stdout)["corruptions"]
    written = run / "corruptions"
    assert {each.name for each in written.iterdir()} == {
        "CIFAR-10-C.json",
        "CIFAR-10-C.png",
        "CIFAR-10-C.svg",
    }
    assert json.loads((written / "CIFAR-10-C.json").read_text()) == record
    assert record["schema_version"] == 1
    assert record["is_generated"] is True
    assert record["missing"] == record["means"]["mean15"]["missing"] == ["frost"]
    assert record["num_images"] == 8
    assert all(len(row["top1"]) == 5 for row in record["corruptions"].values())


def test_eval_measures_what_the_files_hold(automix: Automix, run: Path, data_dir: Path) -> None:
    # clean images in place of corrupted ones: every accuracy is the clean one
    folder = Path("found")
    folder.mkdir()
    clean = clean_images(data_dir)
    np.save(folder / "fog.npy", np.concatenate([clean] * 4 + [255 - clean]))
    labels = load_cifar_test("cifar10", data_dir, download=False).labels.numpy()
    np.save(folder / "labels.npy", np.tile(labels, 5).astype(np.uint8))
    measured = automix(
        *("eval", run, "--corruptions", "cifar-c", "--corruptions-dir", folder),
        *("--output-dir", "report", "--json", "--device=cpu", *OFFLINE),
    )
    assert measured.exit_code == 0, measured.output
    content = json.loads(measured.stdout)
    head = content["heads"]["momentum_one_hot"]
    record = content["corruptions"]
    assert record["is_generated"] is False
    assert record["corruptions"]["fog"]["top1"][:4] == [head["top1"]] * 4
    assert record["corruptions"]["fog"]["nll"][:4] == pytest.approx([head["nll"]] * 4)
    assert record["corruptions"]["fog"]["nll"][4] != pytest.approx(head["nll"])


def test_eval_of_a_part_says_so_and_relates_to_a_baseline(
    automix: Automix, run: Path, data_dir: Path
) -> None:
    made = automix(
        *("corruptions", "make", "set", "--corruptions", "fog,snow,spatter"),
        *("--data-dir", data_dir, *OFFLINE),
    )
    assert made.exit_code == 0, made.output
    common = ("eval", run, "--corruptions", "cifar-c", "--corruptions-dir", "set", *OFFLINE)
    part = ("--device=cpu", "--corruptions-limit", 5, "--output-dir", "part")
    shown = automix(*common, *part)
    assert "PARTIAL: the first 5 images only" in " ".join(shown.stdout.split())
    assert "generated by automix, seed 0" in " ".join(shown.stdout.split())
    assert "(2 of 15" in shown.stdout
    record = json.loads((Path("part") / "corruptions" / "CIFAR-10-C-first-5.json").read_text())
    assert record["is_partial"] is True
    assert record["num_images"] == 5
    file = Path("part") / "corruptions" / "CIFAR-10-C-first-5.json"
    stored = json.loads(file.read_text())
    for row in stored["corruptions"].values():
        row["top1"] = [0.5] * 5
    stored["clean_top1"] = 0.75
    file.write_text(json.dumps(stored))
    related = json.loads(automix(*common, *part, "--baseline", file, "--json").stdout)[
        "corruptions"
    ]
    errors = [
        row["top1"] for name, row in record["corruptions"].items() if name in related["mce"]["of"]
    ]
    mean = np.mean([1 - np.mean(row) for row in errors])
    assert related["mce"]["mce"] == pytest.approx(mean / 0.5)
    assert related["mce"]["relative_mce"] == pytest.approx(
        (mean - (1 - record["clean_top1"])) / 0.25
    )


def test_eval_reads_folders_of_photographs(automix: Automix, run: Path, data_dir: Path) -> None:
    # the clean test images as lossless files: every accuracy is the clean one
    test = load_cifar_test("cifar10", data_dir, download=False)
    pixels = clean_images(data_dir)
    for severity in range(1, 6):
        for number, label in enumerate(test.labels.tolist()):
            place = Path("ImageNet-C", "weather", "fog", str(severity), test.class_names[label])
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[number]).save(place / f"{number}.png")
    measured = automix(
        *("eval", run, "--corruptions", "imagenet-c", "--corruptions-dir", "ImageNet-C"),
        *("--baseline", "alexnet", "--output-dir", "report", "--json", "--device=cpu", *OFFLINE),
    )
    assert measured.exit_code == 0, measured.output
    content = json.loads(measured.stdout)
    record, head = content["corruptions"], content["heads"]["momentum_one_hot"]
    assert record["corruptions"]["fog"]["top1"] == [head["top1"]] * 5
    assert record["corruptions"]["fog"]["nll"] == pytest.approx([head["nll"]] * 5)
    assert record["mce"]["mce"] == pytest.approx((1 - head["top1"]) / 0.819324)
    assert record["mce"]["baseline_checkpoint"] == "AlexNet, as published"
    assert (Path("report") / "corruptions" / "ImageNet-C.svg").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("--corruptions", "cifar-z"), 2, "must be one of cifar-c, imagenet-c, tiny-imagenet-c"),
        (("--corruptions", "imagenet-c", "--corruptions-limit", "9"), 2, "is for `cifar-c`"),
        (("--corruptions", "tiny-imagenet-c"), 3, "Tiny-ImageNet-C` holds none of"),
        (("--corruptions", "cifar-c", "--baseline", "alexnet"), 3, "is no record"),
        (("--corruptions", "cifar-c", "--corruptions-limit", "0"), 2, "must be at least 1"),
        (("--corruptions", "cifar-c", "--baseline", "none.json"), 3, "is no record"),
        (("--corruptions", "cifar-c", "--corruptions-dir", "nowhere"), 3, "holds none of"),
        (("--verify-cifar-c", "nowhere"), 3, "holds no corrupted images"),
    ],
    ids=["suite", "part", "photographs", "alexnet", "limit", "baseline", "folder", "verify"],
)
def test_eval_refuses(
    automix: Automix, run: Path, arguments: tuple[str, ...], code: int, complaint: str
) -> None:
    refused = automix("eval", run, *OFFLINE, "--device=cpu", *arguments)
    assert refused.exit_code == code
    assert complaint in refused.stderr


def test_other_data_have_no_cifar_c(automix: Automix, run: Path) -> None:
    refused = automix("eval", run, "--set", "data.name=digits", "--corruptions", "cifar-c")
    assert refused.exit_code == 2
    assert "`data.name` is `digits`" in refused.stderr


@pytest.mark.slow
@pytest.mark.skipif(CIFAR_DIR is None, reason="CIFAR_DIR does not name a folder with both CIFARs")
@pytest.mark.parametrize("data_set", ["cifar10", "cifar100"])
def test_reproducible_files_are_the_published_ones(automix: Automix, data_set: str) -> None:
    names = sorted(REPRODUCIBLE - {"labels"})
    made = automix(
        *("corruptions", "make", "set", "--data-set", data_set, "--data-dir", CIFAR_DIR or ""),
        *("--corruptions", ",".join(names), "--json"),
    )
    assert made.exit_code == 0, made.output
    found = {row["name"]: row["md5"] for row in json.loads(made.stdout)["files"]}
    assert found == {name: MD5[data_set][name] for name in REPRODUCIBLE}


def test_a_classifier_of_other_classes_is_refused(automix: Automix, run: Path) -> None:
    command = ("eval", run, "--set", "data.name=digits", "--device=cpu", *OFFLINE)
    refused = automix(*command, "--corruptions", "imagenet-c")
    assert refused.exit_code == 3
    assert "was trained on the 3 classes of cifar10, the data have 10 classes" in refused.stderr
