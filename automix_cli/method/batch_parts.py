"""Which images of a batch are shown as they are, and which are mixed.

In the paper and the reference all of them are both. Fast mode can share them out instead: half of
the work in each network.

Legend: n images, c channels, H W image.
"""

from typing import NamedTuple

from jaxtyping import Float, Int64
from torch import Tensor


class Labelled(NamedTuple):
    """Clean images and their classes: a batch, or half of one."""

    images: Float[Tensor, "n c H W"]
    labels: Int64[Tensor, " n"]


def num_mixed(n: int, *, split: bool) -> int:
    """How many of n images are mixed: all, or if the batch is split its last half, rounded up."""
    return n - n // 2 if split else n


def parts(batch: Labelled, *, split: bool) -> tuple[Labelled, Labelled]:
    """What is shown as it is, and what is mixed: twice the batch, or its first half and the rest.

    The order of images is random, so each image is in each half equally often. A single image is
    in both parts, so that no loss is ever a mean over nothing.

    Source:
        Ours: part of fast mode. Twice the batch is the paper and OpenMixup.
    """
    images, labels = batch
    n = len(labels)
    first = n - num_mixed(n, split=split)
    if first == 0:
        return batch, batch
    return Labelled(images[:first], labels[:first]), Labelled(images[first:], labels[first:])
