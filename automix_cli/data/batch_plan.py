"""Which images a step takes, in which order, in whose hands: arithmetic, without any pixels.

Nothing here has a state that has to be saved. The order of epoch e is a permutation drawn from
(seed, e), and a step is shared out over ranks and micro-batches by arithmetic. So a run resumes at
any step, and one process and many see the same images.

Legend: n images, c channels, h w pixels.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from torch import Tensor

from automix_cli.randomness import Purpose, stream


class Batch(NamedTuple):
    """What one rank puts through the network at once.

    Attributes:
        images: `(n, c, h, w)`, float32, normalised.
        labels: `(n,)`, int64.
        share: Weight of this batch's mean losses, `n * (number of ranks) / (images of the step)`.
            With it, summing gradients over the micro-batches of a step and averaging them over
            ranks gives the gradient of the mean over all images of the step, however unevenly
            they are shared out. Over all batches of a step the shares sum to the number of ranks.
            0 for a batch that is there only to keep a rank in step with the others.
    """

    images: Tensor
    labels: Tensor
    share: float


class Part(NamedTuple):
    """A stretch `[begin, end)` of an epoch's order, and the weight of its mean losses."""

    begin: int
    end: int
    share: float


class Order(NamedTuple):
    """The images of an epoch, `(n,)` each: which one, and the number of its repetition."""

    indices: np.ndarray
    copies: np.ndarray


@dataclass(frozen=True)
class BatchPlan:
    """How an epoch is divided into steps, and a step into the batches of each rank.

    Attributes:
        num_images: Images to train on, and images in an epoch.
        batch_size: Images per optimizer step, over all ranks and micro-batches.
        accumulation_steps: Micro-batches per step on each rank.
        drop_last: Leave out what does not fill a step, instead of a last short step.
        seed: Seed of the run.
        rank: This process, in [0, num_ranks).
        num_ranks: Number of processes.
        repeats: How often an image that an epoch takes is in it, one after the other; the epoch
            then takes `num_images / repeats` of them, rounded up.

    Raises:
        ValueError: if a value is out of range, `batch_size` cannot give every micro-batch of
            every rank an image, or there is nothing to train on.
    """

    num_images: int
    batch_size: int
    accumulation_steps: int
    drop_last: bool
    seed: int
    rank: int
    num_ranks: int
    repeats: int = 1

    def __post_init__(self) -> None:
        """Check the ranges, so that the arithmetic below needs no cases."""
        if min(self.accumulation_steps, self.repeats) < 1:
            raise ValueError(
                "accumulation_steps and repeats must be >= 1,"
                f" got {self.accumulation_steps} and {self.repeats}"
            )
        if not 0 <= self.rank < self.num_ranks:
            raise ValueError(f"rank must be in [0, {self.num_ranks}), got {self.rank}")
        wanted = self.num_ranks * self.accumulation_steps
        if self.batch_size < wanted:
            raise ValueError(
                f"batch_size must be at least {wanted} to give each of {self.num_ranks} processes"
                f" an image in each of {self.accumulation_steps} accumulation steps,"
                f" got {self.batch_size}"
            )
        if self.steps_per_epoch == 0:
            raise ValueError(
                f"{self.num_images} training images do not fill one batch of {self.batch_size}"
                f" (drop_last is {self.drop_last})"
            )

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps per epoch, the same on every rank."""
        whole_steps, remainder = divmod(self.num_images, self.batch_size)
        return whole_steps + (remainder > 0 and not self.drop_last)

    @property
    def smallest_batch(self) -> int:
        """Images that a network sees at once, on any rank, where they are fewest."""
        first = 0 if self.drop_last else (self.steps_per_epoch - 1) * self.batch_size
        num_in_step = min(self.batch_size, self.num_images - first)
        num_micro = min(self.accumulation_steps, -(-num_in_step // self.num_ranks))
        whole = self.batch_size // (self.accumulation_steps * self.num_ranks)
        return max(1, min(whole, num_in_step // (num_micro * self.num_ranks)))

    def epoch_of(self, step: int) -> int:
        """Say which epoch a step belongs to.

        Raises:
            ValueError: if `step` is negative.
        """
        if step < 0:
            raise ValueError(f"step must be >= 0, got {step}")
        return step // self.steps_per_epoch

    def order(self, epoch: int) -> Order:
        """Draw the images of an epoch, in their order."""
        permutation = stream(Purpose.ORDER, self.seed, epoch).permutation(self.num_images)
        taken = permutation[: -(-self.num_images // self.repeats)]
        indices = np.repeat(taken, self.repeats)[: self.num_images]
        return Order(indices, np.arange(self.num_images) % self.repeats)

    def parts_at(self, step: int) -> list[Part]:
        """Divide a step into the micro-batches of this rank.

        Every rank has the same number of them: `accumulation_steps`, or fewer in a last short step
        of fewer images than that takes. No two hold the same place of the order, except that a rank
        for which a short step leaves nothing gets that step's first image with share 0.
        """
        first = (step % self.steps_per_epoch) * self.batch_size
        num_in_step = min(self.batch_size, self.num_images - first)
        num_micro = min(self.accumulation_steps, -(-num_in_step // self.num_ranks))
        # Pieces differ by at most one image, the larger ones first: micro-batch k of rank r is
        # piece k * num_ranks + r, so only the last micro-batch can leave a rank without an image.
        smallest, num_larger = divmod(num_in_step, num_micro * self.num_ranks)
        parts = []
        for micro in range(num_micro):
            piece = micro * self.num_ranks + self.rank
            begin = first + piece * smallest + min(piece, num_larger)
            size = smallest + (piece < num_larger)
            share = size * self.num_ranks / num_in_step
            part = Part(begin, begin + size, share) if size else Part(first, first + 1, 0.0)
            parts.append(part)
        return parts


class Batches(Protocol):
    """The training batches of one rank, by step, wherever the images come from."""

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps per epoch, the same on every rank."""
        ...

    def at(self, step: int) -> list[Batch]:
        """Make the micro-batches of this rank at a step of the run; any order of steps is fine."""
        ...

    def close(self) -> None:
        """End what works in the background; asking again starts it again."""
        ...
