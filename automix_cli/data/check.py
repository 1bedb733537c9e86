"""Checks a whole data set: how many images of each class, how large they are, and what is wrong.

What is wrong is collected and never raised: a person wants to see all of it at once.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from automix_cli.data.catalogue import CATALOGUE
from automix_cli.data.folders import folder_problems, image_files, scan_folder
from automix_cli.data.image_set import ImageSet
from automix_cli.data.inspection import Look, look_at_all
from automix_cli.data.parts import Images, Part
from automix_cli.data.request import DataRequest

FEW_IMAGES = 10
"""Training images below which a class is reported as tiny."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or may be.

    Attributes:
        kind: `unreadable`, `empty file`, `missing`, `too large`, `outside`, `duplicate`,
            `tiny class` or `layout`.
        part: `train`, `validation` or `test`; empty if it is about the whole.
        path: Which file or class; empty if it is about the whole.
        detail: What is wrong, in words.
    """

    kind: str
    part: str
    path: str
    detail: str


@dataclass(frozen=True)
class PartSummary:
    """One part in numbers.

    Attributes:
        num_images: All images that are listed, readable or not.
        classes: Number of images of each class, in label order.
        width: Least, median and largest width of the readable images, in pixels; None without any.
        height: The same of the heights.
        modes: Number of readable images of each kind of pixels, in Pillow's words.
    """

    num_images: int
    classes: Mapping[str, int]
    width: tuple[float, float, float] | None
    height: tuple[float, float, float] | None
    modes: Mapping[str, int]


@dataclass(frozen=True)
class CheckReport:
    """What a check has found.

    Attributes:
        parts: Each part in numbers, the training part first.
        findings: What is wrong, in the order of the images.
    """

    parts: Mapping[str, PartSummary]
    findings: list[Finding]


def listed_parts(request: DataRequest) -> tuple[dict[Part, Images], list[Finding]]:
    """List the images of a data set, as they are, without holding any out.

    A folder with empty classes or other mistakes of layout is listed all the same.

    Raises:
        DataError: if there is nothing that could be listed.
    """
    if request.name == "folder":
        folders = scan_folder(request.directory)
        found = [Finding("layout", "", "", text) for text in folder_problems(folders)]
        return {**image_files(request.directory, folders)}, found
    parts = CATALOGUE[request.name].load(request)
    named: dict[Part, Images | None] = {
        "train": parts.train,
        "validation": parts.validation,
        "test": parts.test,
    }
    return {part: images for part, images in named.items() if images is not None}, []


def check_images(
    parts: Mapping[Part, Images], *, workers: int | None, advance: Callable[[int], None]
) -> CheckReport:
    """Look at every image of every part.

    Args:
        parts: What to look at.
        workers: Threads; None: one for each core.
        advance: Told how many images have been looked at since the last time.
    """
    summaries: dict[str, PartSummary] = {}
    findings: list[Finding] = []
    first_seen: dict[bytes, tuple[str, str]] = {}
    for part, images in parts.items():
        looks = look_at_all(images, workers=workers or os.cpu_count() or 1, advance=advance)
        seen: dict[bytes, str] = {}
        sizes: list[tuple[int, int]] = []
        modes: Counter[str] = Counter()
        for path, look in zip(_names(images), looks, strict=True):
            findings += _findings_of(part, path, look, first_seen)
            seen.setdefault(look.digest, path)
            if look.mode:
                sizes.append((look.width, look.height))
                modes[look.mode] += 1
        first_seen = {key: (part, each) for key, each in seen.items()} | first_seen
        counts = images.labels.bincount(minlength=images.num_classes).tolist()
        classes = dict(zip(images.class_names, counts, strict=True))
        if part == "train":
            findings += _tiny_classes(classes)
        summaries[part] = PartSummary(
            len(images),
            classes,
            _spread([width for width, _ in sizes]),
            _spread([height for _, height in sizes]),
            dict(modes.most_common()),
        )
    return CheckReport(summaries, findings)


def _names(images: Images) -> Iterator[str]:
    """What to call each image."""
    if isinstance(images, ImageSet):
        return (f"image {number}" for number in range(len(images)))
    return iter(images.paths)


def _findings_of(
    part: str, path: str, look: Look, first_seen: Mapping[bytes, tuple[str, str]]
) -> Iterator[Finding]:
    if look.problem is not None:
        yield Finding(look.problem[0], part, path, look.problem[1])
    if look.digest and look.digest in first_seen:
        other_part, other = first_seen[look.digest]
        yield Finding("duplicate", part, path, f"the same as `{other}` of the {other_part} part")


def _tiny_classes(classes: Mapping[str, int]) -> Iterator[Finding]:
    for name, count in classes.items():
        if count < FEW_IMAGES:
            yield Finding("tiny class", "train", name, f"{count} training images")


def _spread(values: list[int]) -> tuple[float, float, float] | None:
    return (min(values), median(values), max(values)) if values else None
