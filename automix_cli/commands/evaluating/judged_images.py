"""Images as they are shown to a trained network: the one place where its commands read data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from automix_cli import build
from automix_cli.data.batches import evaluation_batches
from automix_cli.data.datasets import DataSplits, Images, load_splits
from automix_cli.engine.runtime import Accelerator
from automix_cli.engine.waiting import main_first
from automix_cli.settings import DataSettings


def load_judged(data: DataSettings, accelerator: Accelerator, *, holdout: float) -> DataSplits:
    """Read the data; on each machine one process downloads while the others wait.

    Args:
        data: Which data, and where.
        accelerator: The processes.
        holdout: Share of the training images that the network's training held out.
    """
    request = replace(build.data_request(data), holdout=holdout, train_limit=None)
    with main_first(accelerator):
        return load_splits(request)


@dataclass(frozen=True)
class Viewer:
    """How images are shown.

    Attributes:
        data: How they are resized, and who decodes them.
        mean: What is subtracted from each channel, units of 255; zeros show the pixels themselves.
        std: What each channel is divided by, same units.
        size: Height and width that the network sees.
        device: Where batches are wanted.
    """

    data: DataSettings
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int
    device: torch.device

    def batches(
        self, images: Images, batch_size: int, *, rank: int = 0, num_ranks: int = 1
    ) -> Iterable[tuple[Tensor, Tensor]]:
        """A process's part of some images, in order, with their labels."""
        return evaluation_batches(
            images,
            build.view(self.data, self.mean, self.std, self.size),
            build.loading(self.data, self.device),
            batch_size=batch_size,
            rank=rank,
            num_ranks=num_ranks,
        )
