"""`automix import-openmixup`: a file of the reference becomes a checkpoint that eval judges."""

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn

from automix_cli.data.digits import MEAN, STD, load_digits
from tests.commands.conftest import Automix

DIGITS = (
    *("-p", "digits-tiny", "--set=model.backbone=resnet18", "--set=model.stem=imagenet"),
    "--set=evaluation.batch_size=360",
)
"""The embedded digits for a network that the reference has."""


class Code:
    """Something that would run code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("run!",))


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """torchvision's ResNet-18, which has the reference's layer names, for gray digits."""
    made: Any = torchvision.models.resnet18(num_classes=10)
    made.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
    return made.eval()


def of_a_rival(network: nn.Module) -> dict[str, Tensor]:
    return OrderedDict(
        (f"head.{name}" if name.startswith("fc.") else f"backbone.{name}", each)
        for name, each in network.state_dict().items()
    )


def of_automix(network: nn.Module) -> dict[str, Tensor]:
    """As `AutoMixup` saves it: the momentum network is the one given, the other is not."""
    state: dict[str, Tensor] = {}
    for name, each in network.state_dict().items():
        if name.startswith("fc."):
            twins = {"head_one_k.": each, "head.": each, "head_mix_k.": each + 1}
            state |= {f"{part}{name}": tensor for part, tensor in twins.items()}
            state |= {f"{part}{name}": 2 * each for part in ("head_one_q.", "head_mix_q.")}
        else:
            other = each if each.dtype == torch.int64 else 0.5 * each
            state |= {f"backbone_k.{name}": each, f"backbone.{name}": each}
            state[f"backbone_q.{name}"] = other
    shapes = {"query.conv.weight": (128, 256, 1, 1), "query.conv.bias": (128,)}
    shapes |= {"value.weight": (1, 256, 1, 1), "value.bias": (1,)}
    return state | {f"mix_block.{name}": torch.ones(shape) for name, shape in shapes.items()}


def accuracy_on_digits(network: nn.Module) -> float:
    _, test = load_digits()
    images = (test.images / 255 - MEAN[0]) / STD[0]
    with torch.no_grad():
        return float((network(images).argmax(dim=1) == test.labels).double().mean())


def test_weights_of_automix_are_evaluated_shown_and_inspected(
    automix: Automix, network: nn.Module, tmp_path: Path
) -> None:
    meta = {"epoch": 800, "openmixup_version": "0.2.9", "best": np.float64(81.5)}
    torch.save({"state_dict": of_automix(network), "meta": meta}, "r18.pth")
    result = automix("import-openmixup", "r18.pth", *DIGITS, "--set=mix.lam_embedding=none")
    assert result.exit_code == 0, result.output
    assert "automix eval --checkpoint" in result.stdout
    judged = automix("eval", "--checkpoint", "r18.automix.pt", "--device=cpu", "--json")
    assert judged.exit_code == 0, judged.output
    heads = json.loads(judged.stdout)["heads"]
    assert heads["momentum_one_hot"]["top1"] == pytest.approx(accuracy_on_digits(network))
    shown = automix("visualize-masks", "--checkpoint", "r18.automix.pt", "--pairs=1", "--json")
    assert shown.exit_code == 0, shown.output
    inspected = json.loads(automix("inspect", "r18.automix.pt", "--json").stdout)
    assert inspected["kind"] == "checkpoint of automix"
    assert inspected["software"]["openmixup"] == "0.2.9"


@pytest.mark.slow
def test_weights_of_a_rival_stand_for_both_networks(
    automix: Automix, network: nn.Module, tmp_path: Path
) -> None:
    torch.save({"state_dict": of_a_rival(network), "author": "openmixup"}, "mixup.pth")
    taken = automix("import-openmixup", "mixup.pth", *DIGITS, "-m", "mixup", "-o", "m.pt", "--json")
    assert taken.exit_code == 0, taken.output
    assert json.loads(taken.stdout)["method"] == "mixup"
    for weights in ("momentum", "classifier"):
        judged = automix("eval", "--checkpoint", "m.pt", "--weights", weights, "--json")
        head = json.loads(judged.stdout)["heads"][f"{weights}_one_hot"]
        assert head["top1"] == pytest.approx(accuracy_on_digits(network))


@pytest.mark.slow
def test_a_published_resnet_is_exported_to_plain_timm_and_to_torchvision(
    automix: Automix, tmp_path: Path
) -> None:
    network = torchvision.models.resnet18(num_classes=2).eval()
    torch.save({"state_dict": of_a_rival(network)}, "r18.pth")
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for number in range(8):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            path = tmp_path / "images" / part / f"class{number % 2}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    colour = ("--set=data.name=folder", "--set=data.image_size=32", "--data-dir=images")
    taken = automix("import-openmixup", "r18.pth", *DIGITS, *colour, "-m", "mixup", "-o", "m.pt")
    assert taken.exit_code == 0, taken.output
    options = ("--format=timm", "--verify-images=8", "-o", "out/m.safetensors", "--json")
    exported = automix("export", "--checkpoint", "m.pt", *options)
    assert exported.exit_code == 0, exported.output
    checks = json.loads(exported.stdout)["checks"]
    assert [check["reader"] for check in checks] == ["timm", "torchvision"]
    assert all(check["max_difference"] < 1e-4 for check in checks)
    theirs = timm.create_model("resnet18", num_classes=2, checkpoint_path="out/m.safetensors")
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(theirs.eval()(images), network(images))
    card = (tmp_path / "out" / "README.md").read_text()
    assert 'library_name: "timm"' in card


@pytest.mark.slow
def test_an_imported_checkpoint_cannot_be_trained_on(
    automix: Automix, network: nn.Module, tmp_path: Path
) -> None:
    torch.save(of_a_rival(network), "mixup.pth")
    printed = automix("train", *DIGITS, "-m", "mixup", "--device=cpu", "--print-config")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "settings.toml").write_text(printed.stdout)
    settings = ("--config", "run/settings.toml", "-o", "run/ckpt.pt")
    assert automix("import-openmixup", "mixup.pth", *settings).exit_code == 0
    result = automix("train", "--resume", "run")
    assert result.exit_code == 4
    assert "nothing to go on training from" in " ".join(result.stderr.split())


def test_what_cannot_be_taken_over_is_a_clear_error(
    automix: Automix, network: nn.Module, tmp_path: Path
) -> None:
    rival = of_a_rival(network)
    cut = {name: each for name, each in rival.items() if name != "head.fc.bias"}
    torch.save(rival, "rival.pth")
    torch.save({"state_dict": rival, "meta": {"cfg": Code()}}, "evil.pth")
    torch.save({"state_dict": {**rival, "neck.weight": torch.zeros(1)}}, "neck.pth")
    torch.save(cut, "cut.pth")
    torch.save({"state_dict": [1, 2]}, "list.pth")
    Path("broken.pth").write_bytes(Path("rival.pth").read_bytes()[:5000])
    Path("there.pt").write_text("as before")
    mixup = (*DIGITS, "-m", "mixup")
    deep = ("--set=model.backbone=resnet34",)
    cases: list[tuple[int, str, tuple[str, ...]]] = [
        (2, "wanted the settings", ("rival.pth",)),
        (2, "one network and no mix block, which `mix.method` `automix`", ("rival.pth", *DIGITS)),
        (2, "`there.pt` exists", ("rival.pth", *mixup, "-o", "there.pt")),
        (2, "cannot write to the folder", ("rival.pth", *mixup, "-o", "there.pt/a.pt")),
        (4, "was not loaded", ("evil.pth", *mixup)),
        (4, "`neck.weight`", ("neck.pth", *mixup)),
        (4, "`head_one_hot.bias` is missing", ("cut.pth", *mixup)),
        (4, "does not fit the model", ("rival.pth", *mixup, *deep)),
        (4, "are not known here", ("rival.pth", "-p", "digits-tiny", "-m", "mixup")),
        (4, "holds no weights", ("list.pth", *mixup)),
        (4, "truncated or damaged", ("broken.pth", *mixup)),
        (4, "found nothing", ("missing.pth", *mixup)),
    ]
    for code, words, arguments in cases:
        result = automix("import-openmixup", *arguments)
        said = " ".join(result.stderr.split())
        assert (result.exit_code, words in said) == (code, True), said
        assert "run!" not in result.output
    assert Path("there.pt").read_text() == "as before"
