"""Which corrupted images are wanted, and their making: clean batches and draws in, batches out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from automix_cli import build
from automix_cli.data import frost
from automix_cli.errors import DataError
from automix_cli.evaluation.corruptions import (
    CORRUPTIONS,
    SEVERITIES,
    SUITES,
    corrupt,
    draw_all,
    frost_draw,
)
from automix_cli.evaluation.corruptions.draws import Draw
from automix_cli.randomness import Purpose, stream
from automix_cli.reporting.progress import say
from automix_cli.settings.data import DataSettings

GENERATOR_VERSION = 2
"""Raised with every change that moves a pixel of a generated set."""

PIXELS_AT_A_TIME = 100 * 32 * 32
"""Enough to pay for each step, few enough for the processor's cache. No result depends on it."""


@dataclass(frozen=True)
class Wanted:
    """Which corrupted images are wanted.

    Attributes:
        suite: One of `SUITES`.
        names: Corruptions, in the order of `CORRUPTIONS`.
        severities: Ascending.
        seed: Seed of all draws.
        is_exact: float64 instead of float32.
        frost_dir: Folder of the frost photographs, or None.
        is_frost_needed: Whether missing photographs are an error, or leave frost out.
    """

    suite: str = "cifar-c"
    names: tuple[str, ...] = tuple(CORRUPTIONS)
    severities: tuple[int, ...] = SEVERITIES
    seed: int = 0
    is_exact: bool = True
    frost_dir: Path | None = None
    is_frost_needed: bool = False

    @property
    def precision(self) -> str:
        """What is computed in."""
        return "float64" if self.is_exact else "float32"

    @property
    def size(self) -> int:
        """Height and width of the images."""
        return SUITES[self.suite].size


@dataclass(frozen=True)
class MadePart:
    """One part of a generated set.

    Attributes:
        name: Corruption, or `labels`.
        md5: Its checksum.
        is_official: Whether it is the published file, byte for byte; None where that cannot be
            expected.
        milliseconds: Processor time for each image, or None for a part that was there already.
    """

    name: str
    md5: str
    is_official: bool | None
    milliseconds: float | None


def draws_of(wanted: Wanted, data: DataSettings, *, is_frost_there: bool) -> dict[str, Draw | None]:
    """What each corruption draws; frost is left out where its photographs cannot be had.

    Args:
        wanted: What is wanted.
        data: Where photographs may be.
        is_frost_there: Whether frost is made already and needs none.

    Raises:
        DataError: the photographs are needed and missing, or not the published ones.
    """
    draws: dict[str, Draw | None] = {each: CORRUPTIONS[each].draw for each in wanted.names}
    if "frost" not in draws or is_frost_there:
        return draws
    draw = _frost_draw(wanted, data)
    if draw is None:
        return {name: each for name, each in draws.items() if name != "frost"}
    return {**draws, "frost": draw}


def _frost_draw(wanted: Wanted, data: DataSettings) -> Draw | None:
    """The draw of frost, or None, and a word about it, where its photographs cannot be had."""
    folder = wanted.frost_dir
    try:
        if folder is None:
            folder = data.dir.expanduser() / "frost"
            if build.data_request(data).may_download():
                frost.fetch_photographs(folder)
        return frost_draw(frost.load_photographs(folder), wanted.suite)
    except DataError as error:
        if wanted.is_frost_needed or wanted.frost_dir is not None:
            raise
        say(f"frost is left out: {error.message}")
        return None


def corrupted_batches(
    wanted: Wanted,
    corruption: tuple[str, Draw | None],
    severity: int,
    images: np.ndarray,
    first: int,
) -> Iterator[np.ndarray]:
    """Corrupt some images of a test set, a few at a time, whatever their number.

    Args:
        wanted: How.
        corruption: Its name and its draw.
        severity: 1 to 5.
        images: `(n, h, w, 3)` uint8.
        first: Number of the first of them in the test set, which draws depend on.
    """
    name, draw = corruption
    key = (wanted.seed, list(CORRUPTIONS).index(name), severity)
    parameter = SUITES[wanted.suite].parameters[name][severity - 1]
    step = max(1, PIXELS_AT_A_TIME // wanted.size**2)
    for start in range(0, len(images), step):
        batch = images[start : start + step]
        drawn = ()
        if draw is not None:
            numbers = range(first + start, first + start + len(batch))
            generators = [stream(Purpose.CORRUPTION, *key, number) for number in numbers]
            drawn = draw_all(draw, parameter, batch, generators)
        yield corrupt(name, severity, batch, drawn, suite=wanted.suite, is_exact=wanted.is_exact)
