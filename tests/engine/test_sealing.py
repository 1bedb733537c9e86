"""A damaged file of weights is noticed wherever the damage is; one that lies takes no memory."""

import os
import random
import zipfile
from pathlib import Path

import pytest
import torch

from automix_cli.engine.checkpoint import (
    Header,
    load_checkpoint,
    load_classifier,
    save_classifier,
)
from automix_cli.engine.loop import TrainState
from automix_cli.engine.weights import read_content
from automix_cli.errors import CheckpointError
from tests.engine.conftest import Prepare
from tests.engine.test_checkpoint import save_checkpoint
from tests.fuzz import checkpoint

HEADER = Header(settings={}, dataset={}, software={}, num_processes=1, metrics_bytes=0)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A checkpoint of two tensors, sealed as `save_checkpoint` does."""
    from automix_cli.engine.sealing import seal

    path = tmp_path / "ckpt.pt"
    torch.save(checkpoint(), path)
    seal(path)
    return path


def refusals(path: Path, changes: list[bytes]) -> int:
    """How many changed contents of a checkpoint are refused; every other one is a silent loss."""
    count = 0
    for content in changes:
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"damaged|something other|not a checkpoint"):
            load_checkpoint(path)
        count += 1
    return count


def test_a_real_checkpoint_is_refused_when_cut_at_any_kilobyte_or_a_bit_is_turned(
    prepare: Prepare, tmp_path: Path
) -> None:
    path = tmp_path / "ckpt.pt"
    save_checkpoint(path, prepare().training, TrainState(), HEADER)
    whole = path.read_bytes()
    load_checkpoint(path)
    kilobytes = range(0, len(whole), 1024)
    some = kilobytes[:: max(1, len(kilobytes) // 40)]
    assert refusals(path, [whole[:size] for size in some]) == len(some)
    draw = random.Random(0)
    turned = [flipped(whole, draw.randrange(len(whole)), draw.randrange(8)) for _ in range(40)]
    assert refusals(path, turned) == 40


@pytest.mark.slow
def test_a_real_checkpoint_is_refused_when_cut_at_every_kilobyte(
    prepare: Prepare, tmp_path: Path
) -> None:
    path = tmp_path / "ckpt.pt"
    save_checkpoint(path, prepare().training, TrainState(), HEADER)
    whole = path.read_bytes()
    cuts = [whole[:size] for size in range(0, len(whole), 1024)]
    assert refusals(path, cuts) == len(cuts) > 100


@pytest.mark.slow
def test_a_bit_turned_in_any_byte_is_noticed(small: Path) -> None:
    whole = small.read_bytes()
    changes = [flipped(whole, place, place % 8) for place in range(len(whole))]
    assert refusals(small, changes) == len(whole)


def flipped(content: bytes, place: int, bit: int) -> bytes:
    """The same bytes but for one bit."""
    changed = bytearray(content)
    changed[place] ^= 1 << bit
    return bytes(changed)


def test_a_bit_turned_in_portable_weights_is_noticed_or_moves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "classifier.safetensors"
    save_classifier(path, {"weight": torch.arange(6.0)}, HEADER)
    whole, noticed = path.read_bytes(), 0
    for place in range(len(whole)):
        path.write_bytes(flipped(whole, place, place % 8))
        try:
            weights, stored = load_classifier(path)
        except CheckpointError:
            noticed += 1
        else:  # the name of the hash, or a blank between two words
            assert torch.equal(weights["weight"], torch.arange(6.0))
            assert (stored["settings"], stored["dataset"]) == ({}, {})
    assert noticed > 0.9 * len(whole)


def test_a_checkpoint_of_the_version_without_hashes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ckpt.pt"
    torch.save({**checkpoint(), "version": 1}, path)
    assert load_checkpoint(path).state.step == 1


def test_a_checkpoint_whose_hash_was_taken_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ckpt.pt"
    torch.save(checkpoint(), path)
    with pytest.raises(CheckpointError, match="the SHA-256 of its content is missing"):
        load_checkpoint(path)


def test_an_archive_that_unpacks_to_more_than_it_is_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(50_000_000))
    assert path.stat().st_size < 100_000
    with pytest.raises(CheckpointError, match="unpacks to more than its size"):
        read_content(path)


def test_a_pickle_that_asks_for_memory_is_not_given_it(tmp_path: Path) -> None:
    path = tmp_path / "hungry.pt"
    torch.save({"weight": torch.zeros(1), "room": bytearray(3)}, path)
    with pytest.raises(CheckpointError, match="something other than tensors"):
        read_content(path)


def test_a_tensor_without_content_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ckpt.pt"
    model = {"weight": torch.zeros(10**6, 10**6, device="meta")}
    torch.save({**checkpoint(), "version": 1, "model": model}, path)
    with pytest.raises(CheckpointError, match="`weight` is no plain tensor"):
        load_checkpoint(path)


def test_a_full_disk_while_the_hash_is_appended_leaves_the_previous_checkpoint(
    prepare: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, training = tmp_path / "ckpt.pt", prepare().training
    save_checkpoint(path, training, TrainState(step=1), HEADER)

    def full(_: Path) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("automix_cli.engine.checkpoint.seal", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        save_checkpoint(path, training, TrainState(step=2), HEADER)
    assert load_checkpoint(path).state.step == 1
    assert [each.name for each in tmp_path.iterdir()] == ["ckpt.pt"]
