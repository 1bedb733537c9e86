"""`automix train --method`: every other mixer from the command line to the run folder."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from automix_cli.settings.mix import ALPHAS, LEARNED
from tests.commands.conftest import QUICK, Automix, records_of
from tests.commands.test_train import RUN_FILES
from tests.needs import needs

RIVALS = [name for name in ALPHAS if name not in LEARNED]
VIT = ("--set=model.backbone=test_vit", "--set=model.stem=imagenet")
QUICKER = (*QUICK, "--set=train.max_steps=3", "--set=evaluation.batch_size=360")


def train(automix: Automix, *more: str, output: str = "run") -> dict[str, Any]:
    result = automix("train", *QUICKER, *more, "-o", output, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def model_of(tmp_path: Path):
    """The tensors of a run's checkpoint, by name."""

    def read(run: str = "run") -> dict[str, torch.Tensor]:
        return torch.load(tmp_path / run / "ckpt.pt", weights_only=True)["model"]

    return read


def test_every_rival_has_a_name_on_the_command_line() -> None:
    from automix_cli.method import TRAINABLE

    assert set(RIVALS) == set(TRAINABLE)


def test_a_method_has_an_alpha_exactly_if_its_mixer_takes_one() -> None:
    from automix_cli.method import INSIDE
    from automix_cli.method import RIVALS as OUTSIDE

    assert all(ALPHAS[name] is not None for name in INSIDE)
    for name, rival in OUTSIDE.items():
        assert rival.has_alpha == (ALPHAS[name] is not None)


@pytest.mark.parametrize("method", RIVALS)
def test_a_rival_trains_to_a_whole_run_folder(
    automix: Automix, tmp_path: Path, method: str, model_of
) -> None:
    needed = [f"--set={each}" for each in needs(method, tmp_path)]
    summary = train(automix, "--method", method, *needed)
    assert {each.name for each in (tmp_path / "run").iterdir()} == RUN_FILES
    assert summary["method"] == method
    assert summary["stands_for"] == "momentum_one_hot"
    assert set(summary["last"]["test"]) == {"momentum_one_hot", "classifier_one_hot"}
    trained = [each for each in records_of(tmp_path / "run") if each["split"] == "train"]
    assert set(trained[0]) == {
        *("split", "step", "epoch", "loss/total", "loss/mixed"),
        *("learning_rate", "momentum_coefficient"),
    }
    assert all(0 < each["loss/total"] < 10 for each in trained)
    model = model_of()
    assert all(bool(torch.isfinite(each).all()) for each in model.values())
    moved = model["momentum_classifier.head_one_hot.weight"]
    assert not torch.equal(moved, model["classifier.head_one_hot.weight"])


def test_the_first_weights_are_the_same_whatever_the_method(automix: Automix, model_of) -> None:
    still = ("--set=train.momentum_coefficient=1.0", "--set=train.momentum_coefficient_end=1.0")
    starts = []
    for method in ("automix", "vanilla", "puzzlemix"):
        train(automix, "--method", method, *still, output=method)
        starts.append(model_of(method)["momentum_classifier.backbone.conv1.weight"])
    assert all(torch.equal(each, starts[0]) for each in starts)


@pytest.mark.parametrize("weights", ["momentum", "classifier"])
def test_the_run_is_judged_by_the_network_chosen_before_it(automix: Automix, weights: str) -> None:
    summary = train(automix, "-m", "mixup", f"--set=evaluation.weights={weights}")
    assert summary["stands_for"] == f"{weights}_one_hot"
    assert summary["best"]["top1"] == summary["last"]["test"][f"{weights}_one_hot"]["top1"]


def test_the_portable_classifier_is_the_momentum_classifier_and_eval_repeats_its_number(
    automix: Automix, tmp_path: Path, model_of
) -> None:
    summary = train(automix, "-m", "cutmix")
    model, path = model_of(), tmp_path / "run" / "classifier.safetensors"
    for name, tensor in load_file(path).items():
        assert torch.equal(tensor, model[f"momentum_classifier.{name}"])
    for weights in ("momentum", "classifier"):
        head = f"{weights}_one_hot"
        result = automix("eval", "run", "--weights", weights, "--json")
        measured = json.loads(result.stdout)["heads"][head]
        assert measured["top1"] == summary["last"]["test"][head]["top1"]
        assert measured["nll"] == pytest.approx(summary["last"]["test"][head]["nll"], rel=1e-5)
    assert automix("eval", "--checkpoint", path, "--json").exit_code == 0


@pytest.mark.parametrize("method", ["cutmix", "comixup", "manifoldmix", "transmix"])
def test_stopping_and_going_on_is_exact(automix: Automix, tmp_path: Path, method: str) -> None:
    needed = [f"--set={each}" for each in needs(method, tmp_path)]
    train(automix, "-m", method, *needed, output="whole")
    train(automix, "-m", method, *needed, "--set=train.max_steps=1", output="half")
    result = automix("train", "--resume", "half", "--set", "train.max_steps=3")
    assert result.exit_code == 0, result.output
    whole, half = (tmp_path / name / "classifier.safetensors" for name in ("whole", "half"))
    assert whole.read_bytes() == half.read_bytes()


def test_two_runs_are_the_same_to_the_byte(automix: Automix, tmp_path: Path) -> None:
    for name in ("one", "two"):
        train(automix, "-m", "puzzlemix", output=name)
    one, two = (tmp_path / name / "classifier.safetensors" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_resuming_with_another_method_is_refused(automix: Automix) -> None:
    train(automix, "-m", "cutmix")
    result = automix("train", "--resume", "run", "--method", "mixup")
    assert result.exit_code == 4
    assert "`mix.method` was `cutmix`, is now `mixup`" in result.stderr
    assert "`mix.alpha` was `0.2`, is now `1.0`" in result.stderr


def test_the_decoupled_loss_is_logged_where_there_is_one(automix: Automix, tmp_path: Path) -> None:
    train(automix, "-m", "cutmix", "--set=mix.decoupled_weight=0.1", "--set=mix.loss=bce")
    trained = next(each for each in records_of(tmp_path / "run") if each["split"] == "train")
    total = trained["loss/mixed"] + 0.1 * trained["loss/decoupled"]
    assert trained["loss/total"] == pytest.approx(total, rel=1e-5)


def test_a_dry_run_tells_the_cost_and_has_no_mix_block(automix: Automix, tmp_path: Path) -> None:
    result = automix("train", "--dry-run", *QUICKER, "-m", "saliencymix")
    assert result.exit_code == 0, result.output
    assert list(tmp_path.iterdir()) == []
    assert "parameters classifier" in result.stdout
    assert "parameters mix block" not in result.stdout
    assert 'method = "saliencymix"' in result.stdout


def test_batch_norm_of_the_momentum_classifier_is_precise_unless_averaging_is_asked_for(
    automix: Automix,
) -> None:
    own, precise, average = (
        train(automix, "-m", "mixup", f"--set=mix.momentum_buffers={name}", output=name)
        for name in ("own", "precise", "average")
    )
    heads = [each["last"]["test"] for each in (own, precise, average)]
    assert heads[0] == heads[1]
    assert heads[0]["classifier_one_hot"] == heads[2]["classifier_one_hot"]
    assert heads[0]["momentum_one_hot"]["nll"] != heads[2]["momentum_one_hot"]["nll"]


def test_gradients_accumulate_with_uneven_parts(automix: Automix) -> None:
    summary = train(
        automix, "-m", "mixup", "--set=train.batch_size=7", "--set=train.accumulation_steps=2"
    )
    assert summary["step"] == 3


def test_bf16_trains(automix: Automix) -> None:
    assert train(automix, "-m", "puzzlemix", "--mixed-precision=bf16")["step"] == 3


def test_a_folder_that_nobody_named_is_named_after_preset_and_method(
    automix: Automix, tmp_path: Path
) -> None:
    assert automix("train", *QUICKER, "-m", "cutmix", "--seed", "3").exit_code == 0
    folder = tmp_path / "runs" / "digits-tiny-cutmix"
    assert len(list(folder.glob("*-seed3/summary.json"))) == 1


@pytest.mark.parametrize("content", [None, b"", b"no weights"], ids=["missing", "empty", "other"])
def test_a_file_of_weights_that_is_not_there_or_none_is_named(
    automix: Automix, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "weights.safetensors"
    if content is not None:
        path.write_bytes(content)
    named = f"--set=mix.attention_checkpoint={path}"
    result = automix("train", *QUICKER, "-m", "attentivemix", named, "-o", "run")
    assert result.exit_code == 4
    assert str(path) in result.stderr
    assert "hint: " in result.stderr


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        (("-m", "cutmx"), ("`mix.method` must be one of", "did you mean `cutmix`?", "--method")),
        (("-m", "vanilla", "--set=mix.alpha=1.0"), ("`vanilla` has none", "(from --set)")),
        (("-m", "attentivemix"), ("`mix.attention_checkpoint` must name a file", "`resnet18`")),
        (
            ("-m", "snapmix", *VIT),
            ("`snapmix` cannot train this model", "must end in a feature map"),
        ),
        (("-m", "manifoldmix", *VIT), ("`manifoldmix` cannot train", "three stages or more")),
        (("-m", "alignmix", *VIT), ("`alignmix` cannot train", "must end in a feature map")),
        (("-m", "transmix"), ("`transmix` cannot train", "classifies by a class token")),
    ],
    ids=[
        *("unknown method", "no alpha", "no weights", "no feature map"),
        *("no stages", "no last map", "no class token"),
    ],
)
def test_what_cannot_be_trained_is_a_settings_error(
    automix: Automix, more: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    result = automix("train", *QUICKER, *more, "-o", "run")
    assert result.exit_code == 2
    for part in parts:
        assert part in result.stderr
