"""Training on a folder of image files: exact, resumable, and stopped by name at a broken file."""

import json
import math
import os
import shutil
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.commands.conftest import Automix, finish, start, wait_for
from tests.commands.test_resume import assert_same_run, has_reached

SMALL = (
    *("--preset=digits-tiny", "--set=data.name=folder", "--set=data.image_size=16"),
    *("--set=train.batch_size=8", "--set=train.epochs=1", "--device=cpu"),
    *("--set=data.rand_augment=timm", "--set=data.erase_probability=0.25"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shapes")
    rng = np.random.default_rng(0)
    for part, num_images in (("train", 20), ("test", 6)):
        for number in range(num_images):
            path = root / part / f"class {number % 2}" / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            coarse = rng.integers(256, size=(4, 5, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((30 + number, 40)).save(path)
    return root


def test_the_number_of_workers_changes_no_byte_and_none_is_left(
    automix: Automix, folder: Path
) -> None:
    for workers in ("0", "3"):
        flags = (f"--set=data.workers={workers}", "-o", f"run{workers}")
        result = automix("train", *SMALL, "--data-dir", folder, *flags)
        assert result.exit_code == 0, result.output
        assert not any(each.name.startswith("automix-images") for each in threading.enumerate())
    one, other = (Path(f"run{workers}/classifier.safetensors") for workers in ("0", "3"))
    weights = [each.read_bytes().split(b"}", 1)[-1][-10_000:] for each in (one, other)]
    assert weights[0] == weights[1]
    summary = json.loads(Path("run0/summary.json").read_text())
    evaluated = json.loads(automix("eval", "run3", "--json").stdout)
    assert evaluated["heads"]["momentum_one_hot"]["num_images"] == 6
    top1 = summary["last"]["test"]["momentum_one_hot"]["top1"]
    assert evaluated["heads"]["momentum_one_hot"]["top1"] == top1


def test_a_broken_file_ends_the_run_by_name_with_exit_code_3(
    automix: Automix, folder: Path
) -> None:
    shutil.copytree(folder, "copy")
    broken = Path("copy/train/class 1/13.jpg")
    broken.write_bytes(broken.read_bytes()[:100])
    result = automix("train", *SMALL, "--data-dir", "copy", "-o", "run")
    assert result.exit_code == 3
    assert "13.jpg" in result.stderr
    assert "automix data check" in result.stderr
    assert not any(each.name.startswith("automix-images") for each in threading.enumerate())


def test_an_array_cannot_be_streamed(automix: Automix) -> None:
    result = automix("train", "-p", "digits-tiny", "--set=data.storage=stream", "--dry-run")
    assert result.exit_code == 2
    assert "digits is an array and has no image files" in result.stderr


def test_files_of_many_sizes_cannot_be_kept_in_memory(automix: Automix, folder: Path) -> None:
    flags = ("--set=data.storage=memory", "--data-dir", folder, "--dry-run")
    result = automix("train", *SMALL, *flags)
    assert result.exit_code == 3
    assert "`data.storage` `memory` needs images of one size" in result.stderr


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("data.crop=pad", "images are cropped by `pad`"),
        ("data.resize=40", "`data.resize` is 40"),
        ("data.color_jitter=0.4", "colours are changed"),
    ],
)
def test_what_a_device_cannot_do_to_its_images_is_refused(
    automix: Automix, folder: Path, setting: str, reason: str
) -> None:
    flags = ("--set=data.decode_on=device", f"--set={setting}", "--data-dir", folder)
    result = automix("train", *SMALL, *flags, "--dry-run")
    assert result.exit_code == 2
    assert reason in result.stderr


def test_a_border_wider_than_the_image_is_a_settings_error(automix: Automix, folder: Path) -> None:
    flags = ("--set=data.crop=pad", "--set=data.crop_padding=16", "--data-dir", folder)
    result = automix("train", *SMALL, *flags, "--dry-run")
    assert result.exit_code == 2
    assert "padding must be in [0, 16), got 16" in result.stderr


@pytest.mark.slow
def test_killed_in_the_middle_of_an_epoch_and_resumed_is_as_if_never_killed(
    folder: Path, tmp_path: Path
) -> None:
    longer = (*SMALL, "--set=train.epochs=4", "--set=train.save_every=2")
    longer += ("--set=train.log_every=1", "--data-dir", str(folder))
    finish(start(["train", *longer, "-o", "whole"], folder=tmp_path))
    process = start(["train", *longer, "-o", "run"], folder=tmp_path)
    wait_for(lambda: has_reached(tmp_path / "run", 5), process)  # of 3 steps an epoch
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    finish(start(["train", "--resume", "run"], folder=tmp_path))
    assert_same_run(tmp_path / "whole", tmp_path / "run")


@pytest.mark.parametrize("method", ["automix", "puzzlemix"])
def test_a_class_with_one_image_is_trained_on_and_evaluated(
    automix: Automix, folder: Path, method: str
) -> None:
    """One for training and one for testing, while parts of the others are held out and left out."""
    shutil.copytree(folder, "shapes")
    for part in ("train", "test"):
        lonely = Path("shapes") / part / "alone" / "0.jpg"
        lonely.parent.mkdir()
        shutil.copy(folder / "train" / "class 0" / "0.jpg", lonely)
    flags = ("--data-dir=shapes", "--set=data.holdout=0.2", "--set=data.train_limit=15")
    result = automix("train", *SMALL, *flags, "--method", method, "-o", "run")
    assert result.exit_code == 0, result.output
    evaluated = json.loads(automix("eval", "run", "--json").stdout)
    (classes, *_) = [head["classes"] for head in evaluated["heads"].values()]
    found = {each["name"]: each["num_images"] for each in classes}
    assert found == {"alone": 1, "class 0": 3, "class 1": 3}
    assert math.isfinite(evaluated["heads"]["momentum_one_hot"]["nll"])
