"""Where a run is made, and which one can go on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from automix_cli.atomic import is_partial
from automix_cli.errors import SettingsError
from automix_cli.reporting.records import (
    BEST,
    CHECKPOINT,
    CLASSIFIER,
    DETECTOR,
    ORIGINS,
    SETTINGS,
    SUMMARY,
    newest,
    write_json,
    write_text,
)


def create_folder(folder: Path, settings: str, origins: Mapping[str, str]) -> None:
    """Make the folder of a new run, and write down what it is to do.

    The settings come last and in one step: a folder that has them is a run that can go on.

    Args:
        folder: Empty, or with no more in it than a run that was killed before it had settings.
        settings: As TOML.
        origins: Who set them.

    Raises:
        SettingsError: it exists and is not empty, or cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        occupied = occupants(folder)
    except OSError as problem:
        raise SettingsError(f"cannot make the run folder `{folder}`: {problem}") from problem
    if occupied:
        raise SettingsError(
            f"the run folder `{folder}` is not empty: it holds `{occupied[0]}`"
            + (f" and {len(occupied) - 1} more" if len(occupied) > 1 else ""),
            hint=f"choose another `--output-dir`, or go on with that run: `--resume {folder}`",
        )
    write_json(folder / ORIGINS, dict(origins))
    write_text(folder / SETTINGS, settings)


def occupants(folder: Path) -> list[str]:
    """Names of what is in a folder, but for what a run leaves that is killed while it makes it."""
    names = sorted(each.name for each in folder.iterdir() if not is_partial(each))
    return [] if names == [ORIGINS] else names


def can_go_on(folder: Path) -> bool:
    """Whether a run can go on: from a checkpoint, or from its start if it was killed before one."""
    if has_checkpoint(folder):
        return True
    results = (SUMMARY, CLASSIFIER, DETECTOR)
    is_young = not any((folder / each).exists() for each in results)
    return is_young and (folder / SETTINGS).is_file()


def has_checkpoint(folder: Path) -> bool:
    """Whether there is one; `best.pt` alone if the run was killed while it wrote its first."""
    if (folder / CHECKPOINT).is_file():
        return True
    return (folder / BEST).is_file() and not (folder / SUMMARY).exists()


def newest_to_go_on(root: Path) -> Path | None:
    """Give the run below `root` that was last at work and can go on, or None."""
    return newest(root, CHECKPOINT, BEST, SETTINGS, wanted=can_go_on)
