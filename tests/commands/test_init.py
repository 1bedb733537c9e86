"""Fine-tuning: a run that begins with the weights of another one, of timm, or of a file."""

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from automix_cli.build.starting import Start
from automix_cli.cli import app
from automix_cli.engine.hub import fetch
from automix_cli.errors import CheckpointError
from tests.commands.conftest import QUICK, Automix
from tests.commands.test_train import Bomb
from tests.data.pictures import write_parts

NOTHING = ("--set=optimizer.lr=1e-30", "--set=optimizer.mix_block_lr=1e-30")
SHORT = (*QUICK, "--set=train.max_steps=1", "--set=evaluation.batch_size=360")


def weights_of(run: Path, network: str) -> dict[str, torch.Tensor]:
    model = torch.load(run / "ckpt.pt", weights_only=True)["model"]
    prefix = f"{network}."
    return {n.removeprefix(prefix): each for n, each in model.items() if n.startswith(prefix)}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "source"
    arguments = ["train", "-p", "digits-tiny", *QUICK, "--seed=5", f"-o{folder}"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def source(automix: Automix, trained: Path, tmp_path: Path) -> Path:
    """A finished run in the working folder."""
    return shutil.copytree(trained, tmp_path / "source")


def begun(automix: Automix, *more: str | Path, method: str = "automix") -> tuple[Path, str]:
    """A run of one step that moves no weight, and what it said."""
    wanted = ["--set=optimizer.weight_decay=0", "--set=optimizer.min_lr=0", "-m", method]
    result = automix("train", *SHORT, *NOTHING, *wanted, "-o", "begun", *more)
    assert result.exit_code == 0, result.output
    return Path("begun"), result.stderr


@pytest.mark.parametrize(
    ("named", "method"),
    [
        ("source", "automix"),
        ("source/best.pt", "mixup"),
        ("source/classifier.safetensors", "automix"),
    ],
)
def test_a_run_begins_with_the_momentum_classifier_of_another_bit_for_bit(
    automix: Automix, source: Path, named: str, method: str
) -> None:
    """Also its buffers, in both networks: frozen here, so that the step does not move them."""
    frozen = "--set=model.freeze_batch_norm=statistics"
    run, said = begun(automix, f"--set=model.init={named}", frozen, method=method)
    expected = weights_of(source, "momentum_classifier")
    for network in ("classifier", "momentum_classifier"):
        got = weights_of(run, network)
        taken = [
            name for name in got if named != "source/classifier.safetensors" or "mixed" not in name
        ]
        assert [name for name in taken if not torch.equal(got[name], expected[name])] == []
    assert "sha256" in said
    assert ("drawn anew: head_mixed" in said) == named.endswith("safetensors")


def test_the_fingerprint_is_in_checkpoint_and_summary_and_survives_a_resume(
    automix: Automix, source: Path
) -> None:
    run, said = begun(automix, "--set=model.init=source")
    header = torch.load(run / "ckpt.pt", weights_only=True)["header"]["init"]
    assert header["sha256"][:16] in said
    weights = weights_of(source, "momentum_classifier")
    assert header["sha256"] == Start(Path(), "", weights).sha256()
    shutil.rmtree(source)  # what it began with is not read again
    result = automix("train", "--resume", run, "--set", "train.max_steps=2")
    assert result.exit_code == 0, result.output
    assert torch.load(run / "ckpt.pt", weights_only=True)["header"]["init"] == header
    assert json.loads((run / "summary.json").read_text())["init"] == header


def test_stopping_and_going_on_is_exact_with_everything_switched_on(
    automix: Automix, tmp_path: Path, source: Path
) -> None:
    wanted = ("--set=model.init=source", "--set=model.frozen_stages=1")
    wanted += ("--set=model.freeze_batch_norm=affine", "--set=optimizer.layer_decay=0.7")
    assert automix("train", *QUICK, *wanted, "-o", "whole").exit_code == 0
    half = automix("train", *QUICK, *wanted, "--set=train.max_steps=2", "-o", "half")
    assert half.exit_code == 0, half.output
    assert automix("train", "--resume", "half", "--set=train.max_steps=4").exit_code == 0
    one, other = (tmp_path / name / "classifier.safetensors" for name in ("whole", "half"))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("method", "buffers"),
    [("automix", "own"), ("automix", "average"), ("automix", "precise"), ("cutmix", "precise")],
)
def test_frozen_parts_of_both_networks_are_where_they_began_after_three_steps(
    automix: Automix, source: Path, method: str, buffers: str
) -> None:
    wanted = ("--set=model.init=source", "--set=model.frozen_stages=1", "-m", method)
    wanted += ("--set=model.freeze_batch_norm=all", f"--set=mix.momentum_buffers={buffers}")
    result = automix("train", *QUICK, *wanted, "--set=train.max_steps=3", "-o", "run")
    assert result.exit_code == 0, result.output
    expected = weights_of(source, "momentum_classifier")
    for network in ("classifier", "momentum_classifier"):
        got = weights_of(Path("run"), network)
        moved = {name for name in got if not torch.equal(got[name], expected[name])}
        assert "backbone.layer1.0.conv1.weight" in moved
        assert not {name for name in moved if ".bn" in name or name.startswith("backbone.conv1")}


def test_other_classes_have_new_heads_and_it_is_said(
    automix: Automix, tmp_path: Path, source: Path
) -> None:
    write_parts(tmp_path / "mine", "abc")
    assert (
        automix(
            "train",
            *SHORT,
            "--set=data.name=folder",
            "--set=data.dir=mine",
            "--set=data.image_size=32",
            "--set=train.batch_size=4",
            "-o",
            "colour",
        ).exit_code
        == 0
    )
    write_parts(tmp_path / "other", "ab")
    _, said = begun(
        automix,
        "--set=data.name=folder",
        "--set=data.dir=other",
        "--set=data.image_size=32",
        "--set=train.batch_size=4",
        "--set=model.init=colour",
    )
    assert "drawn anew: head_one_hot, head_mixed (3 classes there, 2 here)" in said


@pytest.fixture
def colour(tmp_path: Path) -> tuple[str, ...]:
    """Images as timm's test networks have them, in two classes."""
    write_parts(tmp_path / "mine", "ab")
    return (
        *("--set=data.name=folder", "--set=data.dir=mine", "--set=data.image_size=64"),
        *("--set=model.backbone=test_resnet", "--set=model.stem=imagenet"),
        *("--set=train.batch_size=4", "--set=model.feature_stage=1"),
    )


def published(num_classes: int = 1000) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.random.manual_seed(3)
        network = timm.create_model("test_resnet", num_classes=num_classes)
        for each in network.parameters():  # a step moves what is 0, however small it is
            torch.nn.init.uniform_(each, 0.1, 0.9)
    return network


def test_the_weights_of_timm_come_from_the_copy_on_this_machine(
    automix: Automix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, colour: tuple[str, ...]
) -> None:
    cache = tmp_path / "cache"
    repository = cache / "models--timm--test_resnet.r160_in1k"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0123")
    (repository / "snapshots" / "0123").mkdir(parents=True)
    network = published()
    save_file(network.state_dict(), repository / "snapshots" / "0123" / "model.safetensors")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    frozen = "--set=model.freeze_batch_norm=statistics"
    wanted = ("--set=model.init=timm:r160_in1k", "--set=data.download=false", frozen)
    run, said = begun(automix, *colour, *wanted)
    assert "timm's pretrained weights timm/test_resnet.r160_in1k" in said
    assert "drawn anew: head_one_hot, head_mixed" in said
    theirs = {n: each for n, each in network.state_dict().items() if not n.startswith("fc.")}
    for name in ("classifier", "momentum_classifier"):
        got = weights_of(run, name)
        assert all(torch.equal(got[f"backbone.{key}"], each) for key, each in theirs.items())


def test_weights_of_timm_that_are_not_here_are_named_with_their_address(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError) as caught:
        fetch("timm/resnet18.tv_in1k", "model.safetensors", download=False)
    assert "`model.safetensors` of `timm/resnet18.tv_in1k`" in caught.value.message
    assert str(tmp_path) in caught.value.message
    hint = caught.value.hint or ""
    assert "timm/resnet18.tv_in1k/resolve/main/model.safetensors" in hint
    assert "--set model.init=PATH/model.safetensors" in hint


def save_bomb(path: Path) -> None:
    path.write_bytes(pickle.dumps(Bomb()))


def save_scrap(path: Path) -> None:
    path.write_bytes(b"no weights")


def save_plain(path: Path) -> None:
    torch.save({"epoch": 3}, path)


def save_not_finite(path: Path) -> None:
    weights = published().state_dict()
    weights["layer1.0.conv1.weight"][0] = float("nan")
    save_file(weights, path)


def save_others(path: Path) -> None:
    save_file(timm.create_model("test_resnet", in_chans=1).state_dict(), path)


def save_less(path: Path) -> None:
    weights = published().state_dict()
    del weights["layer2.0.conv1.weight"]
    save_file(weights, path)


def save_more(path: Path) -> None:
    save_file({**published().state_dict(), "layer9.weight": torch.zeros(2)}, path)


@pytest.mark.parametrize(
    ("name", "save", "part"),
    [
        ("nothing.safetensors", lambda _: None, "found nothing"),
        ("folder", lambda path: path.mkdir(), "found neither `ckpt.pt`"),
        ("a.safetensors", save_scrap, "truncated or damaged"),
        ("a.pt", save_scrap, "was not loaded"),
        ("a.pt", save_bomb, "was not loaded"),
        ("a.pt", save_plain, "must hold named tensors alone"),
        ("a.safetensors", save_not_finite, "not finite: `backbone.layer1.0.conv1.weight`"),
        ("a.safetensors", save_others, "conv1"),
        ("a.safetensors", save_less, "layer2.0.conv1.weight"),
        ("a.safetensors", save_more, "layer9.weight"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_weights_that_cannot_be_taken_over_are_an_error_that_names_them(
    automix: Automix, tmp_path: Path, colour: tuple[str, ...], name: str, save: Any, part: str
) -> None:
    save(tmp_path / name)
    result = automix("train", *SHORT, *colour, f"--set=model.init={name}", "-o", "run")
    assert result.exit_code == 4, result.output
    assert part in result.stderr
    assert not os.path.exists("exploded")  # noqa: PTH110 - made in the working folder
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("timm:no_such", "timm has no pretrained weights `no_such` of `test_resnet`; it has"),
        ("model.backbone", "timm has no pretrained weights of `tiny_resnet`; it has none"),
    ],
)
def test_weights_that_timm_has_not_are_a_settings_error(
    automix: Automix, colour: tuple[str, ...], wanted: str, part: str
) -> None:
    model = (*colour, f"--set=model.init={wanted}")
    if wanted == "model.backbone":
        model = ("--set=model.init=timm",)
    result = automix("train", *SHORT, *model, "-o", "run")
    assert result.exit_code == 2, result.output
    assert part in result.stderr


def test_a_run_of_another_network_is_refused_with_the_names_that_differ(
    automix: Automix, source: Path, colour: tuple[str, ...]
) -> None:
    result = automix("train", *SHORT, *colour, "--set=model.init=source", "-o", "run")
    assert result.exit_code == 4
    assert "does not fit the model" in result.stderr
    assert "backbone." in result.stderr


def test_weights_under_the_names_of_timm_serve_whoever_wrote_them(
    automix: Automix, tmp_path: Path, colour: tuple[str, ...]
) -> None:
    """Also without a head, as PyTorch file."""
    network = published(7)
    kept = {n: each for n, each in network.state_dict().items() if not n.startswith("fc.")}
    torch.save(kept, tmp_path / "others.pth")
    frozen = "--set=model.freeze_batch_norm=statistics"
    run, said = begun(automix, *colour, "--set=model.init=others.pth", frozen)
    assert "weights of another program" in said
    got = weights_of(run, "momentum_classifier")
    assert all(torch.equal(got[f"backbone.{name}"], each) for name, each in kept.items())


@pytest.mark.slow
def test_an_export_of_ours_is_known_by_its_classes(automix: Automix, source: Path) -> None:
    result = automix("export", source, "--format", "safetensors", "-o", "out.safetensors")
    assert result.exit_code == 0, result.output
    frozen = "--set=model.freeze_batch_norm=statistics"
    run, said = begun(automix, "--set=model.init=out.safetensors", frozen)
    assert "drawn anew: head_mixed (there is none in the file)" in said
    got = weights_of(run, "classifier")
    expected = load_file(source / "classifier.safetensors")
    assert all(torch.equal(got[name], each) for name, each in expected.items())
