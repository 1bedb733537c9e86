"""`automix detect`: decide what is asked for, then hand over to `detecting.run`.

Settings are read and checked before torch is imported, as for `automix train`.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

from automix_cli import presets
from automix_cli.commands.requests.detect import DetectRequest
from automix_cli.commands.train import decided
from automix_cli.errors import CheckpointError, SettingsError
from automix_cli.reporting import records
from automix_cli.settings import Settings
from automix_cli.settings.layering import Flag, Overrides
from automix_cli.settings.toml import print_config, read_toml
from automix_cli.startup import quick_imports

COCO = "coco"
"""The `data.name` of a detector's settings."""


def run(overrides: Overrides, request: DetectRequest) -> None:
    """Train a detector, or go on training one, and leave a run folder behind.

    Raises:
        AutoMixError: anything a person can mend; the exit code says what kind.
    """
    if request.resume in (None, "auto"):
        overrides = with_backbone(overrides, request.backbone)
    elif request.backbone is not None:
        raise SettingsError(
            "`--resume` goes on with the weights of the run, but `--backbone` was given too",
            hint="leave out one of them",
        )
    folder, settings, origins = decided(overrides, request.resume, presets.DETECTION)
    if folder is not None and settings.data.name != COCO:
        raise CheckpointError(
            f"`{folder}` is a run of no detector",
            hint=f"`automix train --resume {folder}` goes on with it",
        )
    if request.print_config:
        sys.stdout.write(print_config(settings, origins))
        return
    refuse_what_has_no_use(settings)
    refuse_without_library("automix detect")

    with quick_imports():
        from automix_cli.commands.detecting import run as detect_run

    detect_run.run(settings, origins, folder, request)


def with_backbone(overrides: Overrides, backbone: str | None) -> Overrides:
    """Begin with the weights named, and of a run take what network it is, unless `--set` says."""
    if backbone is None:
        return overrides
    path = Path(backbone).expanduser()
    folder = path if path.is_dir() else path.parent
    values: dict[str, object] = {"model.init": backbone}
    if path.exists() and (folder / records.SETTINGS).is_file():
        model = read_toml(folder / records.SETTINGS).get("model", {})
        names = ("backbone", "stem")
        values |= {f"model.{name}": model[name] for name in names if name in model}
    given = {text.partition("=")[0].strip() for text in overrides.sets}
    flags = [Flag("--backbone", key, value) for key, value in values.items() if key not in given]
    return replace(overrides, flags=(*overrides.flags, *flags))


def refuse_without_library(command: str) -> None:
    """What measures AP is an extra.

    Raises:
        SettingsError: it is not installed.
    """
    if importlib.util.find_spec("faster_coco_eval") is None:
        raise SettingsError(
            f"`{command}` measures detectors with faster-coco-eval, which is not installed",
            hint="install the extra `detect`: `pip install 'automix-cli[detect]'`",
        )


def refuse_what_has_no_use(settings: Settings) -> None:
    """A detector has no classes of images, no mix block, and one learning rate.

    Raises:
        SettingsError: the settings are of something else.
    """
    if settings.data.name != COCO:
        raise SettingsError(
            f"a detector finds boxes, but `data.name` is `{settings.data.name}`",
            hint=f"start from `--preset {presets.DETECTION}`, or `--set data.name={COCO}`",
        )
    if settings.optimizer.layer_decay != 1:
        raise SettingsError(
            "`optimizer.layer_decay` is for classifiers; a detector has one learning rate",
            hint="leave it out; `model.frozen_stages` keeps the first stages as they are",
        )
