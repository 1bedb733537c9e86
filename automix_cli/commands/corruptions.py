"""`automix corruptions make`: write a corrupted test set."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from automix_cli import build
from automix_cli.commands.corrupting.batches import MadePart, Wanted
from automix_cli.commands.corrupting.files import generated_folder, make_files, require_cifar
from automix_cli.commands.corrupting.photographs import (
    DIFFERENCES,
    make_photographs,
    photograph_folder,
)
from automix_cli.commands.requests.corruptions import CorruptionsRequest
from automix_cli.data.clean_photographs import clean_images
from automix_cli.data.corrupted_official import LABELS, SEVERITIES
from automix_cli.errors import SettingsError, VerificationError
from automix_cli.evaluation.corruptions import CORRUPTIONS, SUITES
from automix_cli.reporting.corruption_tables import made_table
from automix_cli.reporting.tables import print_tables
from automix_cli.settings import Settings
from automix_cli.settings.layering import Overrides, load

SCHEMA_VERSION = 1


def make(overrides: Overrides, request: CorruptionsRequest) -> None:
    """Write a corrupted test set, and print every file's md5.

    Raises:
        SettingsError: there is no such corruption or severity.
        DataError: images are missing, or the folder holds something else.
        VerificationError: a file that must be the published one is not.
    """
    settings, _ = load(overrides)
    wanted = _wanted(request)
    folder, made = _made(settings, request, wanted)
    rows = [{**vars(each), "verdict": _verdict(each)} for each in made]
    left_out = sorted(set(wanted.names) - {each.name for each in made})
    if request.as_json:
        content = {
            "schema_version": SCHEMA_VERSION,
            "folder": str(folder),
            "suite": wanted.suite,
            "data_set": settings.data.name,
            "is_generated": True,
            "files": rows,
            "left_out": left_out,
        }
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
    else:
        without = f", without {', '.join(left_out)}" if left_out else ""
        exactness = "float64" if wanted.is_exact else "float32, within one level"
        what = f"{wanted.suite} of {settings.data.name} in {folder}"
        title = f"{what}, seed {wanted.seed}, {exactness}{without}"
        print_tables(made_table(title, rows, _caption(wanted)))
    wrong = [each.name for each in made if each.is_official is False]
    if wrong:
        raise VerificationError(
            f"{', '.join(wrong)} should be the published files, byte for byte, and are not",
            hint="this processor or these versions round differently; please report both",
        )


def _made(
    settings: Settings, request: CorruptionsRequest, wanted: Wanted
) -> tuple[Path, list[MadePart]]:
    data = settings.data
    if wanted.suite == "cifar-c":
        folder = request.folder or generated_folder(data, require_cifar(data.name))
        return folder, make_files(folder, data, wanted, is_forced=request.force)
    images = clean_images(build.data_request(data))
    folder = request.folder or photograph_folder(data, wanted.suite)
    return folder, make_photographs(folder, data, images, wanted, is_forced=request.force)


def _caption(wanted: Wanted) -> str:
    if wanted.suite == "cifar-c":
        return "= published: the official file, byte for byte; ms: processor time an image"
    return f"{DIFFERENCES}; ms: processor time an image, its files included"


def _wanted(request: CorruptionsRequest) -> Wanted:
    if request.suite not in SUITES:
        raise SettingsError(f"`--suite` must be one of {', '.join(SUITES)}, got `{request.suite}`")
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
        suite=request.suite,
        names=tuple(each for each in CORRUPTIONS if each in (request.corruptions or CORRUPTIONS)),
        severities=tuple(sorted(set(request.severities))),
        seed=request.seed,
        is_exact=not request.fast,
        frost_dir=request.frost_dir,
        is_frost_needed="frost" in request.corruptions,
    )


def _verdict(made: MadePart) -> str:
    if made.is_official:
        return "= published"
    if made.is_official is False:
        return "WRONG"
    if made.name == LABELS:
        return "labels"
    return "generated"
