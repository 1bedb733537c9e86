"""Which pairs of images `automix visualize-masks` shows: drawn, chosen, or from files.

Legend: images of pairs lie one after the other, the first of each pair before its second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from automix_cli import build
from automix_cli.commands.evaluating.judged_images import Viewer
from automix_cli.commands.requests.visualize_masks import PairsRequest
from automix_cli.data.conform import conform
from automix_cli.data.datasets import Images
from automix_cli.data.image_files import ImageFiles
from automix_cli.data.image_set import ImageSet
from automix_cli.data.loading import PictureSource
from automix_cli.errors import DataError, SettingsError
from automix_cli.randomness import Purpose, stream

DRAWN, MEASURED = range(2)
"""Pairs to show and pairs to measure have random numbers of their own."""

NUM_MEASURED = 200
"""Pairs that numbers are measured on, where there are as many."""


@dataclass(frozen=True)
class Pairs:
    """Images of pairs, and how to name them.

    Attributes:
        images: Two for each pair.
        captions: A name for each image: its class, or its file.
        identities: What a program needs to find each image again.
        has_labels: Whether the labels are known; those of files are not.
    """

    images: Images
    captions: tuple[str, ...]
    identities: tuple[dict[str, Any], ...]
    has_labels: bool

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.images) // 2

    def take(self, first: int, end: int) -> Pairs:
        """Some of the pairs, by number."""
        rows = np.arange(2 * first, min(2 * end, len(self.images)))
        return replace(
            self,
            images=self.images.take(rows),
            captions=tuple(self.captions[row] for row in rows),
            identities=tuple(self.identities[row] for row in rows),
        )


def check_pairs_request(request: PairsRequest) -> None:
    """Refuse ways of choosing that exclude each other, before anything is read.

    Raises:
        SettingsError: two of them are given, or an odd number of files.
    """
    ways = {
        "--images": bool(request.images),
        "--indices": request.indices is not None,
        "--classes": request.classes is not None,
    }
    given = [name for name, is_given in ways.items() if is_given]
    if len(given) > 1:
        raise SettingsError(
            f"`{given[0]}` and `{given[1]}` both say which images to show",
            hint="give one of them",
        )
    if len(request.images) % 2:
        raise SettingsError(
            f"`--images` makes pairs, got {len(request.images)} file(s)",
            hint="name two files for each pair: --images a.jpg b.jpg c.jpg d.jpg",
        )


def pairs_of_files(paths: Sequence[Path], viewer: Viewer, channels: int) -> Pairs:
    """Read image files of any size, brought to what the network sees as test images are.

    Raises:
        DataError: a file cannot be read.
    """
    view = build.view(viewer.data, viewer.mean, viewer.std, viewer.size)
    labels = torch.zeros(len(paths), dtype=torch.int64)
    source = PictureSource(ImageFiles(Path(), tuple(map(str, paths)), labels, ("unknown",)))
    pixels = np.stack([view.pixels(source[number]) for number in range(len(paths))])
    images = ImageSet(torch.from_numpy(pixels).permute(0, 3, 1, 2), labels, ("unknown",))
    return Pairs(
        conform(images, channels=channels, size=viewer.size),
        tuple(path.name for path in paths),
        tuple({"file": str(path)} for path in paths),
        has_labels=False,
    )


def pairs_of_test(test: Images, request: PairsRequest) -> Pairs:
    """Take pairs of test images as they are asked for.

    Raises:
        SettingsError: no such image, class or number of them.
        DataError: there are fewer than two test images.
    """
    if len(test) < 2:
        raise DataError(f"wanted two test images to make a pair, the data have {len(test)}")
    if request.indices is not None:
        return named_pairs(test, numbers_of(request.indices, len(test)))
    rng = stream(Purpose.MASKS, request.seed, DRAWN)
    firsts, seconds = sides(test, request.classes)
    return named_pairs(test, drawn(rng, firsts, seconds, test, request.num_pairs))


def measured_pairs(test: Images, request: PairsRequest) -> Pairs:
    """Take the pairs that numbers are measured on, of the same classes."""
    rng = stream(Purpose.MASKS, request.seed, MEASURED)
    firsts, seconds = sides(test, request.classes)
    num_pairs = max(1, min(NUM_MEASURED, len(firsts), len(seconds)))
    return named_pairs(test, drawn(rng, firsts, seconds, test, num_pairs))


def named_pairs(test: Images, numbers: np.ndarray) -> Pairs:
    """Pairs of the test images with these numbers."""
    labels = test.labels.cpu().numpy()[numbers]
    captions = tuple(test.class_names[label] for label in labels)
    identities = tuple(
        {"index": int(number), "class": caption}
        for number, caption in zip(numbers, captions, strict=True)
    )
    return Pairs(test.take(numbers), captions, identities, has_labels=True)


def numbers_of(text: str, num_images: int) -> np.ndarray:
    """The numbers in `3,17,4,9`, two for each pair.

    Raises:
        SettingsError: not numbers of images, or an odd number of them.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) < num_images for word in words) or len(words) % 2:
        raise SettingsError(
            f"`--indices` must be an even number of test images in [0, {num_images}), separated "
            f"by commas, got `{text}`",
            hint="two for each pair, such as --indices 3,17,4,9",
        )
    return np.array([int(word) for word in words])


def sides(test: Images, classes: str | None) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the images that may be first in a pair, and that may be second.

    Two classes: the first of a pair is of one, the second of the other. One, or more than two: both
    are of any of them.

    Raises:
        SettingsError: no such class, or one without two test images.
    """
    labels = test.labels.cpu().numpy()
    if classes is None:
        return np.arange(len(labels)), np.arange(len(labels))
    words = list(dict.fromkeys(word.strip() for word in classes.split(",")))
    unknown = [word for word in words if word not in test.class_names]
    if unknown:
        some = ", ".join(test.class_names[:12]) + (", ..." if len(test.class_names) > 12 else "")
        raise SettingsError(
            f"no class is called `{unknown[0]}` (from `--classes {classes}`)",
            hint=f"the data have {some}",
        )
    of_each = [labels == test.class_names.index(word) for word in words]
    found = dict(zip(words, (int(each.sum()) for each in of_each), strict=True))
    few = [word for word in words if found[word] < 2]
    if few:
        raise SettingsError(
            f"`--classes` needs two test images of each class, `{few[0]}` has {found[few[0]]}"
        )
    if len(words) == 2:
        return np.flatnonzero(of_each[0]), np.flatnonzero(of_each[1])
    either = np.flatnonzero(np.logical_or.reduce(of_each))
    return either, either


def drawn(
    rng: np.random.Generator, firsts: np.ndarray, seconds: np.ndarray, test: Images, num_pairs: int
) -> np.ndarray:
    """Draw pairs: images of different classes where that is possible, else different images.

    Args:
        rng: Source of randomness.
        firsts: Numbers of the images that may be first.
        seconds: Of those that may be second.
        test: What the numbers belong to.
        num_pairs: How many; images come again only after all others.

    Returns:
        Numbers of images, two for each pair.
    """
    labels = test.labels.cpu().numpy()
    ones, others = shuffled(rng, firsts, num_pairs), shuffled(rng, seconds, num_pairs)
    chosen: list[int] = []
    for one, other in zip(ones, others, strict=True):
        partner = other
        differs = seconds[labels[seconds] != labels[one]]
        if labels[partner] == labels[one]:
            candidates = differs if len(differs) else seconds[seconds != one]
            partner = candidates[rng.integers(len(candidates))]
        chosen += [int(one), int(partner)]
    return np.array(chosen)


def shuffled(rng: np.random.Generator, numbers: np.ndarray, count: int) -> np.ndarray:
    """So many of the numbers in random order, over and over if there are fewer."""
    rounds = -(-count // len(numbers))
    return np.concatenate([rng.permutation(numbers) for _ in range(rounds)])[:count]
