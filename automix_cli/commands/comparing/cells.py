"""The cells of a comparison: one run for each method or variant and each seed, and its state.

```text
<folder>/
  <name>-seed<S>/         a run folder like any other
  <name>-seed<S>.toml     the settings it is to have
  <name>-seed<S>.log      what its training said
  compare.json .csv .md   the tables
  compare.png .svg        the figure
```
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from automix_cli.commands.comparing.arms import Arm, chosen_arms, chosen_seeds
from automix_cli.commands.requests.compare import CompareRequest
from automix_cli.errors import SettingsError
from automix_cli.reporting import records, run_folders
from automix_cli.settings import Settings
from automix_cli.settings.layering import Flag, Overrides, file_layer, load
from automix_cli.settings.problems import shown
from automix_cli.settings.toml import changed_keys, moves_result


@dataclass(frozen=True)
class Cell:
    """One run of the comparison: where it lies and the settings it is to have."""

    arm: Arm
    seed: int
    folder: Path
    settings: Settings

    @property
    def name(self) -> str:
        """`<arm>-seed<S>`."""
        return self.folder.name

    def beside(self, suffix: str) -> Path:
        """A file next to the run folder."""
        return self.folder.with_name(f"{self.folder.name}{suffix}")


class State(Enum):
    """What there is of a cell."""

    FINISHED = "finished"
    RESUMABLE = "to be resumed"
    NEW = "new"


def planned_cells(overrides: Overrides, request: CompareRequest, folder: Path) -> list[Cell]:
    """All cells, seed by seed, so that every method has its first seed early.

    Raises:
        SettingsError: a method, seed, variant or setting is not valid.
    """
    arms, seeds = chosen_arms(request), chosen_seeds(request)
    cells = [_cell(arm, seed, overrides, folder) for seed in seeds for arm in arms]
    datasets = {cell.settings.data.identity: cell.arm.name for cell in cells}
    if len(datasets) > 1:
        listed = ", ".join(f"`{name}` on `{data}`" for data, name in datasets.items())
        raise SettingsError(
            f"accuracies on different data cannot be compared: {listed}",
            hint="leave `data.name`, `data.dir` and `data.csv` out of `--variant`",
        )
    named = [cell.arm for cell in cells if cell.arm.method is not None]
    if "coco" in datasets and named:
        raise SettingsError(
            f"a detector mixes no images, but `{named[0].name}` is a method of mixing",
            hint='compare backbones: `--methods none --variant "NAME: model.init=RUN"`',
        )
    return cells


def state_of(cell: Cell) -> State:
    """What there is of a cell, or why it cannot be this one.

    Raises:
        SettingsError: the folder holds a run with other settings, or no run.
    """
    if not cell.folder.exists() or (
        cell.folder.is_dir() and not run_folders.occupants(cell.folder)
    ):
        return State.NEW
    if not (cell.folder / records.SETTINGS).is_file():
        raise SettingsError(
            f"`{cell.folder}` is in the way: it is no run folder, it has no `{records.SETTINGS}`",
            hint="move it away, or compare in another folder: `--output-dir`",
        )
    _refuse_other_settings(cell)
    if (cell.folder / records.SUMMARY).is_file():
        return State.FINISHED
    if run_folders.can_go_on(cell.folder):
        return State.RESUMABLE
    raise SettingsError(
        f"`{cell.folder}` holds a result without its `{records.SUMMARY}`, and no checkpoint",
        hint="move the folder away: its training starts anew",
    )


def _refuse_other_settings(cell: Cell) -> None:
    path = cell.folder / records.SETTINGS
    stored, _ = load(Overrides(), base=file_layer(path), environment={})
    changed = changed_keys(stored, cell.settings)
    has_moved = stored.data.identity != cell.settings.data.identity
    movers = {key for key in changed if moves_result(key) or (has_moved and key == "data.dir")}
    differing = {key: changed[key] for key in changed if key in movers}
    if differing:
        listed = "; ".join(
            f"`{key}` is `{shown(there)}` there, wanted `{shown(wanted)}`"
            for key, (there, wanted) in differing.items()
        )
        raise SettingsError(
            f"`{cell.folder}` holds a run with other settings: {listed}",
            hint="compare in another folder (`--output-dir`), or move that run away",
        )


def _cell(arm: Arm, seed: int, overrides: Overrides, folder: Path) -> Cell:
    path = folder / f"{arm.slug}-seed{seed}"
    flags = (Flag("--seeds", "run.seed", seed), Flag("--output-dir", "run.output_dir", str(path)))
    return Cell(arm, seed, path, settings_of(arm.with_seed(seed), overrides, *flags))


def settings_of(arm: Arm, overrides: Overrides, *flags: Flag) -> Settings:
    """What all arms share, with what this one changes.

    Raises:
        SettingsError: a setting is not valid; says of which arm.
    """
    method = () if arm.method is None else (Flag(arm.flag, "mix.method", arm.method),)
    wanted = replace(
        overrides,
        flags=(*overrides.flags, *flags, *method),
        sets=(*overrides.sets, *arm.sets),
    )
    try:
        return load(wanted)[0]
    except SettingsError as error:
        text = f"`{shown(arm.name)}`: {error.message}"
        raise SettingsError(text, hint=error.hint) from error
