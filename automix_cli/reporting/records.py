"""The files of a run folder: what ran, where, and how it went.

```text
runs/<preset>/<UTC time>-seed<seed>/
  settings.toml           every setting, reloadable with `--config`
  origins.json            which layer set each of them
  environment.json        versions, commit, device, command line: one entry a session
  masks/                  of a mix block in training: progress.safetensors, .png, .svg, .gif
  metrics.jsonl           one object a line, appended to; a resume cuts what it will write again
  ckpt.pt  best.pt        the newest and the best checkpoint
  trackers.json           with `--tracker`: by what a tracker knows the run
  tensorboard/            with `--tracker tensorboard`
  classifier.safetensors  the result, written when the run is finished
  detector.safetensors  predictions.json  boxes.png  boxes.svg   of `automix detect`, in its place
  summary.json            its numbers, written last: a run with a summary is finished
  evaluation/  corruptions/  robustness/  masks/  report.html   what other commands add
```
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from automix_cli.atomic import written_atomically
from automix_cli.errors import CheckpointError

CHECKPOINT = "ckpt.pt"
BEST = "best.pt"
CLASSIFIER = "classifier.safetensors"
DETECTOR = "detector.safetensors"
SUMMARY = "summary.json"
SETTINGS = "settings.toml"
ORIGINS = "origins.json"
METRICS = "metrics.jsonl"
MASKS = "masks"


def default_folder(preset: str | None, method: str, seed: int) -> Path:
    """Give a run a folder of its own: preset, method unless it is AutoMix, UTC time and seed."""
    rival = "" if method == "automix" else f"-{method}"
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    return Path("runs") / f"{preset or 'custom'}{rival}" / f"{moment}-seed{seed}"


def newest(root: Path, *markers: str, wanted: Callable[[Path], bool] | None = None) -> Path | None:
    """Give the folder below `root` of which a file in `markers` was written last, or None.

    Args:
        root: Where to look.
        markers: Names of files.
        wanted: Which folders count; all, if not said.
    """
    found = [
        path
        for marker in markers
        for path in root.rglob(marker)
        if wanted is None or wanted(path.parent)
    ]
    written_last = max(found, key=lambda each: (each.stat().st_mtime_ns, str(each)), default=None)
    return None if written_last is None else written_last.parent


def newest_or_raise(root: Path, marker: str, wanted: str) -> Path:
    """As `newest`, but say what to do when there is none.

    Raises:
        CheckpointError: no run below `root` has that file.
    """
    return newest(root, marker) or none_found(root, wanted)


def none_found(root: Path, wanted: str) -> NoReturn:
    """Say what to do when there is no such run.

    Raises:
        CheckpointError: always.
    """
    raise CheckpointError(
        f"wanted {wanted}, found none under `{root}/`",
        hint="name a run folder, or train first: `automix train --preset digits-tiny`",
    )


def write_text(path: Path, text: str) -> None:
    """Write a file in one step: a reader sees the old one or the new one, never half of one."""
    with written_atomically(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, content: object) -> None:
    """Write JSON in one step."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def append_environment(path: Path, entry: Mapping[str, Any]) -> None:
    """Add one session to `environment.json`; a resumed run has several.

    Raises:
        CheckpointError: the file is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        sessions = [*content.get("sessions", [])]
    except (ValueError, TypeError, AttributeError, RecursionError) as problem:
        raise CheckpointError(
            f"`{path}` is not what a run writes: {problem}", hint="delete it and resume"
        ) from problem
    write_json(path, {"sessions": [*sessions, dict(entry)]})


def software_versions() -> dict[str, str]:
    """Versions of everything that can move a number."""
    names = ("torch", "torchvision", "timm", "accelerate", "numpy", "safetensors", "pydantic")
    return {
        "automix": version("automix-cli"),
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }


def environment(*, device: str, num_processes: int) -> dict[str, Any]:
    """Describe where and how this session runs."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "software": software_versions(),
        "git": git_state(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "device": device,
        "num_processes": num_processes,
    }


def git_state() -> dict[str, Any] | None:
    """Commit of the working folder and whether it has changes, or None outside a repository."""
    git = shutil.which("git")
    if git is None:
        return None
    answers: list[str] = []
    for arguments in (("rev-parse", "HEAD"), ("status", "--porcelain")):
        done = subprocess.run([git, *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return None
        answers.append(done.stdout.strip())
    return {"commit": answers[0], "has_changes": bool(answers[1])}


class Metrics:
    """`metrics.jsonl`: appended line by line, cut back to the checkpoint on resume.

    A resumed run writes the steps after its checkpoint again; without the cut they would stand
    twice.

    Args:
        path: The file; made when missing.
        keep_bytes: Length at the checkpoint that the run goes on from.

    Raises:
        CheckpointError: the file is shorter than it was at the checkpoint.
    """

    def __init__(self, path: Path, *, keep_bytes: int = 0) -> None:
        path.touch()
        if path.stat().st_size < keep_bytes:
            raise CheckpointError(
                f"`{path}` has {path.stat().st_size} bytes, but had {keep_bytes} at the checkpoint",
                hint="the file was changed by hand; resume in a copy of the run folder as it was",
            )
        os.truncate(path, keep_bytes)
        self.path = path

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one line and hand it to the operating system."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(record)) + "\n")

    def num_bytes(self) -> int:
        """Length of the file, after making sure that it is on the disk."""
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
            return file.seek(0, os.SEEK_END)


def read_metrics(path: Path) -> Iterable[dict[str, Any]]:
    """Read `metrics.jsonl` back, one record at a time."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def median_of_last_ten(path: Path) -> dict[str, float]:
    """Median test top-1 of the last ten evaluations by head: what the literature prints."""
    lines = [each for each in read_metrics(path) if each["split"] == "test"]
    heads = [name for name in lines[-1] if name.endswith("/top1")]
    return {
        head.removesuffix("/top1"): statistics.median(each[head] for each in lines[-10:])
        for head in heads
    }
