"""Looks into every image before a training does: what can be read, how large it is, what it holds.

Every file is read once and decoded whole, so that a truncated one is found here and not after an
hour of training. Images of absurd size are refused by their header, before memory is asked for
them. Nothing is changed.

Legend: n images.
"""

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import repeat
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from automix_cli.data.decoding import BROKEN, FORMATS, LARGEST_FILE, image_bytes
from automix_cli.data.image_set import ImageSet
from automix_cli.data.parts import Images

_FILES_AT_ONCE = 64


@dataclass(frozen=True)
class Look:
    """What was seen of one image.

    Attributes:
        width: In pixels; 0 if it cannot be read.
        height: In pixels; 0 if it cannot be read.
        mode: Kind of pixels, in Pillow's words (`RGB`, `L`, `P`, `CMYK`, `I;16`, ...); empty if it
            cannot be read.
        digest: Hash of the file, or of the pixels of an image in memory; empty if there is none.
        problem: What is wrong, as its kind (`missing`, `empty file`, `too large`, `unreadable` or
            `outside` of the data folder) and in words; None if nothing is.
    """

    width: int
    height: int
    mode: str
    digest: bytes
    problem: tuple[str, str] | None = None


def look_at_all(images: Images, *, workers: int, advance: Callable[[int], None]) -> Iterator[Look]:
    """Look at every image, in order.

    Args:
        images: In memory or in files.
        workers: Threads; Pillow decodes without holding the interpreter.
        advance: Told how many images have been looked at since the last time.
    """
    if isinstance(images, ImageSet):
        yield from _in_memory(images, advance)
        return
    root, real_root = str(images.root), os.path.realpath(images.root)
    with warnings.catch_warnings(), ExitStack() as stack:
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        pool = ThreadPoolExecutor(workers)
        stack.callback(pool.shutdown, cancel_futures=True)  # Ctrl-C does not wait for the rest
        starts = range(0, len(images), _FILES_AT_ONCE)
        chunks = (images.paths[start : start + _FILES_AT_ONCE] for start in starts)
        for looks in pool.map(_look_at_some, repeat(root), repeat(real_root), chunks):
            advance(len(looks))
            yield from looks


def _in_memory(images: ImageSet, advance: Callable[[int], None]) -> Iterator[Look]:
    _, channels, height, width = images.images.shape
    for image in images.images.numpy():
        advance(1)
        digest = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
        yield Look(width, height, {1: "L", 3: "RGB"}.get(channels, f"{channels} channels"), digest)


def _look_at_some(root: str, real_root: str, paths: Sequence[str]) -> list[Look]:
    return [_look_at(Path(root) / path, real_root) for path in paths]


def _look_at(path: Path, real_root: str) -> Look:
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            return _wrong("too large", f"it has {size:,} bytes")
        content = image_bytes(path)
    except FileNotFoundError:
        is_link = path.is_symlink()
        return _wrong("missing", "it is a link to nothing" if is_link else "there is no such file")
    except OSError as error:
        return _wrong("unreadable", error.strerror or str(error))
    look = _decode(content)
    target = os.path.realpath(path)
    if look.problem is None and not Path(target).is_relative_to(real_root):
        return replace(look, problem=("outside", f"it lies in `{target}`"))
    return look


def _decode(content: bytes) -> Look:
    if not content:
        return _wrong("empty file", "it has no bytes")
    digest = hashlib.blake2b(content, digest_size=16).digest()
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            mode = image.mode  # of the file: decoding may change it
            image.load()
            return Look(*image.size, mode, digest)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        return _wrong("too large", str(error), digest)
    except UnidentifiedImageError:
        return _wrong("unreadable", "it is no image of a known kind", digest)
    except BROKEN as error:
        return _wrong("unreadable", str(error) or type(error).__name__, digest)


def _wrong(kind: str, words: str, digest: bytes = b"") -> Look:
    return Look(0, 0, "", digest, (kind, words))
