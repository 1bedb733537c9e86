"""What `automix visualize-masks` shows: mixtures of pairs as pictures, and masks as numbers.

Pages are drawn one after the other, and only the numbers of a mask are kept, so a thousand pairs
need no more memory than a page.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from automix_cli.commands.evaluating.judged_images import Viewer
from automix_cli.commands.masks.methods import Source
from automix_cli.commands.masks.pairs import Pairs
from automix_cli.errors import SettingsError
from automix_cli.evaluation.masks import areas, identity_error, measures, summary
from automix_cli.method.learned_pairs import LearnedPairs, fall_back_share
from automix_cli.method.mixers import Mixture
from automix_cli.method.shown_pairs import DRAW_NO_RATIO, PairMixer
from automix_cli.randomness import Purpose, stream
from automix_cli.reporting.mask_figure import Cell, PairBlock, pairs_per_page
from automix_cli.reporting.mask_files import MaskFolder
from automix_cli.reporting.mask_maps_figure import MapsRow

CURVE = tuple(step / 10 for step in range(11))
"""Ratios that masks are measured at."""

PAIRS_AT_A_TIME = 8
"""Pairs for which a method draws once, where it is measured."""

SHOWN, COUNTED, SHARES = range(2, 5)
"""What random numbers are for, besides the two of `pairs`."""


@dataclass(frozen=True)
class Show:
    """What is shown: methods, ratios, and how images look to the network."""

    source: Source
    mixers: list[PairMixer]
    device: torch.device
    seed: int
    ratios: tuple[float, ...]

    @property
    def viewer(self) -> Viewer:
        """How the network wants its images."""
        trained = self.source.trained
        size = int(trained.dataset["image_size"])
        data = self.source.settings.data
        return Viewer(data, trained.mean, trained.std, size, self.device)

    def batch(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Images as the network sees them, and labels: its own guess where none are known."""
        ((images, labels),) = self.viewer.batches(pairs.images, len(pairs.images))
        if not pairs.has_labels:
            with torch.no_grad():
                labels = self.source.classifier(images).argmax(dim=1)
        return images, labels

    def pictures(self, images: Tensor) -> np.ndarray:
        """`(n, c, h, w)` as colours `(n, h, w, c)` in [0, 1]."""
        trained = self.source.trained
        mean, std = (
            torch.tensor(each, device=images.device).view(1, -1, 1, 1)
            for each in (trained.mean, trained.std)
        )
        return (images * std + mean).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()

    def mixed(
        self, mixer: PairMixer, batch: tuple[Tensor, Tensor], ratio: float, key: tuple[int, int]
    ) -> Mixture:
        """The mixture of one method, whose draws belong to the pair and not to the ratio.

        Raises:
            SettingsError: the method cannot mix such images.
        """
        rng = stream(Purpose.MASKS, self.seed, *key)
        try:
            return mixer(*batch, ratio, rng)
        except ValueError as problem:
            raise SettingsError(
                f"`{mixer.method}` cannot mix these images: {problem}",
                hint="name other methods by `--methods`",
            ) from problem

    def numbers(self, mixer: PairMixer, pairs: Pairs) -> dict[str, Any]:
        """Area, entropy and total variation of a method's masks at each ratio."""
        measured: dict[float, list[Tensor]] = {ratio: [] for ratio in CURVE}
        weights: dict[float, list[float]] = {ratio: [] for ratio in CURVE}
        for number, start in enumerate(range(0, len(pairs), PAIRS_AT_A_TIME)):
            batch = self.batch(pairs.take(start, start + PAIRS_AT_A_TIME))
            for ratio in CURVE:
                mixture = self.mixed(mixer, batch, ratio, (COUNTED, number))
                weights[ratio] += mixture.first_weight.tolist()
                if mixture.mask is not None:
                    measured[ratio].append(measures(mixture.mask))
        has_masks = bool(measured[0.5])
        curve = [
            {
                "ratio": ratio,
                "label_weight": float(np.mean(weights[ratio])),
                **(asdict(summary(measured[ratio])) if has_masks else {}),
            }
            for ratio in CURVE
        ]
        follows = mixer.method not in DRAW_NO_RATIO
        record: dict[str, Any] = {
            "num_pairs": len(pairs),
            "has_masks": has_masks,
            "follows_ratio": follows,
            "curve": curve,
        }
        if has_masks and follows:
            mean_areas = [each["area_mean"] for each in curve]
            record["area_error"] = identity_error(CURVE, mean_areas)
        if isinstance(mixer, LearnedPairs):
            share = fall_back_share(mixer.options, stream(Purpose.MASKS, self.seed, SHARES))
            record["fall_back"] = {"lam_margin": mixer.options.lam_margin, "share": share}
        return record


def draw_pages(
    show: Show, pairs: Pairs, folder: MaskFolder | None, *, with_maps: bool
) -> list[dict[str, Any]]:
    """Mix all pairs, draw them page by page if there is a folder, and say it in plain values."""
    at_a_time = pairs_per_page(len(show.mixers))
    records: list[dict[str, Any]] = []
    for first in range(0, len(pairs), at_a_time):
        part = pairs.take(first, first + at_a_time)
        blocks = list(pair_blocks(show, part, first))
        records += [
            {
                "first": part.identities[2 * place],
                "second": part.identities[2 * place + 1],
                "methods": {name: list(map(cell_record, row)) for name, row in block.rows.items()},
            }
            for place, block in enumerate(blocks)
        ]
        if folder is None:
            continue
        folder.add_page(blocks)
        if with_maps:
            folder.add_maps(list(maps_rows(show, part)))
    return records


def pair_blocks(show: Show, pairs: Pairs, first_number: int) -> Iterator[PairBlock]:
    """Each pair with the mixtures of all methods at all ratios."""
    for place in range(len(pairs)):
        one = pairs.take(place, place + 1)
        batch = show.batch(one)
        rows: dict[str, list[Cell]] = {}
        for mixer in show.mixers:
            rows[mixer.method] = [
                cell(show, mixer, show.mixed(mixer, batch, ratio, (SHOWN, first_number + place)), r)
                for r, ratio in enumerate(show.ratios)
            ]
        first, second = show.pictures(batch[0])
        yield PairBlock((first, second), (one.captions[0], one.captions[1]), rows)


def cell(show: Show, mixer: PairMixer, mixture: Mixture, place: int) -> Cell:
    """One mixture of one pair."""
    ratio = show.ratios[place]
    mask = mixture.mask
    return Cell(
        ratio=ratio,
        picture=show.pictures(mixture.images)[0],
        mask=None if mask is None else mask[0, 0].float().cpu().numpy(),
        area=None if mask is None else float(areas(mask)[0]),
        label_weights=(float(mixture.first_weight[0]), float(mixture.second_weight[0])),
        falls_back=isinstance(mixer, LearnedPairs) and mixer.falls_back(ratio),
    )


def cell_record(shown: Cell) -> dict[str, Any]:
    """A mixture in plain values."""
    return {
        "ratio": shown.ratio,
        "area": shown.area,
        "label_weights": list(shown.label_weights),
        "falls_back": shown.falls_back,
    }


def maps_rows(show: Show, pairs: Pairs) -> Iterator[MapsRow]:
    """Each pair with the maps of all methods that have a mix block."""
    learned = [mixer for mixer in show.mixers if isinstance(mixer, LearnedPairs)]
    for place in range(len(pairs)):
        one = pairs.take(place, place + 1)
        batch = show.batch(one)
        first, second = show.pictures(batch[0])
        for mixer in learned:
            maps = mixer.maps(batch[0])
            mixture = show.mixed(mixer, batch, 0.5, (SHOWN, place))
            assert mixture.mask is not None  # a mix block makes nothing else
            yield MapsRow(
                method=mixer.method,
                pictures=(first, second),
                captions=(one.captions[0], one.captions[1]),
                mask=mixture.mask[0, 0].float().cpu().numpy(),
                value=maps.value[0].cpu().numpy(),
                mean_attention=_array(maps.mean_attention),
                attention=_array(maps.attention),
                position=(int(maps.position[0, 0]), int(maps.position[0, 1])),
                value_of="first" if mixer.method == "adautomix" else "second",
            )


def _array(maps: Tensor | None) -> np.ndarray | None:
    return None if maps is None else maps[0].cpu().numpy()
