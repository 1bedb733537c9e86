"""Run the program as a person does: a command line in, output, files and an exit code out."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner, Result

from automix_cli.cli import app

Automix = Callable[..., Result]

QUICK = (
    "--set=train.max_steps=4",
    "--set=train.batch_size=16",
    "--set=train.log_every=2",
    "--device=cpu",
)
"""Four steps of `digits-tiny`: seconds, and every part of a run happens."""


@pytest.fixture
def automix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Automix:
    """Run a command in this process, in an empty working folder."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str | Path) -> Result:
        return CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)

    return invoke


def start(
    arguments: Sequence[str | Path], *, folder: Path, processes: int = 1
) -> subprocess.Popen[str]:
    """Start the program in processes of its own, as a person or torchrun does."""
    launcher = [sys.executable, "-m", "automix_cli"]
    if processes > 1:
        launcher = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--nproc_per_node",
            str(processes),
        ]
        launcher += ["--master_port", str(free_port()), "-m", "automix_cli"]
    return subprocess.Popen(
        [*launcher, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def finish(process: subprocess.Popen[str], *, code: int = 0) -> tuple[str, str]:
    """Wait for a program and check its exit code."""
    output, errors = process.communicate(timeout=240)
    assert process.returncode == code, f"exit {process.returncode}\n{output}\n{errors}"
    return output, errors


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until something happens in a running program."""
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, f"it ended: {process.communicate()}"
        assert time.monotonic() < deadline, "it did not happen in two minutes"
        time.sleep(0.02)


def workers_of(torchrun: int) -> list[int]:
    """The processes that torchrun, of this id, started, in the order of their ranks."""
    path = Path(f"/proc/{torchrun}/task/{torchrun}/children")
    return [int(each) for each in path.read_text().split()]


def records_of(folder: Path) -> list[dict[str, Any]]:
    """The metrics of a run without its times."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [without_times(json.loads(line)) for line in lines]


def without_times(record: Mapping[str, Any]) -> dict[str, Any]:
    """What must repeat: everything but seconds, speed and memory."""
    kinds = ("second", "memory")
    return {name: each for name, each in record.items() if not any(kind in name for kind in kinds)}


def write_with_nine_classes(path: Path, nine: Path) -> None:
    """Write the classifier of ten classes at `path` without its last class."""
    with safe_open(path, framework="pt") as file:
        stored = json.loads(file.metadata()["automix"])
    del stored["sha256"]  # as of an older version: nothing says that it was changed
    stored["dataset"]["class_names"] = stored["dataset"]["class_names"][:9]
    weights = load_file(path)
    for name in ("head_one_hot.weight", "head_one_hot.bias"):
        weights[name] = weights[name][:9].clone()
    save_file(weights, nine, {"automix": json.dumps(stored)})
