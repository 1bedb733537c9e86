"""Checkpoints: what is saved comes back, and what cannot be trusted is refused."""

import os
import pickle
from pathlib import Path

import pytest
import torch

from automix_cli.engine.checkpoint import (
    Header,
    checkpoint_content,
    load_checkpoint,
    load_classifier,
    load_weights,
    restore,
    save_classifier,
    write_checkpoint,
)
from automix_cli.engine.loop import Training, TrainState
from automix_cli.errors import CheckpointError
from tests.engine.conftest import Prepare
from tests.engine.test_step import one_step, weights

HEADER = Header(
    settings={"mix": {"alpha": 2.0}}, dataset={}, software={}, num_processes=1, metrics_bytes=0
)


def save_checkpoint(path: Path, training: Training, state: TrainState, header: Header) -> None:
    content = checkpoint_content(training, state, header)
    assert content is not None
    write_checkpoint(path, content)


def test_restoring_gives_back_weights_optimizer_and_progress(
    prepare: Prepare, tmp_path: Path
) -> None:
    prepared = prepare()
    state = TrainState(step=1, seconds=2.5, best={"step": 1.0, "top1": 0.5})
    state.add(one_step(prepared))
    save_checkpoint(tmp_path / "ckpt.pt", prepared.training, state, HEADER)

    other = prepare()
    one_step(other, step=7)
    restored = restore(load_checkpoint(tmp_path / "ckpt.pt"), other.training)
    assert (restored.step, restored.seconds, restored.best) == (1, 2.5, state.best)
    assert restored.sums is not None
    assert state.sums is not None
    assert torch.equal(restored.sums, state.sums)
    one_step(prepared, step=1)
    one_step(other, step=1)
    expected, got = weights(prepared), weights(other)
    assert all(torch.equal(expected[name], got[name]) for name in expected)


@pytest.mark.parametrize("kept_bytes", [0, 1, 100, 4096, -1, -100])
def test_a_truncated_checkpoint_is_refused(
    prepare: Prepare, tmp_path: Path, kept_bytes: int
) -> None:
    path = tmp_path / "ckpt.pt"
    save_checkpoint(path, prepare().training, TrainState(), HEADER)
    path.write_bytes(path.read_bytes()[:kept_bytes])
    with pytest.raises(CheckpointError, match=r"truncated or damaged|tensors and plain values"):
        load_checkpoint(path)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.open, (str(self.marker), os.O_CREAT)


@pytest.mark.parametrize("write", ["torch.save", "pickle.dump"])
def test_a_pickle_with_code_in_it_is_refused_and_not_run(tmp_path: Path, write: str) -> None:
    path, marker = tmp_path / "ckpt.pt", tmp_path / "exploded"
    content = {"format": "automix-checkpoint", "model": Bomb(marker)}
    if write == "torch.save":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(CheckpointError, match="tensors and plain values"):
        load_checkpoint(path)
    assert not marker.exists()


def test_somebody_elses_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"weight": torch.zeros(1)}}, tmp_path / "theirs.pt")
    with pytest.raises(CheckpointError, match="not a checkpoint of `automix train`"):
        load_checkpoint(tmp_path / "theirs.pt")


def test_a_checkpoint_of_a_later_version_is_refused(prepare: Prepare, tmp_path: Path) -> None:
    path = tmp_path / "ckpt.pt"
    save_checkpoint(path, prepare().training, TrainState(), HEADER)
    content = torch.load(path, weights_only=True)
    torch.save({**content, "version": 99}, path)
    with pytest.raises(CheckpointError, match="checkpoint version 99, this program reads 1"):
        load_checkpoint(path)


@pytest.mark.parametrize("name", ["missing.pt", "."])
def test_a_missing_checkpoint_is_a_clear_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match="wanted a checkpoint"):
        load_checkpoint(tmp_path / name)


def test_weights_of_another_architecture_are_refused_by_name_and_shape(tmp_path: Path) -> None:
    module = torch.nn.Linear(3, 2)
    wrong = {"weight": torch.zeros(2, 4), "scale": torch.zeros(1)}
    with pytest.raises(CheckpointError) as caught:
        load_weights(module, wrong, tmp_path / "ckpt.pt")
    for part in ("`bias` is missing", "`scale` is unknown", "(2, 4), wanted (2, 3)"):
        assert part in str(caught.value)


def test_a_failed_write_leaves_the_previous_checkpoint(
    prepare: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ckpt.pt"
    training = prepare().training
    save_checkpoint(path, training, TrainState(step=1), HEADER)
    before = path.read_bytes()

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(CheckpointError, match="No space left on device"):
        save_checkpoint(path, training, TrainState(step=2), HEADER)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["ckpt.pt"]


def test_the_portable_classifier_has_the_same_bytes_every_time(tmp_path: Path) -> None:
    tensors = {name: torch.full((3,), float(number)) for number, name in enumerate("zyxabc")}
    for name in ("first", "second"):
        save_classifier(tmp_path / name, tensors, HEADER)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    weights_read, stored = load_classifier(tmp_path / "first")
    assert stored["settings"] == HEADER.settings
    assert all(torch.equal(weights_read[name], tensors[name]) for name in tensors)


def test_a_damaged_portable_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "classifier.safetensors"
    save_classifier(path, {"weight": torch.zeros(100)}, HEADER)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="cannot read"):
        load_classifier(path)


def test_a_safetensors_file_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(1)}, tmp_path / "theirs.safetensors")
    with pytest.raises(CheckpointError, match="not written by automix"):
        load_classifier(tmp_path / "theirs.safetensors")
