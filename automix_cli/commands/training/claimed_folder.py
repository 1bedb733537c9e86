"""The folder of a run: the same on every process, and for one program at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from automix_cli.commands.sole_writer import sole_writer
from automix_cli.engine.runtime import Accelerator, said_by_main
from automix_cli.reporting import records, run_folders
from automix_cli.settings import Settings
from automix_cli.settings.layering import Origins
from automix_cli.settings.toml import dump_toml


@contextmanager
def run_folder(
    accelerator: Accelerator, settings: Settings, origins: Origins, resumed: Path | None
) -> Iterator[Path]:
    """Give the folder of a run, the same on every process, and keep other programs out of it.

    Args:
        accelerator: Knows which process this is.
        settings: Written into a new one.
        origins: Written into a new one.
        resumed: The one to go on with; None makes one.

    Raises:
        SettingsError: another program writes into it, or a new one is not empty.
    """
    folder = resumed or said_by_main(
        settings.run.output_dir
        or records.default_folder(settings.run.preset, settings.mix.method, settings.run.seed)
    )
    if not accelerator.is_main_process:
        yield folder
        return
    with sole_writer(folder, "run"):
        if resumed is None:
            run_folders.create_folder(folder, dump_toml(settings), dict(origins))
        yield folder
