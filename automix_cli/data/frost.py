"""The five photographs that the frost corruption looks through.

They are part of the published benchmark's repository, and their own licence is not stated: so they
are no part of this package. They are read from a folder, or fetched from that repository once; both
are checked, because other pictures, or the same ones saved anew, would give another benchmark.
"""

import hashlib
import io
import urllib.request
from pathlib import Path

import numpy as np
from PIL import Image

from automix_cli.atomic import written_atomically
from automix_cli.errors import DataError

PHOTOGRAPHS = {
    "frost1.png": "6ead634ace1f366d77e87078b465863c",
    "frost2.png": "98f0d2b1d74a048d3bc9c7ecfd886939",
    "frost3.png": "b3ed8eb147824261888e730f916c0d8b",
    "frost4.jpg": "d70b9d6aa0b1fe7bd8133b113787e078",
    "frost5.jpg": "50984ae2c871b7df2c28f1d71ca460a0",
}
"""md5 of each, in the order in which they are numbered. A sixth is published and never used."""

SOURCE = "https://raw.githubusercontent.com/hendrycks/robustness/master/ImageNet-C/create_c/"
"""Where they are published (Apache-2.0)."""

TIMEOUT_SECONDS = 30
MOST_BYTES = 64 * 2**20


def load_photographs(directory: Path) -> list[np.ndarray]:
    """Read the photographs from a folder.

    Returns:
        `(h, w, 3)` uint8 each, red first.

    Raises:
        DataError: one is missing or not the published file.
    """
    return [_decode(directory / name, md5) for name, md5 in PHOTOGRAPHS.items()]


def fetch_photographs(directory: Path) -> None:
    """Fetch those that are not in `directory`, each checked before it gets its name.

    Raises:
        DataError: there is no network, or what came is not the published file.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name, md5 in PHOTOGRAPHS.items():
        path = directory / name
        if path.is_file():
            continue
        try:
            with urllib.request.urlopen(SOURCE + name, timeout=TIMEOUT_SECONDS) as answer:
                content = answer.read(MOST_BYTES)
        except OSError as error:
            raise DataError(
                f"cannot fetch `{SOURCE}{name}`: {error}",
                hint=f"put {', '.join(PHOTOGRAPHS)} of that repository into a folder and name it"
                " with `--frost-dir`",
            ) from error
        _check(content, md5, SOURCE + name)
        with written_atomically(path) as partial:
            partial.write_bytes(content)


def _decode(path: Path, md5: str) -> np.ndarray:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"wanted the frost photograph `{path}`: {error.strerror}",
            hint=f"the folder must hold {', '.join(PHOTOGRAPHS)}, as in {SOURCE}",
        ) from error
    _check(content, md5, str(path))
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def _check(content: bytes, md5: str, origin: str) -> None:
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise DataError(
            f"`{origin}` is not the published photograph: wanted md5 {md5}, got {found}"
            f" ({len(content)} bytes)"
        )
