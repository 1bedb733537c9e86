"""Images of nothing the network knows, and images of which a part is hidden."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, get_args

import numpy as np
import torch

from automix_cli.commands.judged_images import load_judged
from automix_cli.commands.robustness_attacks import numbers
from automix_cli.commands.robustness_plan import refuse_unknown
from automix_cli.commands.robustness_subject import Subject, normalized
from automix_cli.data.conform import conform
from automix_cli.data.datasets import Images, ImageSet
from automix_cli.data.image_set import image_set_from_arrays
from automix_cli.errors import SettingsError
from automix_cli.evaluation.occlusion import SHARES, hide_patches, patch_orders, patch_size
from automix_cli.evaluation.unknown import SCORES, detect
from automix_cli.randomness import Purpose, stream
from automix_cli.settings import DataSettings

NOISE = "noise"
"""Uniform noise, as many images as the test set has."""

NEEDS_MORE_THAN_A_NAME = ("folder", "csv")
"""Kinds of data whose place a name does not say."""


def unknown_names(asked: tuple[str, ...], trained_on: str) -> tuple[str, ...]:
    """The sets to compare with: those asked for, or those that need no download.

    Raises:
        SettingsError: there is no such set, or the network was trained on it.
    """
    named = get_args(DataSettings.model_fields["name"].annotation)
    known = (NOISE, *(name for name in named if name not in NEEDS_MORE_THAN_A_NAME))
    for name in asked:
        refuse_unknown(name, known, "--ood")
        if name == trained_on:
            raise SettingsError(
                f"`--ood {name}` is what the network was trained on, not unknown to it",
                hint=f"take another of {', '.join(each for each in known if each != name)}",
            )
    return asked or tuple(each for each in (NOISE, "digits") if each != trained_on)


def unknown_images(
    name: str, data: DataSettings, subject: Subject, num_known: int, most: int | None
) -> Images:
    """The test images of another data set, in the form of those the network was trained on.

    Args:
        name: Of `unknown_names`.
        data: Where data sets lie.
        subject: Says the form.
        num_known: How many images of noise there are.
        most: Take so many of a data set at most, evenly spaced; None for all.

    Raises:
        SettingsError: the network does not take such images.
    """
    channels, size = subject.form
    if name == NOISE:
        shape = (num_known, channels, size, size)
        pixels = stream(Purpose.UNKNOWN, 0).integers(256, size=shape, dtype=np.uint8)
        return image_set_from_arrays(pixels, np.zeros(num_known, dtype=np.int64), (NOISE,))
    there = data.model_copy(update={"name": name})
    other = load_judged(there, subject.accelerator, holdout=0.0).test
    if most is not None and most < len(other):
        other = other.take(np.linspace(0, len(other) - 1, most).astype(int))
    if isinstance(other, ImageSet):
        return conform(other, channels=channels, size=size)
    if channels != 3:
        raise SettingsError(f"`--ood {name}` has coloured images, the network takes grey ones")
    return other  # shown at the size of the network as they are decoded


@torch.no_grad()
def scores_of(subject: Subject, images: Images | None) -> torch.Tensor:
    """Every score of every image, `(n, number of scores)`, from all processes."""
    own = None if images is None else subject.share(images)
    rows = [torch.zeros(0, len(SCORES), dtype=torch.float64)]
    for batch in subject.batches(own):
        logits = subject.pixels(batch.images)
        rows.append(torch.stack([score(logits) for score in SCORES.values()], dim=1))
    return subject.gather(torch.cat(rows))


def unknown_records(
    subject: Subject, names: tuple[str, ...], data: DataSettings, quick: int | None
) -> list[dict[str, Any]]:
    """Detection of each unknown set by each score."""
    known = scores_of(subject, None)
    records: list[dict[str, Any]] = []
    for name in names:
        images = unknown_images(name, data, subject, len(known), quick)
        unknown = scores_of(subject, images)
        records.extend(
            {
                "unknown": name,
                "score": score,
                **asdict(detect(known[:, place], unknown[:, place])),
                "num_known": len(known),
                "num_unknown": len(unknown),
            }
            for place, score in enumerate(SCORES)
        )
    return records


@torch.no_grad()
def occlusion_records(subject: Subject) -> list[dict[str, Any]]:
    """Accuracy with a growing share of patches hidden.

    Raises:
        SettingsError: the images do not divide into patches.
    """
    _, size = subject.form
    try:
        patch = patch_size(size)
    except ValueError as problem:
        raise SettingsError(
            f"cannot hide patches: {problem}",
            hint="leave this part out, with `--only` and the others",
        ) from problem
    counts = torch.zeros(len(SHARES), 2, dtype=torch.float64)
    for batch in subject.batches():
        rngs = subject.rngs(Purpose.OCCLUSION, 0, batch.numbers)
        orders = patch_orders(rngs, (size // patch) ** 2)
        images = normalized(subject, batch.images)
        for place, share in enumerate(SHARES):
            logits = subject.pixels.network(hide_patches(images, orders, share))
            right = int((logits.argmax(dim=1) == batch.labels).sum())
            counts[place] += torch.tensor([len(batch.labels), right])
    return [
        {"share": share, "patch_pixels": patch, **numbers(right / total, int(total))}
        for share, (total, right) in zip(SHARES, subject.add(counts).tolist(), strict=True)
    ]
