"""Whether memory, open files or threads grow: while a run trains, and over many evaluations.

    python -m tests.memory --epochs 200 --evaluations 200

The run is a whole one in small: batches made by threads, an evaluation, two checkpoints and masks
after every epoch of ten steps, and TensorBoard. An evaluation is `automix eval` from the reading of
the checkpoint to the JSON. After each step and evaluation this process looks at itself.
"""

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
import torch

from automix_cli.commands import evaluate
from automix_cli.commands.requests import EvaluateRequest
from automix_cli.commands.training_run import accelerator_for, assemble, carry_out, run_folder
from automix_cli.data.datasets import DataSplits, ImageSet
from automix_cli.reporting.progress import TrainProgress
from automix_cli.settings.layering import Overrides, load

STEPS_PER_EPOCH, BATCH_SIZE, SIZE = 10, 4, 16
MEBIBYTE = 2**20


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
    first_mebibytes: float
    last_mebibytes: float
    mebibytes_per_thousand: float  # steps or evaluations; the line through most samples
    more_files: int
    more_threads: int


def growth(samples: Sequence[Sample]) -> Growth:
    """The slope of the memory, and what more files and threads the last third has than the second.

    The slope is the median of those between pairs of samples half of the stretch apart, which
    neither a peak nor a fall moves. Of files and threads a third has as many as it has at least:
    while a checkpoint is written there is one more.
    """
    third = len(samples) // 3
    kept = np.array(samples[third:])
    memory, half = kept[:, 0], len(kept) // 2
    slope = np.median((memory[half : 2 * half] - memory[:half]) / half)
    before, after = (part.min(axis=0) for part in (kept[:-third], kept[-third:]))
    return Growth(
        num_samples=len(samples),
        first_mebibytes=float(memory[0] / MEBIBYTE),
        last_mebibytes=float(memory[-1] / MEBIBYTE),
        mebibytes_per_thousand=float(1000 * slope / MEBIBYTE),
        more_files=int(after[1] - before[1]),
        more_threads=int(after[2] - before[2]),
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

    accelerator = accelerator_for(settings)
    prepared = assemble(settings, splits, accelerator)
    with (
        mock.patch("automix_cli.commands.training_run.TrainProgress", Watched),
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


def main() -> None:
    """Print what grew, as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.memory")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--evaluations", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        run = Path(name) / "run"
        steps = trained(run, options.epochs)
        evaluations = evaluated(run, options.evaluations)
    found = {"steps": asdict(growth(steps)), "evaluations": asdict(growth(evaluations))}
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
