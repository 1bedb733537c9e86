"""Which images of a batch are shown as they are, and which are mixed.

In the paper and the reference all of them are both. Fast mode can share them out instead: a network
has as much less to do as it sees fewer images.

Legend: n images, c channels, H W image.
"""

import math
from typing import NamedTuple

from jaxtyping import Float, Int64
from torch import Tensor

from automix_cli.method.options import AutoMixOptions


class Labelled(NamedTuple):
    """Clean images and their classes: a batch, or a part of one."""

    images: Float[Tensor, "n c H W"]
    labels: Int64[Tensor, " n"]


def num_mixed(n: int, options: AutoMixOptions) -> int:
    """How many of n images are mixed: their share, rounded up."""
    return _part(options.mixed_share, n)


def _part(share: float, n: int) -> int:
    return math.ceil(share * n - 1e-9)  # 0.07 * 100 is a little more than 7


def parts(batch: Labelled, options: AutoMixOptions) -> tuple[Labelled, Labelled]:
    """What the classifier sees as it is, the first images, and what is mixed, the last ones.

    The order of images is random, so each is in each part equally often over the epochs. Both
    parts are rounded up, so that no loss is ever a mean over nothing.

    Source:
        Ours: part of fast mode. With both shares 1, the paper and OpenMixup.
    """
    images, labels = batch
    n = len(labels)
    end, begin = _part(options.clean_share, n), n - num_mixed(n, options)
    return Labelled(images[:end], labels[:end]), Labelled(images[begin:], labels[begin:])
