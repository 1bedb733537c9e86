"""How the masks of the same pairs change while a mix block learns: a strip and an animation.

Legend: s moments of the training, p pairs, h w pixels, c channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from automix_cli.reporting.figures import Background, save_figure, style
from automix_cli.reporting.mask_figure import GAP, HEAD, TITLE, Cell, PairBlock, mask_figure
from automix_cli.reporting.picture_grid import PictureGrid, shortened

MOST_COLUMNS = 8
"""Moments that a strip has room for at the width of a screen; of more, some are left out."""

MOST_FRAMES = 60
"""Moments that an animation shows; of more, some are left out."""

MILLISECONDS, LAST_MILLISECONDS = 600, 2400
"""How long a frame is shown, and the last one."""

DOTS_PER_INCH = 80


@dataclass(frozen=True, eq=False)
class MaskHistory:
    """The masks of one run.

    Attributes:
        method: What they were learned with.
        ratio: Share of the first image that was wanted.
        epochs: After how many the masks were taken; s of them, rising.
        masks: `(s, p, h, w)`, uint8: share of the first image at each pixel, times 255.
        pictures: `(2 p, h, w, c)`, uint8; the first image of each pair before its second.
        captions: A name for each picture.
    """

    method: str
    ratio: float
    epochs: tuple[int, ...]
    masks: np.ndarray
    pictures: np.ndarray
    captions: tuple[str, ...]

    @property
    def num_pairs(self) -> int:
        """How many pairs there are."""
        return len(self.captions) // 2

    def mask(self, moment: int, pair: int) -> np.ndarray:
        """One mask `(h, w)` in [0, 1]."""
        return self.masks[moment, pair].astype(np.float32) / 255

    def pair(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The two pictures of a pair, `(h, w, c)` in [0, 1]."""
        first, second = self.pictures[2 * number : 2 * number + 2].astype(np.float32) / 255
        return first, second

    def mixture(self, moment: int, pair: int) -> np.ndarray:
        """What a mask makes of its pair, `(h, w, c)` in [0, 1]."""
        mask = self.mask(moment, pair)[:, :, None]
        first, second = self.pair(pair)
        return mask * first + (1 - mask) * second


def evenly(number: int, most: int) -> list[int]:
    """At most so many of 0 to `number` - 1, evenly apart, the first and the last among them."""
    return sorted({round(each) for each in np.linspace(0, number - 1, min(number, most))})


def draw_progress(history: MaskHistory, folder: Path, *, background: Background = "light") -> None:
    """Write `progress.png`, `progress.svg` and `progress.gif`; those that are there are replaced.

    Raises:
        OSError: they cannot be written.
    """
    moments = evenly(len(history.epochs), MOST_COLUMNS)
    blocks = [
        PairBlock(
            history.pair(pair),
            (history.captions[2 * pair], history.captions[2 * pair + 1]),
            {history.method: [progress_cell(history, moment, pair) for moment in moments]},
        )
        for pair in range(history.num_pairs)
    ]
    titles = [f"epoch {history.epochs[moment]}" for moment in moments]
    figure = mask_figure(blocks, background=background, titles=titles)
    save_figure(figure, folder / "progress", background=background)
    write_animation(history, folder / "progress.gif", background=background)


def progress_cell(history: MaskHistory, moment: int, pair: int) -> Cell:
    """One mask of one pair."""
    mask = history.mask(moment, pair)
    area = float(mask.mean())
    mixture = history.mixture(moment, pair)
    return Cell(history.ratio, mixture, mask, area, (area, 1 - area), falls_back=False)


def write_animation(history: MaskHistory, path: Path, *, background: Background) -> None:
    """Write a GIF that shows one moment after the other, over and over."""
    from PIL import Image

    moments = evenly(len(history.epochs), MOST_FRAMES)
    pictures = [
        Image.fromarray(pixels).quantize(255, dither=Image.Dither.NONE)
        for pixels in frames(history, moments, background)
    ]
    durations = [*(MILLISECONDS for _ in moments[1:]), LAST_MILLISECONDS]
    first, *others = pictures
    first.save(path, format="GIF", save_all=True, append_images=others, duration=durations, loop=0)


def frames(
    history: MaskHistory, moments: list[int], background: Background
) -> Iterator[np.ndarray]:
    """Each moment as colours `(height, width, 3)`, uint8: a row for each pair."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    titles = ("first image", "second image", "mask", "mixture")
    lefts = [0.1 + place * (1 + GAP) for place in range(len(titles))]
    for moment in moments:
        with style(background):
            rows = history.num_pairs * (1 + HEAD)
            grid = PictureGrid(lefts[-1] + 1.1, 2 * TITLE + rows + 0.35)
            epoch = f"{history.method}, epoch {history.epochs[moment]}"
            grid.text(epoch, lefts[2] - GAP / 2, TITLE - 0.06, fontsize=11)
            for left, title in zip(lefts, titles, strict=True):
                grid.text(title, left + 0.5, 2 * TITLE - 0.1, fontsize=8.5)
            for pair in range(history.num_pairs):
                put_pair(grid, history, moment, pair, lefts)
            bottom = 2 * TITLE + rows + 0.12
            grid.scale_bar(("second image", "first image"), lefts[1] + 0.4, bottom, 1.2)
            grid.figure.set_dpi(DOTS_PER_INCH)
            canvas = FigureCanvasAgg(grid.figure)
            canvas.draw()
        yield np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def put_pair(
    grid: PictureGrid, history: MaskHistory, moment: int, pair: int, lefts: list[float]
) -> None:
    """One row of a frame."""
    y = 2 * TITLE + pair * (1 + HEAD) + HEAD
    mask = history.mask(moment, pair)
    for place, picture in enumerate(history.pair(pair)):
        caption = shortened(history.captions[2 * pair + place])
        grid.text(caption, lefts[place] + 0.5, y - 0.04)
        grid.picture(picture, lefts[place], y)
    grid.text(f"area {mask.mean():.2f}", lefts[2] + 0.5, y - 0.04)
    grid.shades(mask, lefts[2], y)
    grid.picture(history.mixture(moment, pair), lefts[3], y)
