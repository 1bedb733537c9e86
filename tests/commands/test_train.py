"""`automix train` from the command line to the run folder."""

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from automix_cli.engine.checkpoint import load_checkpoint, write_checkpoint
from automix_cli.engine.finite import not_finite
from tests.commands.conftest import QUICK, Automix, records_of

RUN_FILES = {
    "settings.toml",
    "origins.json",
    "environment.json",
    "metrics.jsonl",
    "ckpt.pt",
    "best.pt",
    "classifier.safetensors",
    "summary.json",
}
"""Of every method; those that learn masks leave `masks/` too."""


@pytest.fixture
def finished(automix: Automix, tmp_path: Path) -> Path:
    result = automix("train", "--preset", "digits-tiny", *QUICK, "-o", "run")
    assert result.exit_code == 0, result.output
    return tmp_path / "run"


def test_a_run_leaves_exactly_these_files(finished: Path) -> None:
    assert {each.name for each in finished.iterdir()} == {*RUN_FILES, "masks"}
    assert [each.name for each in (finished / "masks").iterdir()] == ["progress.safetensors"]


def test_the_summary_reports_four_heads_and_the_one_that_counts(finished: Path) -> None:
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["stands_for"] == "momentum_one_hot"
    assert set(summary["last"]["test"]) == {
        "momentum_one_hot",
        "momentum_mixed",
        "classifier_one_hot",
        "classifier_mixed",
    }
    assert summary["last"]["test"]["momentum_one_hot"]["num_images"] == 360
    assert summary["best_chosen_on"] == "the test set"
    assert summary["step"] == 4
    assert summary["peak_memory_bytes"] > 0


def test_metrics_name_every_loss_and_schedule(finished: Path) -> None:
    records = records_of(finished)
    trained = [record for record in records if record["split"] == "train"]
    assert [record["step"] for record in trained] == [2, 4]
    assert {
        "loss/total",
        "loss/one_hot",
        "loss/mixed",
        "loss/mix_block",
        "loss/mask_area",
        "area_ratio",
        "learning_rate",
        "momentum_coefficient",
        "mask_area_weight",
    } <= set(trained[0])
    total = sum(trained[0][f"loss/{name}"] for name in ("one_hot", "mixed", "mix_block"))
    total += trained[0]["mask_area_weight"] * trained[0]["loss/mask_area"]
    assert trained[0]["loss/total"] == pytest.approx(total, rel=1e-3)
    assert [record["split"] for record in records][-1] == "test"


def test_the_portable_classifier_is_the_momentum_classifier_with_one_head(finished: Path) -> None:
    portable = load_file(finished / "classifier.safetensors")
    checkpoint = torch.load(finished / "ckpt.pt", weights_only=True)["model"]
    assert not any("head_mixed" in name for name in portable)
    for name, tensor in portable.items():
        assert torch.equal(tensor, checkpoint[f"momentum_classifier.{name}"])


def test_origins_say_who_set_what(finished: Path) -> None:
    origins = json.loads((finished / "origins.json").read_text())
    assert origins["train.max_steps"] == "--set"
    assert origins["model.backbone"] == "preset digits-tiny"
    assert origins["mix.alpha"] == "default"


def test_the_saved_settings_reproduce_the_run_byte_for_byte(
    automix: Automix, finished: Path
) -> None:
    result = automix("train", "--config", finished / "settings.toml", "-o", "again")
    assert result.exit_code == 0, result.output
    again = finished.parent / "again" / "classifier.safetensors"
    assert again.read_bytes() == (finished / "classifier.safetensors").read_bytes()
    assert records_of(finished.parent / "again") == records_of(finished)


def test_json_goes_to_stdout_and_the_rest_to_stderr(automix: Automix) -> None:
    result = automix("train", "-p", "digits-tiny", *QUICK, "-o", "run", "--json")
    assert json.loads(result.stdout)["run"] == "run"
    assert "mix_block" in result.stderr


def test_without_a_preset_the_embedded_one_trains_and_the_folder_is_named_by_it(
    automix: Automix, tmp_path: Path
) -> None:
    result = automix("train", *QUICK, "--seed", "3")
    assert result.exit_code == 0, result.output
    assert "digits-tiny" in result.stderr
    assert len(list((tmp_path / "runs" / "digits-tiny").glob("*-seed3/summary.json"))) == 1


def test_a_held_out_part_chooses_the_best_checkpoint(automix: Automix, tmp_path: Path) -> None:
    result = automix("train", *QUICK, "--set", "data.holdout=0.1", "-o", "run")
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["best_chosen_on"] == "a held-out part of the training set"
    assert summary["last"]["validation"]["momentum_one_hot"]["num_images"] == 144
    assert summary["best"]["top1"] == summary["last"]["validation"]["momentum_one_hot"]["top1"]


def test_precise_batch_norm_changes_the_momentum_classifier_only(
    automix: Automix, tmp_path: Path
) -> None:
    for name in ("own", "precise"):
        wanted = f"mix.momentum_buffers={name}"
        assert automix("train", *QUICK, "--set", wanted, "-o", name).exit_code == 0
    own, precise = (
        json.loads((tmp_path / name / "summary.json").read_text())["last"]["test"]
        for name in ("own", "precise")
    )
    assert own["classifier_one_hot"] == precise["classifier_one_hot"]
    assert own["momentum_one_hot"]["nll"] != precise["momentum_one_hot"]["nll"]


def test_a_dry_run_writes_nothing_and_tells_the_cost(automix: Automix, tmp_path: Path) -> None:
    result = automix("train", "--dry-run", *QUICK, "-o", "run")
    assert result.exit_code == 0, result.output
    assert list(tmp_path.iterdir()) == []
    for part in ("alpha = 2.0", "# default", "seconds per step", "parameters mix block"):
        assert part in result.stdout


def test_print_config_is_toml_that_trains(automix: Automix, tmp_path: Path) -> None:
    printed = automix("train", *QUICK, "--print-config")
    (tmp_path / "mine.toml").write_text(printed.stdout)
    assert "# --set" in printed.stdout
    result = automix("train", "--config", "mine.toml", "-o", "run")
    assert result.exit_code == 0, result.output


def test_a_folder_in_use_is_refused_and_left_alone(automix: Automix, finished: Path) -> None:
    before = {each.name: each.read_bytes() for each in finished.glob("*.*")}
    result = automix("train", *QUICK, "-o", "run")
    assert result.exit_code == 2
    assert "not empty" in result.stderr
    assert "hint: choose another `--output-dir`" in result.stderr
    assert {each.name: each.read_bytes() for each in finished.glob("*.*")} == before


def test_missing_cifar_offline_names_files_folder_and_md5(automix: Automix) -> None:
    result = automix(
        "train",
        "-p",
        "cifar100-r18",
        "--data-dir",
        "nowhere",
        "--set",
        "data.download=false",
    )
    assert result.exit_code == 3
    for part in ("cifar-100-python", "nowhere", "eb9058c3a382ffc7106e4002c42a8d85"):
        assert part in result.stderr
    assert "Traceback" not in result.output


def test_cifar_files_of_the_wrong_checksum_are_refused(automix: Automix, tmp_path: Path) -> None:
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name in ("train", "test", "meta"):
        (folder / name).write_bytes(b"not CIFAR")
    result = automix("train", "-p", "cifar100-r18", "--data-dir", tmp_path)
    assert result.exit_code == 3
    assert "md5" in result.stderr


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        ("model.backbone=resnet81", "resnet18"),
        ("model.feature_stage=9", "feature_stage"),
        ("model.backbone=vit_tiny_patch16_224", "stem"),
        ("data.crop_padding=32", "padding must be in [0, 32), got 32"),
    ],
)
def test_what_cannot_be_built_is_a_settings_error(automix: Automix, wrong: str, part: str) -> None:
    result = automix("train", *QUICK, "--set", wrong, "-o", "run")
    assert result.exit_code == 2
    assert part in result.stderr


def test_an_epoch_without_a_whole_batch_is_a_settings_error(automix: Automix) -> None:
    wanted = ("--batch-size", "2000", "--set", "train.drop_last=true")
    result = automix("train", *wanted, "-o", "run")
    assert result.exit_code == 2
    assert "1437 training images do not fill one batch of 2000" in result.stderr


def test_a_device_that_is_not_there_is_a_settings_error(automix: Automix) -> None:
    if torch.backends.mps.is_available():
        pytest.skip("this machine has what the test asks for in vain")
    result = automix("train", "--device", "mps", "-o", "run")
    assert result.exit_code == 2
    assert "`run.device` is `mps`, but this machine offers" in result.stderr


@pytest.mark.parametrize(
    ("more", "left"),
    [
        ((), "no checkpoint was written yet"),
        # the first step leaves huge numbers, the second none
        (("--set=train.save_every=1",), "`run/ckpt.pt`, written after step 1;"),
    ],
)
def test_a_run_that_diverges_ends_with_exit_code_1_and_names_the_last_good_checkpoint(
    automix: Automix, more: tuple[str, ...], left: str
) -> None:
    result = automix("train", *QUICK, "--set", "optimizer.lr=1e30", *more, "-o", "run")
    assert result.exit_code == 1
    assert "became nan between steps 0 and 2; not finite now: `" in result.stderr
    assert left in result.stderr
    assert "hint:" in result.stderr
    if more:
        checkpoint = load_checkpoint(Path("run/ckpt.pt"))
        assert checkpoint.state.step == 1
        assert not not_finite(checkpoint.model)


def test_eval_repeats_the_last_number_of_the_run(automix: Automix, finished: Path) -> None:
    expected = json.loads((finished / "summary.json").read_text())["last"]["test"]
    for weights in ("momentum", "classifier"):
        for batch_size in ("500", "7"):
            result = automix(
                "eval", "run", "--weights", weights, "--batch-size", batch_size, "--json"
            )
            assert result.exit_code == 0, result.output
            got = json.loads(result.stdout)["heads"][f"{weights}_one_hot"]
            assert got["top1"] == expected[f"{weights}_one_hot"]["top1"]
            assert got["top5"] == expected[f"{weights}_one_hot"]["top5"]
            assert got["nll"] == pytest.approx(expected[f"{weights}_one_hot"]["nll"], rel=1e-5)


@pytest.mark.parametrize("name", ["ckpt.pt", "best.pt", "classifier.safetensors"])
def test_eval_takes_any_file_of_a_run(automix: Automix, finished: Path, name: str) -> None:
    result = automix("eval", "--checkpoint", finished / name)
    assert result.exit_code == 0, result.output
    assert "momentum_one_hot" in result.stdout
    assert "360" in result.stdout


def test_eval_without_a_name_takes_the_newest_finished_run(automix: Automix) -> None:
    automix("train", *QUICK)
    result = automix("eval")
    assert result.exit_code == 0, result.output
    assert "newest finished run" in result.stderr


def test_the_portable_file_has_no_other_network(automix: Automix, finished: Path) -> None:
    path = finished / "classifier.safetensors"
    result = automix("eval", "--checkpoint", path, "--weights", "classifier")
    assert result.exit_code == 4
    assert "momentum classifier only" in result.stderr


def test_eval_refuses_weights_of_another_architecture(automix: Automix, finished: Path) -> None:
    result = automix("eval", "run", "--set", "model.backbone=resnet18")
    assert result.exit_code == 4
    assert "does not fit the model" in result.stderr


def test_eval_refuses_data_of_other_classes(automix: Automix, finished: Path) -> None:
    path = finished / "classifier.safetensors"
    with safe_open(path, framework="pt") as file:
        stored = json.loads(file.metadata()["automix"])
    del stored["sha256"]  # as of an older version: nothing says that it was changed
    stored["dataset"]["class_names"][0] = "nought"
    save_file(load_file(path), finished / "other.safetensors", {"automix": json.dumps(stored)})
    result = automix("eval", "--checkpoint", finished / "other.safetensors")
    assert result.exit_code == 3
    assert "other names" in result.stderr


def test_eval_refuses_weights_that_are_not_finite(automix: Automix, finished: Path) -> None:
    path = finished / "ckpt.pt"
    content = torch.load(path, weights_only=True)
    content["model"]["momentum_classifier.head_one_hot.bias"][0] = float("nan")
    write_checkpoint(path, content)
    result = automix("eval", "run")
    assert result.exit_code == 1
    assert "not finite" in result.stderr


class Bomb:
    """Makes a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.open, ("exploded", os.O_CREAT)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "truncated or damaged"),
        (b"PK\x03\x04 half an archive", "truncated or damaged"),
        (pickle.dumps(Bomb()), "tensors and plain values"),
    ],
    ids=["empty", "truncated", "pickle with code"],
)
@pytest.mark.parametrize("command", ["eval", "train"])
def test_a_broken_or_unsafe_checkpoint_exits_with_4_and_runs_nothing(
    automix: Automix, finished: Path, command: str, content: bytes, part: str
) -> None:
    for name in ("ckpt.pt", "best.pt"):
        (finished / name).write_bytes(content)
    arguments = ["eval", "run"] if command == "eval" else ["train", "--resume", "run"]
    result = automix(*arguments)
    assert result.exit_code == 4
    assert part in result.stderr
    assert "Traceback" not in result.output
    assert not Path("exploded").exists()


def test_half_precision_that_the_device_has_not_is_a_settings_error(automix: Automix) -> None:
    result = automix("train", *QUICK, "--mixed-precision", "fp16", "-o", "run")
    assert result.exit_code == 2
    assert "fp16" in result.stderr


def test_eval_without_any_run_says_how_to_make_one(automix: Automix) -> None:
    result = automix("eval")
    assert result.exit_code == 4
    assert "automix train" in result.stderr
