"""`automix data check`: look into every image before a training does."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from difflib import get_close_matches
from functools import partial

from automix_cli.commands.requests.data import DataCheckRequest
from automix_cli.data.catalogue import CATALOGUE
from automix_cli.data.check import CheckReport, check_images, listed_parts
from automix_cli.data.request import DataRequest
from automix_cli.errors import DataError, SettingsError
from automix_cli.reporting.counting import counted
from automix_cli.reporting.data_tables import check_tables
from automix_cli.reporting.tables import print_tables

SCHEMA_VERSION = 1


def run(request: DataCheckRequest) -> None:
    """Check a data set and show what was found; nothing is downloaded or changed.

    Raises:
        SettingsError: there is no data set of that name, or nothing says which to check.
        DataError: there is nothing to check, or something is wrong and `strict` is asked for.
    """
    wanted = data_request(request)
    parts, findings = listed_parts(wanted)
    num_images = sum(len(images) for images in parts.values())
    with counted("images", num_images) as advance:
        looked = check_images(parts, workers=request.workers, advance=partial(advance, "checking"))
    report = CheckReport(looked.parts, findings + looked.findings)
    if request.as_json:
        content = {"schema_version": SCHEMA_VERSION, "name": wanted.name, **asdict(report)}
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
    else:
        print_tables(*check_tables(report.parts, report.findings))
    if report.findings and request.strict:
        raise DataError(f"{len(report.findings)} findings, and `--strict` takes none")


def data_request(request: DataCheckRequest) -> DataRequest:
    """What to check: a table, a data set by name in a folder, or a person's own folder.

    Raises:
        SettingsError: see `run`.
    """
    name = request.name or ("folder" if request.csv is None else "csv")
    if name not in CATALOGUE:
        near = get_close_matches(name, CATALOGUE, n=1)
        raise SettingsError(
            f"`--name` must be one of {', '.join(CATALOGUE)}, got `{name}`",
            hint=f"did you mean `{near[0]}`?" if near else None,
        )
    if (name == "csv") != (request.csv is not None):
        raise SettingsError(
            "`--name csv` and `--csv FILE` go together, and with no other name",
            hint="automix data check --csv FILE",
        )
    if name == "folder" and request.directory is None:
        raise SettingsError(
            "nothing says which images to check",
            hint="name a folder, `automix data check FOLDER`, or a table with --csv FILE",
        )
    return DataRequest(name, request.directory or DataRequest.directory, csv=request.csv)
