"""Weights that somebody else trained are read, and nothing in their file is run."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from automix_cli.engine.weights import read_weights
from automix_cli.errors import CheckpointError

WEIGHTS = {"a.weight": torch.arange(4.0), "a.count": torch.tensor(3)}


def test_both_kinds_of_file_give_the_same_tensors(tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "a.safetensors")
    torch.save(WEIGHTS, tmp_path / "a.pth")
    for name in ("a.safetensors", "a.pth"):
        read = read_weights(tmp_path / name)
        assert read.keys() == WEIGHTS.keys()
        assert all(torch.equal(read[key], each) for key, each in WEIGHTS.items())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"at `.*none\.pth`, found nothing"):
        read_weights(tmp_path / "none.pth")
    with pytest.raises(CheckpointError, match="found a folder"):
        read_weights(tmp_path)


class Trap:
    """A pickle of it makes a file when it is read."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path("trapped").touch, ()


def test_a_file_with_code_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path, content in (("a.pth", Trap()), ("b.pth", {"a": Trap()})):
        torch.save(content, path)
        with pytest.raises(CheckpointError, match="something other than tensors"):
            read_weights(Path(path))
    assert not Path("trapped").exists()
    pickle.loads(pickle.dumps(Trap()))  # so it would have been noticed
    assert Path("trapped").exists()


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
@pytest.mark.parametrize("size", [0, 20])
def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path, name: str, size: int) -> None:
    save_file(WEIGHTS, tmp_path / "a.safetensors")
    torch.save(WEIGHTS, tmp_path / "a.pth")
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CheckpointError, match=r"truncated or damaged|other than tensors"):
        read_weights(path)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="must hold named tensors alone"):
        read_weights(tmp_path / "a.pth")
