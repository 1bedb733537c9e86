"""`automix train`: decide what is asked for, then hand over to `training.run`.

Settings are read and checked before torch is imported, so that a typo costs no waiting.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from automix_cli import presets
from automix_cli.commands.requests.train import TrainRequest
from automix_cli.errors import CheckpointError, SettingsError
from automix_cli.reporting import records, run_folders
from automix_cli.reporting.progress import say
from automix_cli.settings import Settings
from automix_cli.settings.layering import Origins, Overrides, file_layer, load
from automix_cli.settings.toml import print_config
from automix_cli.startup import quick_imports


def run(overrides: Overrides, request: TrainRequest) -> None:
    """Train, or go on training, and leave a run folder behind.

    Raises:
        AutoMixError: anything a person can mend; the exit code says what kind.
    """
    folder, settings, origins = decided(overrides, request.resume, presets.DEFAULT)
    if request.print_config:
        sys.stdout.write(print_config(settings, origins))
        return
    if settings.data.name == "coco":
        raise SettingsError(
            "`data.name` is `coco`: boxes to be found, and no images of classes",
            hint="detectors are trained by `automix detect`",
        )

    with quick_imports():
        from automix_cli.commands.training import run as training_run

    training_run.run(settings, origins, folder, request)


def decided(
    overrides: Overrides, resume: str | None, preset: str
) -> tuple[Path | None, Settings, Origins]:
    """The run folder to go on with, or None for a new run; the settings, and who set them.

    Args:
        overrides: What the command line says of settings.
        resume: What it says of resuming, see `resumed_folder`.
        preset: Where a new run starts from when neither a preset nor a file is named.

    Raises:
        AutoMixError: there is nothing to resume, or the settings are wrong.
    """
    folder = resumed_folder(resume, overrides)
    if folder is None:
        overrides = with_default_preset(overrides, preset)
    elif resume != "auto":
        refuse_other_sources(overrides)
    base = None if folder is None else file_layer(folder / records.SETTINGS)
    return folder, *load(overrides, base=base)


def with_default_preset(overrides: Overrides, preset: str = presets.DEFAULT) -> Overrides:
    """Start from a preset when neither a preset nor a file is named, and say so."""
    if overrides.preset is not None or overrides.configs:
        return overrides
    say(f"no --preset or --config: using preset {preset}")
    return replace(overrides, preset=preset)


def resumed_folder(resume: str | None, overrides: Overrides) -> Path | None:
    """The run folder to go on with, or None for a new run.

    A run that was killed before its first checkpoint begins again there.

    Args:
        resume: `newest`, `auto` (the run in --output-dir if there is one), a run folder or its
            `ckpt.pt`.
        overrides: Where `--output-dir` is, for `auto`.

    Raises:
        CheckpointError: there is nothing to resume.
    """
    if resume is None:
        return None
    root = Path("runs")
    if resume == "newest":
        return run_folders.newest_to_go_on(root) or records.none_found(root, "an unfinished run")
    if resume == "auto":
        flagged = {flag.key: flag.value for flag in overrides.flags}.get("run.output_dir")
        if flagged is None:
            return run_folders.newest_to_go_on(root)
        folder = Path(str(flagged))
        return folder if run_folders.can_go_on(folder) else None
    path = Path(resume)
    folder = path.parent if path.is_file() else path
    if not run_folders.can_go_on(folder):
        raise CheckpointError(
            f"wanted a run to resume at `{resume}`, found no `{records.CHECKPOINT}` there",
            hint="name a run folder, or give `--resume` alone for the newest run under `runs/`",
        )
    return folder


def refuse_other_sources(overrides: Overrides) -> None:
    """A resumed run has its settings; only `--resume auto` may name again what started it.

    Raises:
        SettingsError: a preset or a config file was named.
    """
    if overrides.preset is not None or overrides.configs:
        raise SettingsError(
            "`--resume` goes on with the run's own settings, but a preset or config was given too",
            hint="leave out `--preset` and `--config`, or use `--resume auto`",
        )
