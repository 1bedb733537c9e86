"""Whether memory, open files or threads grow: while a run trains, evaluates, draws.

    python -m tests.memory --epochs 200 --evaluations 200 --drawings 100

The run is a whole one in small: batches made by threads, an evaluation, checkpoints and masks after
every epoch of ten steps, and TensorBoard. An evaluation is `automix eval` from the reading of the
checkpoint to the JSON, a drawing that of the masks as they were learned. After each step,
evaluation and drawing this process looks at itself.
"""

import argparse
import contextlib
import io
import json
import math
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
import torch

from automix_cli.commands import evaluate
from automix_cli.commands.masks.progress import FILE, read_history
from automix_cli.commands.requests.evaluate import EvaluateRequest
from automix_cli.commands.training.run import accelerator_for, assemble, carry_out, run_folder
from automix_cli.data.datasets import DataSplits, ImageSet
from automix_cli.reporting import records
from automix_cli.reporting.mask_progress import draw_progress
from automix_cli.reporting.progress import TrainProgress
from automix_cli.settings.layering import Overrides, load

STEPS_PER_EPOCH, BATCH_SIZE, SIZE = 10, 4, 16
MEBIBYTE = 2**20
STRETCHES = 10


class Sample(NamedTuple):
    """What a process has at one moment."""

    memory: int  # bytes in the machine's memory
    files: int  # open
    threads: int


def look() -> Sample:
    """Look at this process; only Linux tells."""
    own = Path("/proc/self")
    pages = int((own / "statm").read_text().split()[1])
    counts = (len(list((own / name).iterdir())) for name in ("fd", "task"))
    return Sample(pages * os.sysconf("SC_PAGE_SIZE"), *counts)


@dataclass(frozen=True)
class Growth:
    """How much more there is at the end, after a first third in which caches fill."""

    num_samples: int
    first_mebibytes: float  # after that third
    more_mebibytes: float
    mebibytes_per_thousand: float  # steps, or whatever was repeated
    more_files: int
    more_threads: int


def growth(samples: Sequence[Sample]) -> Growth:
    """Compare stretches of the samples, of which each has as much as it has at least.

    While a checkpoint is written there is more. The slope is the median of those between one
    stretch and the next, or that from the first stretch to the last if it is less: what grows with
    every step shows in both; what an allocator takes once for good not in the former, and what it
    takes bit by bit and gives back at once not in the latter.
    """
    length = len(samples) // (STRETCHES + STRETCHES // 2)
    kept = np.array(samples[len(samples) - STRETCHES * length :]).reshape(STRETCHES, length, 3)
    least = kept.min(axis=1)
    more = least[-1] - least[0]
    slope = min(np.median(np.diff(least[:, 0])), more[0] / (STRETCHES - 1)) / length
    return Growth(
        num_samples=len(samples),
        first_mebibytes=float(least[0, 0] / MEBIBYTE),
        more_mebibytes=float(more[0] / MEBIBYTE),
        mebibytes_per_thousand=float(1000 * slope / MEBIBYTE),
        more_files=int(more[1]),
        more_threads=int(more[2]),
    )


def made_up(num_images: int) -> ImageSet:
    """Noise with the classes of the digits."""
    pixels = np.random.default_rng(0).integers(0, 256, (num_images, 1, SIZE, SIZE), np.uint8)
    labels = torch.arange(num_images) % 10
    return ImageSet(torch.from_numpy(pixels), labels, tuple(map(str, range(10))))


def trained(run: Path, epochs: int) -> list[Sample]:
    """Train in small into a folder, and look at every step."""
    sets = (
        f"train.epochs={epochs}",
        f"train.batch_size={BATCH_SIZE}",
        "train.log_every=5",
        "train.masks_pairs=1",
        "train.masks_every=1",
        "train.trackers=tensorboard",
        "data.color_jitter=0.2",
        "data.workers=2",
        "data.test_crop_ratio=0.8",
        "run.device=cpu",
        f"run.output_dir={run}",
    )
    settings, origins = load(Overrides(preset="digits-tiny", sets=sets), environment={})
    train, test = made_up(STEPS_PER_EPOCH * BATCH_SIZE), made_up(10)
    splits = DataSplits(train, test, None, (0.5,), (0.3,), "digits", SIZE, "pad")
    samples: list[Sample] = []

    class Watched(TrainProgress):
        def advance(self, step: int) -> None:
            samples.append(look())

    accelerator = accelerator_for(settings, 0)
    prepared = assemble(settings, splits, accelerator)
    with (  # drawings come by the clock: they are looked at apart
        mock.patch("automix_cli.commands.masks.progress.SECONDS_BETWEEN_DRAWINGS", math.inf),
        mock.patch("automix_cli.commands.training.run.TrainProgress", Watched),
        closing(prepared.training.batches),
        run_folder(accelerator, settings, origins, None) as place,
    ):
        carry_out(prepared, place, None)
    return samples


def evaluated(run: Path, times: int) -> list[Sample]:
    """Evaluate the run over and over, on the test images of the digits."""
    samples: list[Sample] = []
    for _ in range(times):
        with contextlib.redirect_stdout(io.StringIO()):
            evaluate.run(Overrides(), EvaluateRequest(run=run, as_json=True))
        samples.append(look())
    return samples


def drawn(run: Path, times: int) -> list[Sample]:
    """Draw the first masks of the run over and over."""
    history = read_history(run / records.MASKS / FILE)
    few = replace(history, epochs=history.epochs[:2], masks=history.masks[:2])
    samples: list[Sample] = []
    for _ in range(times):
        draw_progress(few, run / records.MASKS)
        samples.append(look())
    return samples


def watched(folder: Path, epochs: int, evaluations: int, drawings: int) -> dict[str, Growth]:
    """Do all of it in an empty folder; what was not repeated often enough is left out."""
    run = folder / "run"
    found = {"steps": trained(run, epochs)}
    found["evaluations"] = evaluated(run, evaluations)
    found["drawings"] = drawn(run, drawings)
    return {name: growth(each) for name, each in found.items() if len(each) >= 1.5 * STRETCHES}


def main() -> None:
    """Print what grew, as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.memory")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--drawings", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        found = watched(Path(name), options.epochs, options.evaluations, options.drawings)
    told = {name: asdict(each) for name, each in found.items()}
    sys.stdout.write(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
