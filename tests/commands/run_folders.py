"""Run folders written by hand, and a program that writes them in place of `automix train`.

As a program, `python run_folders.py -m automix_cli train --config FILE --output-dir FOLDER`, it
does in milliseconds what the real one does to a folder, and fails or waits where the environment
says so: `STAND_IN_FAILS`, `STAND_IN_WAITS` and `STAND_IN_KILLED` are words in the folder's name.
"""

import json
import os
import signal
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

SOFTWARE = {"automix": "1", "torch": "2"}


def summary_of(method: str, seed: int, top1: float) -> dict[str, Any]:
    """What a run of 10 steps and 2 epochs sums up to."""
    heads = {
        name: {"num_images": 360, "top1": top1 + more, "top5": 1.0, "nll": 1 - top1}
        for name, more in (("momentum_one_hot", 0.0), ("classifier_one_hot", 0.01))
    }
    return {
        "schema_version": 1,
        "method": method,
        "seed": seed,
        "step": 10,
        "epochs": 2.0,
        "stands_for": "momentum_one_hot",
        "last": {"test": heads},
        "peak_memory_bytes": 2**20 * (1 + seed),
    }


def write_run(folder: Path, settings: str, *, top1: float = 0.5, software: str = "2") -> Path:
    """A finished run as `automix train` leaves it, without its weights.

    Its first five steps took one second each, the others two, 16 images a step.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = tomllib.loads(settings)
    summary = summary_of(values["mix"]["method"], values["run"]["seed"], top1)
    session = {"device": "cpu", "processor": "x", "cores": 2, "num_processes": 1}
    session |= {"software": {**SOFTWARE, "torch": software}}
    lines = [
        {"split": "train", "step": 5, "epoch": 1.0, "seconds_per_step": 1.0},
        {"split": "train", "step": 10, "epoch": 2.0, "seconds_per_step": 2.0},
    ]
    lines = [{**each, "images_per_second": 16 / each["seconds_per_step"]} for each in lines]
    (folder / "settings.toml").write_text(settings)
    (folder / "environment.json").write_text(json.dumps({"sessions": [session]}))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def is_asked_to(deed: str, folder: Path) -> bool:
    """Whether the environment wants this of the run in a folder."""
    return os.environ.get(f"STAND_IN_{deed}", "nothing") in folder.name


def wait_for_a_signal(folder: Path) -> None:
    """Write down every signal, and save and leave as the real program does after the first."""
    received: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda got, _: received.append(got))
    (folder / "metrics.jsonl").write_text('{"epoch": 0.5}\n')
    while not received:
        time.sleep(0.01)
    time.sleep(0.3)  # a second one would come now
    (folder / "ckpt.pt").write_bytes(b"saved")
    sys.stdout.write(f"received {received}\n")
    sys.exit(128 + received[0])


def main(arguments: list[str]) -> None:
    if arguments[3] == "--resume":
        folder = Path(arguments[4])
        settings = (folder / "settings.toml").read_text()
    else:
        folder, settings = Path(arguments[6]), Path(arguments[4]).read_text()
        assert not folder.exists() or not list(folder.iterdir())
    folder.mkdir(exist_ok=True)
    (folder / "settings.toml").write_text(settings)
    kept = sorted(name for name in os.environ if name.startswith("AUTOMIX_"))
    sys.stdout.write(f"started with {arguments[3]}, variables {kept}\n")
    sys.stdout.flush()
    if is_asked_to("FAILS", folder):
        leave(3)
    if is_asked_to("KILLED", folder):
        os.kill(os.getpid(), signal.SIGKILL)
    if is_asked_to("WAITS", folder) and arguments[3] != "--resume":
        wait_for_a_signal(folder)
    write_run(folder, settings, top1=0.5 + 0.01 * len(folder.name))


def leave(code: int) -> None:
    """Fail as the real program does."""
    sys.stdout.write("warning: it smells\nerror: it broke\n\nhint: mend it\n")
    sys.exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
