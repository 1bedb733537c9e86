"""One network under test: its images, shared out over the processes, and what is random per image.

Every draw belongs to an image of the test set by its number there. So a result depends neither on
the batch size, nor on the number of processes, nor on which other images are tested.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from automix_cli.commands.evaluating.judged_images import Viewer
from automix_cli.data.datasets import Images, stratified_indices
from automix_cli.engine.runtime import Accelerator, add_over_processes
from automix_cli.errors import DataError, SettingsError
from automix_cli.evaluation.pixel_classifier import PixelClassifier
from automix_cli.randomness import Purpose, stream


class PixelBatch(NamedTuple):
    """Images `(n, c, h, w)` in [0, 1], their labels, and their numbers in the test set."""

    images: Tensor
    labels: Tensor
    numbers: np.ndarray


@dataclass(frozen=True)
class Subject:
    """One network, and the images it is tested with.

    Attributes:
        accelerator: Where and in how many processes.
        pixels: The network with its normalisation.
        test: This process's part of the images.
        numbers: Which images of the test set these are.
        form: Channels of an image, and its height and width.
        viewer: Shows images in [0, 1].
        batch_size: Images at a time.
        seed: Of everything random.
    """

    accelerator: Accelerator
    pixels: PixelClassifier
    test: Images
    numbers: np.ndarray
    form: tuple[int, int]
    viewer: Viewer
    batch_size: int
    seed: int

    def batches(self, images: Images | None = None) -> Iterator[PixelBatch]:
        """Go through the images, or others whose numbers are their places, in [0, 1]."""
        test = self.test if images is None else images
        numbers = self.numbers if images is None else np.arange(len(test))
        start = 0
        for pixels, labels in self.viewer.batches(test, self.batch_size):
            # 255 * (1 / 255) is a little more than 1 in float32 for some ways to round
            yield PixelBatch(pixels.clamp_(0, 1), labels, numbers[start : start + len(labels)])
            start += len(labels)

    def few(self, most: int) -> Subject:
        """The same network with at most so many images, evenly spaced, over all processes."""
        own = max(1, most // self.accelerator.num_processes)
        rows = np.unique(np.linspace(0, len(self.test) - 1, min(own, len(self.test))).astype(int))
        return replace(self, test=self.test.take(rows), numbers=self.numbers[rows])

    def rngs(
        self, purpose: Purpose, use: int, numbers: Sequence[int] | np.ndarray
    ) -> list[np.random.Generator]:
        """A generator for each image; `use` tells several draws for one purpose apart."""
        return [stream(purpose, self.seed, use, int(number)) for number in numbers]

    def add(self, total: Tensor) -> Tensor:
        """The sum over all processes, on the CPU."""
        return add_over_processes(self.accelerator, total).cpu()

    def gather(self, own: Tensor) -> Tensor:
        """Rows `(m, ...)` of all processes, in the order of their ranks, on the CPU."""
        rank, num_ranks = self.accelerator.process_index, self.accelerator.num_processes
        lengths = torch.zeros(num_ranks, dtype=torch.float64)
        lengths[rank] = len(own)
        ends = self.add(lengths).cumsum(0).long().tolist()
        everyone = own.new_zeros(ends[-1], *own.shape[1:])
        everyone[ends[rank] - len(own) : ends[rank]] = own
        return self.add(everyone)

    def share(self, images: Images) -> Images:
        """This process's part of other images."""
        rank, num_ranks = self.accelerator.process_index, self.accelerator.num_processes
        begin, end = (len(images) * part // num_ranks for part in (rank, rank + 1))
        return images.take(np.arange(begin, end))


def chosen_images(test: Images, quick: int | None) -> np.ndarray:
    """The numbers of the images to test with: all, or a stratified part that is always the same.

    Raises:
        DataError: there are none.
        SettingsError: fewer than were asked for.
    """
    if len(test) == 0:
        raise DataError("there is no test image to measure robustness on")
    if quick is None:
        return np.arange(len(test))
    if quick > len(test):
        raise SettingsError(
            f"`--quick {quick}` asks for more than the {len(test)} test images there are",
            hint="leave it out to take all of them",
        )
    return stratified_indices(test.labels.cpu().numpy(), quick, stream(Purpose.QUICK, 0))


def normalized(subject: Subject, images: Tensor) -> Tensor:
    """Images as the network itself takes them: the mean colour is 0."""
    pixels: Any = subject.pixels
    return (images - pixels.mean) / pixels.std
