"""What was tried to lose or harm something, how often, and what was lost: as a Markdown table.

    python -m tests.reliability [--inputs 10000]

Each row is a function below that returns how often it tried and what it lost, and its line in
`TRIALS`. It ends with exit code 1 if anything was lost.
"""

import argparse
import itertools
import json
import math
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from typer.testing import CliRunner

from automix_cli.atomic import written_atomically
from automix_cli.cli import app
from automix_cli.commands.exporting.file_written import written_at_last
from automix_cli.commands.training.run import prepare_run
from automix_cli.engine.checkpoint import load_checkpoint, load_classifier
from automix_cli.engine.sealing import seal
from automix_cli.engine.weights import write_weights
from automix_cli.errors import AutoMixError, CheckpointError, DivergedError, SettingsError
from automix_cli.reporting.records import CLASSIFIER
from automix_cli.settings.layering import Overrides, load
from tests.commands.test_growth import assert_no_growth, measured
from tests.commands.test_setups import STREAMED, WORKERS
from tests.engine.conftest import SMALL as CPU
from tests.engine.test_not_finite import SMALL, WRONG, Kept
from tests.fuzz import DATASET, attempt, checkpoint, targets

Trial = Callable[[Path, int], tuple[int, int]]
"""Takes an empty folder and the number of inputs of a fuzz trial; gives tries and losses."""


def stored(folder: Path) -> Path:
    """A sealed checkpoint with 25,000 numbers."""
    path = folder / "ckpt.pt"
    content = checkpoint()
    torch.save({**content, "model": {"weight": torch.arange(25_000.0)}}, path)
    seal(path)
    return path


def silent_loads(path: Path, changes: list[bytes]) -> int:
    """How many changed checkpoints are loaded as if nothing were wrong."""
    silent = 0
    for content in changes:
        path.write_bytes(content)
        try:
            load_checkpoint(path)
        except CheckpointError:
            continue
        silent += 1
    return silent


def cut(folder: Path, _: int) -> tuple[int, int]:
    """Cut a checkpoint off at every kilobyte."""
    path = stored(folder)
    whole = path.read_bytes()
    changes = [whole[:size] for size in range(0, len(whole), 1024)]
    return len(changes), silent_loads(path, changes)


def turned(folder: Path, _: int) -> tuple[int, int]:
    """Turn one bit of a checkpoint, at 1,000 places."""
    path = stored(folder)
    whole, draw, changes = path.read_bytes(), random.Random(0), []
    for _ in range(1000):
        changed = bytearray(whole)
        changed[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        changes.append(bytes(changed))
    return len(changes), silent_loads(path, changes)


def turned_portable(folder: Path, _: int) -> tuple[int, int]:
    """Turn a bit in every byte of portable weights; lost is what then differs and is not said."""
    path = folder / "classifier.safetensors"
    write_weights(path, {"weight": torch.arange(100.0)}, {"settings": {}, "dataset": DATASET})
    whole, lost = path.read_bytes(), 0
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        path.write_bytes(bytes(changed))
        try:
            weights, said = load_classifier(path)
        except CheckpointError:
            continue
        same = torch.equal(weights["weight"], torch.arange(100.0)) and said["dataset"] == DATASET
        lost += not same
    return len(whole), lost


def full(folder: Path, _: int) -> tuple[int, int]:
    """Let the disk be full after every kilobyte of a checkpoint that replaces another."""
    import resource

    path, before = stored(folder), resource.getrlimit(resource.RLIMIT_FSIZE)
    whole, tries, lost = path.read_bytes(), 0, 0
    for size in range(0, len(whole), 1024):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            with written_atomically(path) as partial:
                partial.write_bytes(whole[::-1])
        except OSError:
            pass
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        tries += 1
        lost += path.read_bytes() != whole or len(list(folder.iterdir())) != 1
    return tries, lost


def one_name(folder: Path, _: int) -> tuple[int, int]:
    """Export twice onto one name, the second beginning first."""
    lost = 0
    for number in range(100):
        target = folder / f"{number}.onnx"
        try:
            with written_at_last(target, force=False) as late:
                late.write_bytes(b"late")
                with written_at_last(target, force=False) as early:
                    early.write_bytes(b"early")
            lost += 1
        except SettingsError:
            lost += target.read_bytes() != b"early"
    return 100, lost


def killed(processes: int) -> Trial:
    """Kill a training run at 20 moments; see `tests.kill_storm`."""

    def trial(_: Path, __: int) -> tuple[int, int]:
        command = [sys.executable, "-m", "tests.kill_storm", "--processes", str(processes)]
        root = Path(__file__).parents[1]
        done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, check=False)
        (storm,) = json.loads(done.stdout)
        return len(storm["moments"]), len(storm["lost"])

    return trial


def hostile(folder: Path, num_inputs: int) -> tuple[int, int]:
    """Give every reader altered files and settings; lost is an error that is not documented."""
    every = targets(folder)
    shares = sum(each.share for each in every)
    tries = lost = 0
    for target in every:
        for number in range(round(num_inputs * target.share / shares + 0.5)):
            tries += 1
            lost += attempt(target, 1, number)[0] == "crash"
    return tries, lost


def not_numbers(folder: Path, _: int) -> tuple[int, int]:
    """Put NaN and infinity everywhere in a training, at one step.

    Lost is a run that goes on, that does not say what and when, or whose checkpoint was replaced.
    """
    every = list(itertools.product(WRONG.values(), (math.nan, math.inf)))
    lost = 0
    for (strike, what), number in every:
        settings, _ = load(Overrides(preset="digits-tiny", sets=(*CPU, *SMALL)), environment={})
        kept = Kept(folder, strike(prepare_run(settings).training, number))
        said = ""
        try:
            kept.run()
        except DivergedError as problem:
            said = problem.message
        is_said = what in said and "between steps 2 and 4" in said
        lost += not (is_said and load_checkpoint(kept.path).state.step == 2)
    return len(every), lost


def other_threads(folder: Path, _: int) -> tuple[int, int]:
    """Train with other numbers of threads that make images."""
    found: list[bytes] = []
    for number in WORKERS:
        run = folder / str(number)
        arguments = ["train", *STREAMED, f"--set=data.workers={number}", "-o", str(run)]
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        found.append(result.exit_code.to_bytes() + (run / CLASSIFIER).read_bytes())
    return len(found), len(set(found)) - 1


def long_run(_: Path, num_inputs: int) -> tuple[int, int]:
    """Train on and on, and evaluate; as many steps as the table has, if it has 100,000 inputs."""
    is_whole = num_inputs >= 100_000
    steps, evaluations = (2000, 200) if is_whole else (200, 15)
    found = measured(f"--epochs={steps // 10}", f"--evaluations={evaluations}", "--drawings=0")
    lost = 0
    for each, most in zip(found.values(), (4, 4) if is_whole else (20, 100), strict=True):
        try:
            assert_no_growth(each, most_per_thousand=most)
        except AssertionError:
            lost += 1
    return steps, lost


TRIALS: dict[str, tuple[Trial, str]] = {
    "A training run killed and resumed": (killed(1), "results that differ"),
    "The same with two processes, one or both killed": (killed(2), "results that differ"),
    "A checkpoint cut off at every kilobyte": (cut, "wrong weights loaded"),
    "One bit of a checkpoint turned": (turned, "wrong weights loaded"),
    "A bit turned in every byte of portable weights": (turned_portable, "wrong weights loaded"),
    "The disk full at every kilobyte of a write": (full, "checkpoints lost"),
    "Two exports onto one name": (one_name, "exports mixed or replaced"),
    "Altered files and settings, 14 readers": (hostile, "undocumented errors"),
    "NaN or infinity in data, weights, buffers, gradients, losses": (
        not_numbers,
        "runs that went on",
    ),
    "Runs with 0, 1 and 4 threads that make images": (other_threads, "runs with other bytes"),
    "Steps with an evaluation and checkpoints after every tenth": (
        long_run,
        "leaks of memory, files or threads",
    ),
}


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability")
    parser.add_argument("--inputs", type=int, default=10_000)
    num_inputs = parser.parse_args().inputs
    torch.set_num_threads(1)
    sys.stdout.write("| What was tried | How often | What was lost |\n| --- | ---: | --- |\n")
    total = 0
    for title, (trial, unit) in TRIALS.items():
        with tempfile.TemporaryDirectory() as name:
            try:
                tries, lost = trial(Path(name), num_inputs)
            except AutoMixError as problem:
                tries, lost, unit = 0, 1, f"trials: {problem.message}"
        total += lost
        told = f"{lost} {unit}" if lost else f"nothing (0 {unit})"
        sys.stdout.write(f"| {title} | {tries:,} | {told} |\n")
        sys.stdout.flush()
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
