"""Checkpoints written beside the training hold what was there when they were asked for."""

import threading
from pathlib import Path

import pytest
import torch

from automix_cli.engine import checkpoint_writer
from automix_cli.engine.checkpoint import load_checkpoint
from automix_cli.engine.checkpoint_writer import CheckpointWriter, copied
from automix_cli.engine.loop import TrainState
from automix_cli.errors import CheckpointError
from tests.engine.conftest import Prepare
from tests.engine.test_checkpoint import HEADER
from tests.engine.test_step import one_step, weights


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Lets a checkpoint be written only when it is set."""
    event, write = threading.Event(), checkpoint_writer.write_checkpoint

    def held_up(*arguments: object) -> None:
        assert event.wait(timeout=60)
        write(*arguments)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(checkpoint_writer, "write_checkpoint", held_up)
    return event


def test_training_goes_on_and_the_file_has_the_step_it_was_asked_for(
    prepare: Prepare, tmp_path: Path, gate: threading.Event
) -> None:
    prepared, state = prepare(), TrainState()
    state.add(one_step(prepared))
    before, sums = weights(prepared), state.sums
    assert sums is not None
    with CheckpointWriter() as writer:
        writer.save([tmp_path / "ckpt.pt"], prepared.training, state, HEADER)
        state.add(one_step(prepared, step=1))
        assert not (tmp_path / "ckpt.pt").exists()
        gate.set()
    saved = load_checkpoint(tmp_path / "ckpt.pt")
    assert all(torch.equal(before[name], saved.model[name]) for name in before)
    assert saved.state.sums is not None
    assert torch.equal(saved.state.sums[0], sums)
    assert not all(torch.equal(before[name], each) for name, each in weights(prepared).items())


def test_files_are_written_in_order_and_the_newest_stays(prepare: Prepare, tmp_path: Path) -> None:
    training = prepare().training
    with CheckpointWriter() as writer:
        for step in range(3):
            paths = [tmp_path / name for name in ("best.pt", "ckpt.pt")]
            writer.save(paths, training, TrainState(step=step), HEADER)
    assert [load_checkpoint(path).state.step for path in sorted(tmp_path.iterdir())] == [2, 2]


@pytest.mark.parametrize("then", ["another save", "the end", "an exception"])
def test_a_file_that_cannot_be_written_is_reported(
    prepare: Prepare, tmp_path: Path, then: str
) -> None:
    training, missing = prepare().training, [tmp_path / "no folder" / "ckpt.pt"]

    def write() -> None:
        with CheckpointWriter() as writer:
            writer.save(missing, training, TrainState(), HEADER)
            if then == "another save":
                writer.save(missing, training, TrainState(), HEADER)
            if then == "an exception":
                raise RuntimeError(then)

    with pytest.raises(CheckpointError, match="cannot write"):
        write()


def test_a_copy_shares_no_memory_and_keeps_values_and_kinds() -> None:
    content = {"a": [torch.ones(2), 1.5], "b": (None, "text", {"c": torch.zeros(1)})}
    again = copied(content)
    content["a"][0].zero_()  # pyright: ignore[reportAttributeAccessIssue, reportOptionalSubscript]
    assert torch.equal(again["a"][0], torch.ones(2))
    assert (again["a"][1], again["b"][:2]) == (1.5, (None, "text"))
    assert torch.equal(again["b"][2]["c"], torch.zeros(1))
