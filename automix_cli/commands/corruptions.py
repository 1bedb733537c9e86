"""`automix corruptions`: make corrupted test sets, and verify those that are there."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from automix_cli.commands.corruption_files import (
    MadeFile,
    Wanted,
    generated_folder,
    make_files,
    require_cifar,
)
from automix_cli.commands.requests import CorruptionsRequest
from automix_cli.data.cifar import CifarName
from automix_cli.data.corrupted_official import LABELS, MD5, RECORDS, REPRODUCIBLE, SEVERITIES
from automix_cli.data.corrupted_reading import read_meta
from automix_cli.errors import DataError, SettingsError, VerificationError
from automix_cli.evaluation.corruptions import CORRUPTIONS
from automix_cli.reporting.corruption_tables import made_table, verified_table
from automix_cli.reporting.tables import print_tables
from automix_cli.settings.layering import Overrides, load

SCHEMA_VERSION = 1
CHUNK_BYTES = 2**20


def make(overrides: Overrides, request: CorruptionsRequest) -> None:
    """Write a corrupted test set, and print every file's md5.

    Raises:
        SettingsError: there is no such corruption or severity.
        DataError: images are missing, or the folder holds something else.
        VerificationError: a file that must be the published one is not.
    """
    settings, _ = load(overrides)
    name = require_cifar(settings.data.name)
    wanted = _wanted(request)
    folder = request.folder or generated_folder(settings.data, name)
    made = make_files(folder, settings.data, wanted, is_forced=request.force)
    rows = [{**vars(each), "verdict": _verdict(each)} for each in made]
    left_out = sorted(set(wanted.names) - {each.name for each in made})
    if request.as_json:
        content = {
            "schema_version": SCHEMA_VERSION,
            "folder": str(folder),
            "data_set": name,
            "is_generated": True,
            "files": rows,
            "left_out": left_out,
        }
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
    else:
        without = f", without {', '.join(left_out)}" if left_out else ""
        exactness = "float64" if wanted.is_exact else "float32, within one level"
        title = f"{name} in {folder}, seed {wanted.seed}, {exactness}{without}"
        print_tables(made_table(title, rows))
    wrong = [each.name for each in made if each.is_official is False]
    if wrong:
        raise VerificationError(
            f"{', '.join(wrong)} should be the published files, byte for byte, and are not",
            hint="this processor or these versions round differently; please report both",
        )


def _wanted(request: CorruptionsRequest) -> Wanted:
    unknown = sorted(set(request.corruptions) - set(CORRUPTIONS))
    if unknown:
        raise SettingsError(
            f"there is no corruption `{unknown[0]}`",
            hint=f"choose among {', '.join(CORRUPTIONS)}",
        )
    outside = sorted(set(request.severities) - set(SEVERITIES))
    if outside or not request.severities:
        raise SettingsError(f"severities are 1 to 5, got `{outside[0] if outside else 'none'}`")
    return Wanted(
        names=tuple(each for each in CORRUPTIONS if each in (request.corruptions or CORRUPTIONS)),
        severities=tuple(sorted(set(request.severities))),
        seed=request.seed,
        is_exact=not request.fast,
        frost_dir=request.frost_dir,
        is_frost_needed="frost" in request.corruptions,
    )


def _verdict(made: MadeFile) -> str:
    if made.is_official:
        return "= published"
    if made.is_official is False:
        return "WRONG"
    if made.name == LABELS:
        return "labels"
    return "generated"


def verify(folder: Path, data_set: str | None, *, as_json: bool) -> None:
    """Compare a folder's files with the published ones.

    Args:
        folder: The folder.
        data_set: `cifar10` or `cifar100`; None decides by the labels.
        as_json: Write the result to stdout as JSON.

    Raises:
        DataError: there is nothing to verify.
        VerificationError: a file is not what it should be.
    """
    meta = read_meta(folder)
    found = {name: _md5_of(folder / f"{name}.npy") for name in MD5["cifar10"]}
    if not any(found.values()):
        raise DataError(
            f"`{folder}` holds no corrupted images",
            hint="name the folder that holds `brightness.npy` and the others",
        )
    name = _data_set_of(folder, found[LABELS], data_set)
    recorded = {} if meta is None else meta["files"]
    rows: list[dict[str, Any]] = []
    for each, official in MD5[name].items():
        own = recorded.get(each, {}).get("md5")
        verdict = _verdict_on(each, found[each], official, own)
        row = {"name": each, "md5": found[each], "official_md5": official, "verdict": verdict}
        rows.append(row)
    if as_json:
        content = {"schema_version": SCHEMA_VERSION, "folder": str(folder), "data_set": name}
        sys.stdout.write(json.dumps({**content, "files": rows}, indent=2) + "\n")
    else:
        print_tables(verified_table(f"{folder} beside the published {name} corruptions", rows))
    wrong = [row["name"] for row in rows if row["verdict"] == "WRONG"]
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
    return "WRONG"


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
