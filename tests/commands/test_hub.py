"""The model card beside an export, and the upload of both."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from huggingface_hub import ModelCard
from typer.testing import CliRunner

from automix_cli.cli import app
from automix_cli.commands.exporting import hub
from automix_cli.commands.exporting.card import write_card
from automix_cli.commands.exporting.formats import Shipment
from automix_cli.commands.trained import read_trained
from automix_cli.errors import AutoMixError
from automix_cli.reporting.model_card import MARK
from tests.commands.conftest import QUICK, Automix
from tests.commands.fake_hub import FakeHub, serving

EXPORT = ("export", "run", "--format=safetensors", "--verify-images=10", "-o", "a.safetensors")
TOKEN = "hf_thisIsASecret"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], FakeHub]:
    """Four steps on digits, exported and pushed: the folder, what was said, and the hub."""
    folder = tmp_path_factory.mktemp("shipped")
    with pytest.MonkeyPatch.context() as patched, serving(TOKEN) as fake:
        patched.chdir(folder)
        patched.setenv("HF_TOKEN", TOKEN)
        patched.setenv("HF_ENDPOINT", fake.address)
        result = CliRunner().invoke(app, ["train", "-p", "digits-tiny", *QUICK, "-o", "run"])
        assert result.exit_code == 0, result.output
        push = ("--push-to-hub=me/digits", "--private", "--json")
        result = CliRunner().invoke(app, [*EXPORT, *push])
        assert result.exit_code == 0, result.output
    assert TOKEN not in result.output
    return folder, json.loads(result.stdout), fake


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub of this machine, for which the token is in the environment."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with serving(TOKEN) as made:
        monkeypatch.setenv("HF_ENDPOINT", made.address)
        yield made


def test_file_and_card_arrive_as_they_are_and_the_token_is_nowhere(
    exported: tuple[Path, dict[str, Any], FakeHub],
) -> None:
    folder, said, fake = exported
    assert said["hub"] == {"repo": "me/digits", "url": f"{fake.address}/me/digits"}
    made = fake.repos["me/digits"]
    assert made.get("private") or made.get("visibility") == "private"
    assert fake.files["me/digits"] == {
        name: (folder / name).read_bytes() for name in ("a.safetensors", "README.md")
    }
    assert all(TOKEN.encode() not in each for each in fake.files["me/digits"].values())


def test_the_card_has_the_fields_that_the_hub_reads_and_the_numbers_of_the_run(
    exported: tuple[Path, dict[str, Any], FakeHub],
) -> None:
    folder, said, _ = exported
    assert said["card"] == "README.md"
    text = (folder / "README.md").read_text()
    fields = yaml.safe_load(text.split("---")[1])
    summary = json.loads((folder / "run" / "summary.json").read_text())
    top1 = summary["last"]["test"]["momentum_one_hot"]["top1"]
    assert fields["library_name"] == "automix"  # timm does not build this backbone by itself
    assert fields["license"] == "unknown"
    assert fields["datasets"] == ["digits"]
    assert fields["metrics"] == ["accuracy"]
    assert {"automix", "tiny_resnet", "image-classification"} <= set(fields["tags"])
    (measured,) = fields["model-index"][0]["results"]
    assert measured["metrics"] == [{"type": "accuracy", "name": "top-1", "value": top1}]
    assert f"| top-1 % | {100 * top1:.2f} |" in text
    assert "automix eval --checkpoint a.safetensors" in text
    assert "Licence of the weights and of the training images: unknown." in text
    card = ModelCard.load(folder / "README.md")  # the Hub's own reader
    results = card.data.to_dict()["model-index"][0]["results"]
    assert results[0]["metrics"][0]["value"] == top1


def card_for(
    exported: tuple[Path, dict[str, Any], FakeHub], file: Path, licence: str | None, **said: Any
) -> Path:
    """A card as the command writes it, for an export of that name."""
    folder, content, _ = exported
    trained = read_trained(folder / "a.safetensors", "momentum")
    shipment = cast(Shipment, SimpleNamespace(is_any_size=True))
    return write_card(trained, shipment, {**content, **said, "file": str(file)}, licence)


def test_a_licence_is_taken_and_what_a_file_does_not_know_stays_unknown(
    exported: tuple[Path, dict[str, Any], FakeHub], tmp_path: Path
) -> None:
    text = card_for(exported, tmp_path / "b.safetensors", "apache-2.0").read_text()
    fields = yaml.safe_load(text.split("---")[1])
    assert fields["license"] == "apache-2.0"
    assert "model-index" not in fields
    assert "Accuracy on the whole test set: unknown" in text


@pytest.mark.parametrize(
    ("said", "library", "line"),
    [
        ({"format": "onnx"}, "onnx", 'onnxruntime.InferenceSession("b")'),
        ({"format": "torch-export"}, "pytorch", 'torch.export.load("b").module()(images)'),
        ({"loads_with_plain_timm": True}, "timm", 'checkpoint_path="b").eval()'),
    ],
    ids=["onnx", "torch-export", "timm"],
)
def test_each_format_says_who_loads_it_and_how(
    exported: tuple[Path, dict[str, Any], FakeHub],
    tmp_path: Path,
    said: dict[str, Any],
    library: str,
    line: str,
) -> None:
    text = card_for(exported, tmp_path / "b", None, **said).read_text()
    assert yaml.safe_load(text.split("---")[1])["library_name"] == library
    assert line in text
    code = text.split("```python\n")[1].split("```")[0]
    compile(code, "card", "exec")


def test_somebody_elses_readme_is_left_alone_and_our_own_is_replaced(
    exported: tuple[Path, dict[str, Any], FakeHub], tmp_path: Path
) -> None:
    (tmp_path / "README.md").write_text("# Mine\n")
    card = card_for(exported, tmp_path / "b.safetensors", None)
    assert card.name == "b.safetensors.README.md"
    assert (tmp_path / "README.md").read_text() == "# Mine\n"
    (tmp_path / "README.md").write_text(f"{MARK}\nold")
    assert card_for(exported, tmp_path / "c.safetensors", None).name == "README.md"
    assert "c.safetensors" in (tmp_path / "README.md").read_text()


def test_a_refused_push_is_a_clear_error_without_the_token(fake: FakeHub, tmp_path: Path) -> None:
    fake.token = "another"
    (tmp_path / "a.onnx").write_bytes(b"a")
    with pytest.raises(AutoMixError, match="cannot push to `me/digits`") as caught:
        hub.push("me/digits", {"a.onnx": tmp_path / "a.onnx"}, private=False)
    assert "a.onnx" in str(caught.value.hint)
    assert TOKEN not in f"{caught.value} {caught.value.hint}"


def test_without_a_network_the_error_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens on `discard`
    (tmp_path / "a.onnx").write_bytes(b"a")
    with pytest.raises(AutoMixError, match=r"cannot push to `me/digits` on http://127\.0\.0\.1:9"):
        hub.push("me/digits", {"a.onnx": tmp_path / "a.onnx"}, private=False)


@pytest.mark.slow
def test_an_export_that_cannot_be_pushed_is_shown_and_kept(
    automix: Automix,
    exported: tuple[Path, dict[str, Any], FakeHub],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    run = ("--checkpoint", exported[0] / "run" / "ckpt.pt", "--push-to-hub=me/digits")
    result = automix("export", *run, *EXPORT[2:])
    assert result.exit_code == 1
    assert "verified in a fresh process" in result.stdout
    assert "cannot push" in result.stderr
    assert {each.name for each in tmp_path.iterdir()} == {"a.safetensors", "README.md"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--private",), "give `--push-to-hub` too"),
        (("--push-to-hub=no/such/name",), "must name a repository such as"),
        (("--push-to-hub=--",), "must name a repository such as"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_read(
    automix: Automix, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    result = automix(*EXPORT, *options)
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert list(tmp_path.iterdir()) == []
