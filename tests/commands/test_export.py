"""`automix export` and `automix inspect`, from the command line to the file."""

import json
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from automix_cli.cli import app
from automix_cli.commands.exporting import formats as export_formats
from automix_cli.commands.exporting.verification import TEST, Expectation, compare
from automix_cli.errors import VerificationError
from tests.commands.conftest import QUICK, Automix

SAFETENSORS = ("--format", "safetensors", "--verify-images", "20")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four steps on digits."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    result = CliRunner().invoke(app, ["train", "-p", "digits-tiny", *QUICK, "-o", str(folder)])
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A file of weights, and what the command said of it."""
    path = tmp_path_factory.mktemp("exported") / "a.safetensors"
    arguments = ["export", str(run), *SAFETENSORS, "-o", str(path), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return path, json.loads(result.stdout)


def test_the_file_is_compared_at_three_batches_another_size_and_on_test_images(
    exported: tuple[Path, dict],
) -> None:
    path, said = exported
    (check,) = said["checks"]
    assert list(check["differences"]) == ["batch 1", "batch 2", "batch 7", "size 48", TEST]
    assert check["max_difference"] < 1e-4
    assert check["top1_before"] == check["top1_after"]
    assert check["num_images"] == 20
    assert said["num_bytes"] == path.stat().st_size
    assert check["milliseconds"] > 0
    assert {each.name for each in path.parent.iterdir()} == {path.name, "README.md"}


def test_the_file_holds_one_head_and_what_is_needed_to_use_it(exported: tuple[Path, dict]) -> None:
    path, _ = exported
    with safe_open(path, framework="pt") as file:
        names, said = set(file.keys()), json.loads(file.metadata()["automix"])
    assert {"conv1.weight", "fc.weight", "fc.bias"} <= names
    assert not any("mix" in name or "head" in name for name in names)
    assert said["dataset"]["class_names"] == list("0123456789")
    assert len(said["dataset"]["mean"]) == len(said["dataset"]["std"]) == 1
    assert said["export"]["input"] == ["batch", 1, 32, 32]


def test_eval_judges_an_export_as_the_run_itself(
    automix: Automix, run: Path, exported: tuple[Path, dict]
) -> None:
    path, _ = exported
    results = [automix("eval", each, "--json", "--device=cpu") for each in (run, path)]
    heads = [json.loads(each.stdout)["heads"]["momentum_one_hot"] for each in results]
    assert heads[0]["top1"] == heads[1]["top1"]
    assert heads[0]["nll"] == pytest.approx(heads[1]["nll"], rel=1e-6)


def test_an_export_of_the_classifier_is_judged_as_that(
    automix: Automix, run: Path, tmp_path: Path
) -> None:
    path = tmp_path / "a.safetensors"
    arguments = ("export", run, *SAFETENSORS, "--weights=classifier", "-o", path)
    assert automix(*arguments).exit_code == 0
    of_run = automix("eval", run, "--weights=classifier", "--json", "--device=cpu")
    for asked in ((), ("--weights=classifier",)):
        of_file = automix("eval", path, "--json", "--device=cpu", *asked)
        (head, row), *_ = json.loads(of_file.stdout)["heads"].items()
        assert head == "classifier_one_hot"
        assert row["top1"] == json.loads(of_run.stdout)["heads"][head]["top1"]


def test_a_file_that_says_something_else_ends_with_5_and_is_not_left_behind(
    automix: Automix, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(shipment: export_formats.Shipment, path: Path) -> bool:
        is_any_size = export_formats.write_safetensors(shipment, path)
        save_file({name: 1.01 * each for name, each in load_file(path).items()}, path)
        return is_any_size

    writers = {**export_formats.WRITERS, "safetensors": broken}
    monkeypatch.setattr("automix_cli.commands.export.WRITERS", writers)
    (tmp_path / "kept.safetensors").write_text("as before")
    result = automix("export", run, *SAFETENSORS, "-o", "kept.safetensors", "--force")
    assert result.exit_code == 5
    assert "does not say what the trained network says" in result.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["kept.safetensors"]
    assert (tmp_path / "kept.safetensors").read_text() == "as before"


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ([[0.0, float("nan")]], "differ by nan"),
        ([[0.0, 1.0, 2.0]], "shape"),
        ([[0.5 + 1e-5, 0.5]], "right about 0 of 1"),
    ],
)
def test_every_kind_of_disagreement_is_found(outputs: list, words: str) -> None:
    wanted = {TEST: torch.tensor([[0.5, 0.5 + 1e-5]])}
    expected = Expectation({}, wanted, torch.tensor([1]))
    with pytest.raises(VerificationError, match=words):
        compare({TEST: torch.tensor(outputs).numpy()}, expected, "a")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--format", "tflite"], "must be one of onnx"),
        (["--format", "safetensors", "--softmax"], "weights alone"),
        (["--format", "timm"], "timm does not build `tiny_resnet`"),
        ([*SAFETENSORS, "-o", "there"], "`there` exists"),
        ([*SAFETENSORS, "-o", "there/a.safetensors"], "cannot write to the folder `there`"),
        ([*SAFETENSORS, "-o", "/proc/a.safetensors"], "cannot write to the folder `/proc`"),
    ],
)
def test_what_cannot_be_done_is_a_clear_error(
    automix: Automix, run: Path, options: list[str], words: str
) -> None:
    Path("there").write_text("")
    result = automix("export", run, *options)
    assert result.exit_code == 2
    assert words in result.stderr


def test_onnx_without_its_extra_names_the_extra(
    automix: Automix, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_formats, "EXTRA", ("onnx_that_nobody_has",))
    result = automix("export", run)
    assert result.exit_code == 2
    assert "automix-cli[export]" in result.stderr


def test_an_opset_that_does_not_exist_is_a_clear_error(automix: Automix, run: Path) -> None:
    pytest.importorskip("onnx", reason="the extra `export` is not installed")
    result = automix("export", run, "--opset", "99")
    assert result.exit_code == 2
    assert "`--opset` must be in [18, " in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["onnx", "torch-export"])
def test_graphs_are_verified_with_normalisation_and_softmax_inside(
    automix: Automix, run: Path, file_format: str
) -> None:
    for name in export_formats.EXTRA:
        pytest.importorskip(name, reason="the extra `export` is not installed")
    options = ("--format", file_format, "--verify-images", "20", "--weights", "classifier")
    name = f"a{export_formats.ENDINGS[file_format]}"
    result = automix("export", run, *options, "--normalize", "--softmax", "-o", name, "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["any_size"]
    assert "size 48" in said["checks"][0]["differences"]
    shown = json.loads(automix("inspect", name, "--json").stdout)
    assert shown["facts"]["output"] == "probabilities"
    assert shown["dataset"]["class_names"] == list("0123456789")
    assert shown["num_numbers"] > 200_000


class TestInspect:
    """What is in a file, without running any of it."""

    def test_a_checkpoint(self, automix: Automix, run: Path) -> None:
        said = json.loads(automix("inspect", run / "ckpt.pt", "--json").stdout)
        assert said["kind"] == "checkpoint of automix"
        assert said["facts"]["step"] == 4
        assert said["settings"]["mix"]["method"] == "automix"
        assert said["software"]["torch"] == version("torch")
        assert {"classifier.backbone", "momentum_classifier.backbone"} <= said["groups"].keys()

    def test_an_export_equals_what_safetensors_says(
        self, automix: Automix, exported: tuple[Path, dict]
    ) -> None:
        path, _ = exported
        said = json.loads(automix("inspect", path, "--json").stdout)
        tensors = load_file(path)
        assert said["tensors"] == {name: list(each.shape) for name, each in tensors.items()}
        assert said["num_numbers"] == sum(each.numel() for each in tensors.values())

    def test_a_person_sees_groups(self, automix: Automix, run: Path) -> None:
        shown = automix("inspect", run / "classifier.safetensors").stdout
        assert "tiny_resnet" in shown
        assert "head_one_hot" in shown

    def test_code_in_a_file_is_not_run(self, automix: Automix) -> None:
        torch.save({"weights": torch.zeros(1), "code": Path.cwd}, "evil.pth")
        result = automix("inspect", "evil.pth")
        assert result.exit_code == 4
        assert "was not loaded" in result.stderr

    @pytest.mark.parametrize("name", ["a.safetensors", "a.pt2", "a.pt"])
    def test_a_damaged_file_is_a_clear_error(self, automix: Automix, name: str) -> None:
        Path(name).write_bytes(b"\xff" * 100)
        result = automix("inspect", name)
        assert result.exit_code == 4
        assert name in result.stderr

    def test_a_missing_file_is_a_clear_error(self, automix: Automix) -> None:
        assert automix("inspect", "nothing.pt").exit_code == 4
