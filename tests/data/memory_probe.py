"""Measure, in a process of its own, what a data set in memory costs beside its bytes.

Prints the megabytes that the process grew by while it trained on images of a given number of bytes
and evaluated on them, less those bytes.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from automix_cli.data.batch_plan import BatchPlan
from automix_cli.data.batches import TrainBatches, evaluation_batches
from automix_cli.data.image_set import ImageSet
from automix_cli.data.loading import Loading
from automix_cli.data.recipe import Recipe, View

NUM_IMAGES = 50_000


def peak_megabytes() -> float:
    """The most that this process ever held."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(each for each in status.splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Make the batches of a CIFAR-sized set."""
    device = torch.device("cpu")
    view = View((0.5,) * 3, (0.25,) * 3, size=32)
    plan = BatchPlan(NUM_IMAGES, 100, 1, drop_last=False, seed=0, rank=0, num_ranks=1)
    torch.zeros(10).float().mul_(2)
    before = peak_megabytes()
    pixels = np.random.default_rng(0).integers(256, size=(NUM_IMAGES, 3, 32, 32), dtype=np.uint8)
    labels = torch.zeros(NUM_IMAGES, dtype=torch.int64)
    images = ImageSet(torch.from_numpy(pixels), labels, ("a",))
    recipe = Recipe(size=32, crop="pad", crop_padding=4)
    batches = TrainBatches(images, recipe, view, plan, device)
    for step in range(0, 1500, 50):
        batches.at(step)
    for _ in evaluation_batches(
        images, view, Loading(device), batch_size=1000, rank=0, num_ranks=1
    ):
        pass
    sys.stdout.write(f"{peak_megabytes() - before - pixels.nbytes / 2**20:.0f}\n")


if __name__ == "__main__":
    main()
