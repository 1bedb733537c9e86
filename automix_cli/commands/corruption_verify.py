"""`automix corruptions verify`: compare a folder's files with the published ones."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from automix_cli.commands.corrupting.files import require_cifar
from automix_cli.data.cifar import CifarName
from automix_cli.data.corrupted_official import LABELS, MD5, RECORDS, REPRODUCIBLE
from automix_cli.data.corrupted_reading import read_meta
from automix_cli.errors import DataError, VerificationError
from automix_cli.reporting.corruption_tables import verified_table
from automix_cli.reporting.progress import say
from automix_cli.reporting.tables import print_tables

SCHEMA_VERSION = 1
CHUNK_BYTES = 2**20
WRONG = "WRONG"


@dataclass(frozen=True)
class Verdict:
    """What is found of one file.

    Attributes:
        name: Corruption, or `labels`.
        md5: Of the file, or None where there is none.
        official_md5: Of the published file.
        verdict: `published`, `as generated`, `missing` or `WRONG`.
    """

    name: str
    md5: str | None
    official_md5: str
    verdict: str


def verify(folder: Path, data_set: str | None, *, as_json: bool) -> None:
    """Compare a folder's files with the published ones, and show what is found.

    Args:
        folder: The folder.
        data_set: `cifar10` or `cifar100`; None decides by the labels.
        as_json: Write the result to stdout as JSON.

    Raises:
        DataError: there is nothing to verify.
        VerificationError: a file is not what it should be.
    """
    name, verdicts = _compare(folder, data_set)
    rows = [vars(each) for each in verdicts]
    if as_json:
        content = {"schema_version": SCHEMA_VERSION, "folder": str(folder), "data_set": name}
        sys.stdout.write(json.dumps({**content, "files": rows}, indent=2) + "\n")
    else:
        print_tables(verified_table(f"{folder} beside the published {name} corruptions", rows))
    _refuse_wrong(folder, name, verdicts)


def require_published(folder: Path) -> None:
    """As `verify`, but with a line on stderr instead of a table."""
    name, verdicts = _compare(folder, None)
    _refuse_wrong(folder, name, verdicts)
    kinds = ("published", "as generated", "missing")
    counts = [(sum(each.verdict == kind for each in verdicts), kind) for kind in kinds]
    found = ", ".join(f"{count} {kind}" for count, kind in counts if count)
    say(f"verified `{folder}` as {name}: {found}")


def _compare(folder: Path, data_set: str | None) -> tuple[CifarName, list[Verdict]]:
    meta = read_meta(folder)
    found = {name: _md5_of(folder / f"{name}.npy") for name in MD5["cifar10"]}
    if not any(found.values()):
        raise DataError(
            f"`{folder}` holds no corrupted images",
            hint="name the folder that holds `brightness.npy` and the others",
        )
    name = _data_set_of(folder, found[LABELS], data_set)
    recorded = {} if meta is None else meta["files"]
    verdicts = [
        Verdict(
            each,
            found[each],
            official,
            _verdict_on(each, found[each], official, recorded.get(each, {}).get("md5")),
        )
        for each, official in MD5[name].items()
    ]
    return name, verdicts


def _refuse_wrong(folder: Path, name: CifarName, verdicts: Sequence[Verdict]) -> None:
    wrong = [each.name for each in verdicts if each.verdict == WRONG]
    if wrong:
        raise VerificationError(
            f"{', '.join(wrong)} in `{folder}` are neither the published files nor those once made",
            hint=f"fetch them again (Zenodo record {RECORDS[name]}), or make a set of your own:"
            " `automix corruptions make`",
        )


def _verdict_on(name: str, md5: str | None, official: str, own: str | None) -> str:
    if md5 is None:
        return "missing"
    if md5 == official:
        return "published"
    if own == md5 and name not in REPRODUCIBLE:
        return "as generated"
    return WRONG


def _data_set_of(folder: Path, labels_md5: str | None, data_set: str | None) -> CifarName:
    if data_set is not None:
        return require_cifar(data_set)
    for name in ("cifar10", "cifar100"):
        if MD5[name][LABELS] == labels_md5:
            return name
    raise VerificationError(
        f"`{folder}/{LABELS}.npy` is neither CIFAR-10-C's nor CIFAR-100-C's, its md5 is"
        f" {labels_md5 or 'that of no file'}",
        hint="say which one it should be with `--data-set`",
    )


def _md5_of(path: Path) -> str | None:
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"cannot read `{path}`: {error.strerror}") from error
    return digest.hexdigest()
