"""`automix robustness` from the command line to the report."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from automix_cli.cli import app
from automix_cli.commands.attacking.attacks import attack_record
from automix_cli.commands.attacking.plan import Row
from automix_cli.commands.attacking.subject import Subject
from automix_cli.commands.attacking.unknown import unknown_names
from automix_cli.commands.evaluating.judged_images import Viewer
from automix_cli.data.image_set import image_set_from_arrays
from automix_cli.engine.checkpoint import write_checkpoint
from automix_cli.engine.runtime import build_accelerator
from automix_cli.errors import SettingsError, VerificationError
from automix_cli.evaluation.attacks import Attack
from automix_cli.evaluation.pixel_classifier import PixelClassifier
from automix_cli.settings import DataSettings
from tests.commands.conftest import Automix, write_with_nine_classes
from tests.data.pictures import smooth_pixels, write_folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty steps on digits: its classifier is right in five of six."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    options = {
        "train.epochs": 2,
        "train.batch_size": 48,
        "train.evaluate_every": 2,
        "optimizer.name": "adamw",
        "optimizer.lr": 0.006,
        "optimizer.schedule_unit": "step",
        "data.crop_padding": 0,
    }
    sets = [f"--set={key}={value}" for key, value in options.items()]
    arguments = ["train", "-p", "digits-tiny", "-m", "vanilla", "--device=cpu", *sets]
    result = CliRunner().invoke(app, [*arguments, "-o", str(folder)])
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def report(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report with every part, of 40 images."""
    folder = tmp_path_factory.mktemp("report")
    arguments = ["robustness", str(run), "--weights", "classifier", "--quick", "40", "--steps", "8"]
    result = CliRunner().invoke(app, [*arguments, "-o", str(folder)])
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def content(report: Path) -> dict:
    return json.loads((report / "robustness.json").read_text())


@pytest.fixture
def model(content: dict) -> dict:
    (only,) = content["models"].values()
    return only


def attacked(automix: Automix, run: Path, *options: str) -> list[dict]:
    result = automix(
        "robustness", run, "--weights", "classifier", "--only", "attacks", *options, "--json"
    )
    assert result.exit_code == 0, result.output
    (only,) = json.loads(result.stdout)["models"].values()
    return only["attacks"]


def test_the_report_is_one_json_and_one_page_of_plots(report: Path) -> None:
    assert {path.name for path in report.iterdir()} == {
        "robustness.json",
        "robustness.png",
        "robustness.svg",
    }


def test_a_quick_report_says_so_in_every_number(content: dict, model: dict) -> None:
    assert content["schema_version"] == 1
    assert content["quick"] is True
    assert (content["num_images"], content["num_test_images"]) == (40, 360)
    for part in ("attacks", "occlusion", "masking"):
        assert all(record["num_images"] == 40 for record in model[part])
    assert all(record["num_known"] == 40 for record in model["unknown"])
    assert model["clean"]["num_images"] == 40


def test_fgsm_at_8_255_is_among_the_default_rows(model: dict) -> None:
    rows = {(each["attack"], each["epsilon_typed"]): each for each in model["attacks"]}
    assert set(rows) == {
        (name, epsilon) for name in ("fgsm", "pgd") for epsilon in ("2/255", "4/255", "8/255")
    }
    fgsm = rows["fgsm", "8/255"]
    assert fgsm["epsilon"] == 8 / 255
    assert fgsm["steps"] == 1
    assert 0 < fgsm["error_of_all"] <= 1 - fgsm["accuracy"]


def test_attacks_weaken_with_epsilon_and_pgd_is_at_least_as_strong(model: dict) -> None:
    def curve(name: str) -> list[float]:
        return [each["accuracy"] for each in model["attacks"] if each["attack"] == name]

    assert model["clean"]["top1"] > 0.5
    assert model["clean"]["top1"] >= curve("fgsm")[0] >= curve("fgsm")[2]
    assert all(pgd <= fgsm for pgd, fgsm in zip(curve("pgd"), curve("fgsm"), strict=True))
    assert curve("pgd")[2] < model["clean"]["top1"]


def test_a_plain_network_shows_no_sign_of_masked_gradients(model: dict) -> None:
    assert len(model["masking"]) == 7
    assert [each["check"] for each in model["masking"] if not each["passed"]] == []


def test_a_network_that_hides_its_gradients_is_warned_about(automix: Automix, run: Path) -> None:
    """Logits times 1e6: the softmax is a step function, and gradients of float32 vanish."""
    path = run / "classifier.safetensors"
    with safe_open(path, framework="pt") as file:
        stored = json.loads(file.metadata()["automix"])
    del stored["sha256"]  # as of an older version: nothing says that it was changed
    weights = load_file(path)
    for name in ("head_one_hot.weight", "head_one_hot.bias"):
        weights[name] = 1e6 * weights[name]
    save_file(weights, "masked.safetensors", {"automix": json.dumps(stored)})
    result = automix(
        "robustness",
        *("--checkpoint", "masked.safetensors", "--only", "masking", "--quick", "20"),
        *("--steps", "2", "-o", "report"),
    )
    assert result.exit_code == 0, result.output
    assert "WARN" in result.stdout
    content = json.loads(Path("report/robustness.json").read_text())
    (only,) = content["models"].values()
    assert "no image has a gradient of zero" in [
        each["check"] for each in only["masking"] if not each["passed"]
    ]


def test_every_score_of_every_unknown_set_is_there(model: dict) -> None:
    assert [(each["unknown"], each["score"]) for each in model["unknown"]] == [
        ("noise", "max_softmax"),
        ("noise", "max_logit"),
        ("noise", "energy"),
    ]
    assert all(0 <= each["auroc"] <= 1 for each in model["unknown"])


def test_nothing_hidden_is_the_clean_accuracy_and_hiding_costs_some(model: dict) -> None:
    shares = [each["share"] for each in model["occlusion"]]
    assert shares == pytest.approx([place / 10 for place in range(10)])
    assert model["occlusion"][0]["accuracy"] == model["clean"]["top1"]
    assert model["occlusion"][-1]["accuracy"] < model["clean"]["top1"]
    assert {each["patch_pixels"] for each in model["occlusion"]} == {4}


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Coloured images of several sizes: some in folders of classes, one in none."""
    folder = tmp_path / "photographs"
    write_folder(folder, 5)
    Image.fromarray(smooth_pixels(30, 50)).save(folder / "loose.png")
    (folder / "notes.txt").write_text("no image")
    return folder


def test_a_folder_of_images_is_unknown_with_or_without_classes(
    automix: Automix, run: Path, photographs: Path
) -> None:
    """They are shown in grey, at the size of the digits."""
    options = ("--only", "unknown", "--quick", "10", "--ood", photographs, "--ood", "noise")
    result = automix("robustness", run, *options, "-o", "report")
    assert result.exit_code == 0, result.output
    content = json.loads(Path("report/robustness.json").read_text())
    (only,) = content["models"].values()
    sizes = {each["unknown"]: each["num_unknown"] for each in only["unknown"]}
    assert sizes == {str(photographs): 6, "noise": 10}
    assert all(0 <= each["auroc"] <= 1 for each in only["unknown"])


def test_a_folder_that_is_of_no_use_is_a_clear_error_before_anything_is_attacked(
    automix: Automix, run: Path, photographs: Path
) -> None:
    (photographs / "empty").mkdir()
    nothing = automix("robustness", run, "--ood", photographs / "empty")
    assert nothing.exit_code == 3
    assert "there is no image in" in nothing.stderr
    file = automix("robustness", run, "--ood", photographs / "loose.png")
    assert file.exit_code == 2
    assert "is a file" in " ".join(file.stderr.split())
    absent = automix("robustness", run, "--ood", "cifar100", "--data-dir", photographs)
    assert absent.exit_code == 3
    (photographs / "broken.png").write_text("no image")
    broken = automix("robustness", run, "--only", "unknown", "--ood", photographs)
    assert broken.exit_code == 3
    assert "broken.png" in broken.stderr


def test_the_folder_a_network_was_trained_on_is_not_unknown_to_it(photographs: Path) -> None:
    data = DataSettings(name="folder", dir=photographs)
    for folder in (photographs, photographs / "a", photographs.parent):
        with pytest.raises(SettingsError, match="what the network was trained on"):
            unknown_names((str(folder),), data)


def test_numbers_depend_on_the_seed_and_on_nothing_else(automix: Automix, run: Path) -> None:
    options = ("--attack=pgd", "--epsilon=16/255", "--steps=3", "--quick=40", "--targeted")
    first = attacked(automix, run, *options)
    assert attacked(automix, run, *options, "--batch-size", "7") == first
    others = [attacked(automix, run, *options, "--seed", str(seed)) for seed in (1, 2)]
    assert any(other != first for other in others)


def test_epsilon_may_be_a_fraction_or_a_number_and_names_repeat_once(
    automix: Automix, run: Path
) -> None:
    options = ("--attack=fgsm", "--attack=fgsm", "--epsilon=8/255", "--epsilon=0.01", "--quick=20")
    rows = attacked(automix, run, *options)
    assert [row["epsilon"] for row in rows] == [0.01, 8 / 255]


def test_l2_targets_momentum_and_restarts_are_written_down(automix: Automix, run: Path) -> None:
    options = ("--norm", "l2", "--epsilon", "2", "--steps", "3", "--quick", "30", "--targeted")
    more = ("--attack", "pgd", "--attack", "mifgsm", "--restarts", "2", "--step-size", "0.7")
    pgd, mifgsm = attacked(automix, run, *options, *more)
    assert (pgd["norm"], pgd["restarts"], pgd["momentum"]) == ("l2", 2, None)
    assert (mifgsm["restarts"], mifgsm["momentum"], mifgsm["step_size"]) == (1, 1.0, 0.7)
    assert pgd["targeted"]
    assert 0 <= pgd["target_reached"] <= 1


def test_several_networks_stand_side_by_side(automix: Automix, run: Path) -> None:
    options = ("--only", "attacks", "--only", "unknown", "--quick", "20", "--steps", "1")
    files = ("--checkpoint", run, "--checkpoint", run / "classifier.safetensors")
    result = automix("robustness", *files, *options, "-o", "both")
    assert result.exit_code == 0, result.output
    content = json.loads(Path("both/robustness.json").read_text())
    assert list(content["models"]) == ["run", "run/classifier.safetensors"]
    one, other = content["models"].values()
    assert one["attacks"] == other["attacks"]  # both hold the momentum classifier
    assert "run/classi" in result.stdout.replace("\n", "")


def test_the_report_lies_beside_the_checkpoint_unless_told_otherwise(
    automix: Automix, run: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "alone.safetensors"
    copied.write_bytes((run / "classifier.safetensors").read_bytes())
    options = ("--only", "occlusion", "--quick", "10")
    assert automix("robustness", "--checkpoint", copied, *options).exit_code == 0
    assert (tmp_path / "robustness" / "robustness.json").is_file()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--epsilon", "8"], "epsilon must be in (0, 1]"),
        (["--epsilon", "0"], "epsilon must be in (0, 1]"),
        (["--epsilon", "8/0"], "number or a fraction"),
        (["--epsilon", "eight"], "number or a fraction"),
        (["--step-size", "0"], "step_size must be greater than 0"),
        (["--restarts", "0"], "at least 1"),
        (["--attack", "pdg"], "did you mean `pgd`?"),
        (["--norm", "l1"], "`--norm` must be one of linf, l2"),
        (["--only", "attack"], "did you mean `attacks`?"),
        (["--ood", "cifar11"], "`--ood` must be one of noise, digits"),
        (["--ood", "digits"], "what the network was trained on"),
        (["--ood", "folder"], "`--ood` must be one of noise, digits"),
        (["--ood", "no/such/folder"], "`no/such/folder` is not there"),
        (["--quick", "361"], "more than the 360 test images"),
        (["--quick", "0"], "--quick"),  # the rest is in typer's words, which change
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_has_no_meaning_is_exit_code_2_with_a_reason(
    automix: Automix, run: Path, options: list[str], words: str
) -> None:
    result = automix("robustness", run, *options)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())
    assert not (run / "robustness").exists()


def test_a_missing_package_is_named_with_the_way_to_install_it(
    automix: Automix, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = automix("robustness", run, "--attack", "autoattack")
    assert result.exit_code == 2
    assert "pip install pyautoattack" in result.stderr


def test_a_checkpoint_of_other_classes_is_refused(automix: Automix, run: Path) -> None:
    write_with_nine_classes(run / "classifier.safetensors", Path("nine.safetensors"))
    result = automix("robustness", "--checkpoint", "nine.safetensors", "--quick", "10")
    assert result.exit_code == 3
    assert "trained on the 9 classes" in result.stderr


def test_networks_of_different_data_are_not_compared(automix: Automix, run: Path) -> None:
    content = torch.load(run / "ckpt.pt", weights_only=True)
    content["header"]["settings"]["data"]["name"] = "cifar10"
    write_checkpoint(Path("other.pt"), content)
    result = automix("robustness", "--checkpoint", run, "--checkpoint", "other.pt")
    assert result.exit_code == 2
    assert "different data: cifar10, digits" in result.stderr


def test_weights_that_are_not_finite_are_refused(automix: Automix, run: Path) -> None:
    content = torch.load(run / "ckpt.pt", weights_only=True)
    content["model"]["momentum_classifier.head_one_hot.bias"][0] = float("nan")
    write_checkpoint(Path("broken.pt"), content)
    result = automix("robustness", "--checkpoint", "broken.pt", "--quick", "10")
    assert result.exit_code == 1
    assert "not finite" in result.stderr


def test_a_network_without_gradients_cannot_be_attacked_and_that_is_said() -> None:
    class Detached(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.detach().flatten(1)

    pixels = np.zeros((3, 1, 2, 2), dtype=np.uint8)
    images = image_set_from_arrays(pixels, np.arange(3), ("a", "b", "c", "d"))
    accelerator = build_accelerator(device="cpu", mixed_precision="no")
    viewer = Viewer(DataSettings(), (0.0,), (1.0,), 2, accelerator.device)
    network = PixelClassifier(Detached(), (0.0,), (1.0,))
    subject = Subject(accelerator, network, images, np.arange(3), (1, 2), viewer, 3, 0)
    row = Row("pgd", "8/255", Attack(epsilon=8 / 255, steps=2))
    with pytest.raises(VerificationError, match=r"the attack pgd failed: .*gives no gradient"):
        attack_record(subject, row, 4)


@pytest.mark.slow
def test_autoattack_is_at_least_as_strong_as_pgd(automix: Automix, run: Path) -> None:
    pytest.importorskip("pyautoattack")
    options = ("--attack", "pgd", "--attack", "autoattack", "--epsilon", "16/255", "--quick", "8")
    pgd, autoattack = attacked(automix, run, *options)
    assert autoattack["num_images"] == 8
    assert autoattack["accuracy"] <= pgd["accuracy"]
