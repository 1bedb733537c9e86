"""Images of nothing the network knows, and images of which a part is hidden."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from automix_cli.commands.attacking.attacks import numbers
from automix_cli.commands.attacking.plan import refuse_unknown
from automix_cli.commands.attacking.subject import Subject, normalized
from automix_cli.commands.evaluating.judged_images import load_judged
from automix_cli.data.conform import conform, luma
from automix_cli.data.datasets import ImageFiles, Images, ImageSet
from automix_cli.data.folders import loose_images
from automix_cli.data.image_set import image_set_from_arrays
from automix_cli.engine.runtime import Accelerator
from automix_cli.errors import SettingsError
from automix_cli.evaluation.occlusion import SHARES, hide_patches, patch_orders, patch_size
from automix_cli.evaluation.totals import finite
from automix_cli.evaluation.unknown import SCORES, detect
from automix_cli.randomness import Purpose, stream
from automix_cli.settings import DataSettings

NOISE = "noise"
"""Uniform noise, as many images as the test set has."""

NAMES = get_args(DataSettings.model_fields["name"].annotation)
NEEDS_MORE_THAN_A_NAME = ("folder", "csv")
"""Kinds of data whose place a name does not say."""


def unknown_names(asked: tuple[str, ...], data: DataSettings) -> tuple[str, ...]:
    """The sets to compare with: those asked for, or those that need no download.

    Args:
        asked: Names of data sets, folders of images, or `noise`.
        data: What the network was trained on.

    Raises:
        SettingsError: there is no such set or folder, or the network was trained on it.
    """
    known = (NOISE, *(name for name in NAMES if name not in NEEDS_MORE_THAN_A_NAME))
    for name in asked:
        if name not in known and Path(name).is_dir():
            refuse_own_folder(name, data)
            continue
        refuse_no_set(name, known)
        if name == data.name:
            raise SettingsError(
                f"`--ood {name}` is what the network was trained on, not unknown to it",
                hint=f"take another of {', '.join(each for each in known if each != name)}",
            )
    return asked or tuple(each for each in (NOISE, "digits") if each != data.name)


def refuse_no_set(name: str, known: tuple[str, ...]) -> None:
    """Accept the name of a data set.

    Raises:
        SettingsError: it is none, and no folder either.
    """
    path = Path(name)
    if path.is_file() or path.parent != Path():
        found = "is a file" if path.is_file() else "is not there"
        raise SettingsError(
            f"`--ood` takes a data set or a folder of images; `{name}` {found}",
            hint="give the folder that holds the images, with or without folders of classes in it",
        )
    refuse_unknown(name, (*known, "FOLDER"), "--ood")


def refuse_own_folder(name: str, data: DataSettings) -> None:
    """Accept a folder that the network was not trained on.

    Raises:
        SettingsError: it is that folder, holds it, or lies in it.
    """
    folder, own = Path(name).resolve(), data.dir.expanduser().resolve()
    if data.name == "folder" and (folder.is_relative_to(own) or own.is_relative_to(folder)):
        raise SettingsError(
            f"`--ood {name}` is what the network was trained on, not unknown to it: its images are"
            f" in `{own}`",
            hint="give a folder of other images",
        )


def load_unknown(
    names: tuple[str, ...], data: DataSettings, accelerator: Accelerator
) -> dict[str, Images | None]:
    """Read or list the images of every set, before anything long is measured.

    Args:
        names: Of `unknown_names`.
        data: Where data sets lie.
        accelerator: The processes.

    Returns:
        By name; None for noise.

    Raises:
        DataError: a set is not there, or a folder has no images.
    """
    found: dict[str, Images | None] = {}
    for name in names:
        if name == NOISE:
            found[name] = None
        elif name in NAMES and name not in NEEDS_MORE_THAN_A_NAME:
            there = data.model_copy(update={"name": name})
            found[name] = load_judged(there, accelerator, holdout=0.0).test
        else:
            found[name] = loose_images(Path(name), name)
    return found


def unknown_images(
    other: Images | None, subject: Subject, num_known: int, most: int | None
) -> Images:
    """The images of another set, in the form of those the network was trained on.

    Args:
        other: Of `load_unknown`.
        subject: Says the form.
        num_known: How many images of noise there are.
        most: Take so many of a data set at most, evenly spaced; None for all.
    """
    channels, size = subject.form
    if other is None:
        shape = (num_known, channels, size, size)
        pixels = stream(Purpose.UNKNOWN, 0).integers(256, size=shape, dtype=np.uint8)
        return image_set_from_arrays(pixels, np.zeros(num_known, dtype=np.int64), (NOISE,))
    if most is not None and most < len(other):
        other = other.take(np.linspace(0, len(other) - 1, most).astype(int))
    if isinstance(other, ImageSet):
        return conform(other, channels=channels, size=size)
    return other  # shown at the size of the network as they are decoded


@torch.no_grad()
def scores_of(subject: Subject, images: Images | None) -> torch.Tensor:
    """Every score of every image, `(n, number of scores)`, from all processes."""
    own = None if images is None else subject.share(images)
    if isinstance(own, ImageFiles):  # which are decoded in colour, whatever the network takes
        coloured = replace(subject.viewer, mean=(0.0,) * 3, std=(1.0,) * 3)
        subject = replace(subject, viewer=coloured)
    rows = [torch.zeros(0, len(SCORES), dtype=torch.float64)]
    for batch in subject.batches(own):
        pixels = batch.images
        if pixels.shape[1] > subject.form[0]:
            pixels = luma(pixels)
        logits = subject.pixels(pixels)
        rows.append(torch.stack([score(logits) for score in SCORES.values()], dim=1))
    return subject.gather(torch.cat(rows))


def unknown_records(
    subject: Subject, sets: Mapping[str, Images | None], quick: int | None
) -> list[dict[str, Any]]:
    """Detection of each unknown set by each score."""
    known = scores_of(subject, None)
    records: list[dict[str, Any]] = []
    for name, other in sets.items():
        images = unknown_images(other, subject, len(known), quick)
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
            logits = finite(subject.pixels.network(hide_patches(images, orders, share)))
            right = int((logits.argmax(dim=1) == batch.labels).sum())
            counts[place] += torch.tensor([len(batch.labels), right])
    return [
        {"share": share, "patch_pixels": patch, **numbers(right / total, int(total))}
        for share, (total, right) in zip(SHARES, subject.add(counts).tolist(), strict=True)
    ]
