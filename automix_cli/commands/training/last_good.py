"""Which checkpoint a resumed run goes on from: of its own settings, and undamaged."""

from __future__ import annotations

from pathlib import Path

from automix_cli.engine.checkpoint import Checkpoint, load_checkpoint
from automix_cli.errors import CheckpointError
from automix_cli.reporting import records, run_folders
from automix_cli.reporting.progress import say
from automix_cli.settings import Settings
from automix_cli.settings.layering import Layer, Overrides, file_layer, load
from automix_cli.settings.toml import changed_keys, moves_result

MAY_CHANGE = ("train.max_steps", "train.compile")
"""A run may go on for longer, and compiled or not, which rounds differently as devices do."""


def checkpoint_of(resumed: Path | None, settings: Settings) -> Checkpoint | None:
    """Where a resumed run goes on from; None for a new one, or one that has no checkpoint yet.

    Raises:
        CheckpointError: it is broken, or the settings are not those it was made with.
    """
    if resumed is None:
        return None
    if not run_folders.has_checkpoint(resumed):
        refuse_changes(file_layer(resumed / records.SETTINGS), settings)
        say(f"`{resumed}` has no checkpoint yet: it begins again")
        return None
    checkpoint = last_good(resumed)
    refuse_changes(Layer(checkpoint.header.settings, str(checkpoint.path)), settings)
    return checkpoint


def refuse_changes(stored: Layer, settings: Settings) -> None:
    """Resuming must do what never stopping would have done.

    Args:
        stored: What the run was begun with, and where that is said.
        settings: What it is to go on with.

    Raises:
        CheckpointError: lists every setting that would move the result.
    """
    before, _ = load(Overrides(), base=stored, environment={})
    differing = {
        key: values
        for key, values in changed_keys(before, settings).items()
        if moves_result(key) and key not in MAY_CHANGE
    }
    if differing:
        listed = "; ".join(
            f"`{key}` was `{old}`, is now `{new}`" for key, (old, new) in differing.items()
        )
        raise CheckpointError(
            f"cannot resume `{stored.origin}` with other settings: {listed}",
            hint="leave these as they were, or start a new run",
        )


def last_good(folder: Path) -> Checkpoint:
    """Read a run's newest checkpoint, or else the one before it that was kept, and say so.

    `best.pt` is a whole checkpoint of an earlier moment: a run that goes on from it does its later
    steps again and ends as if nothing had happened.

    Raises:
        CheckpointError: neither can be read; it is about the newest.
    """
    try:
        return load_checkpoint(folder / records.CHECKPOINT)
    except CheckpointError as problem:
        try:
            best = load_checkpoint(folder / records.BEST)
        except CheckpointError:
            raise problem from None
        say(
            f"warning: {problem.message}; going on from `{best.path}`, written after step"
            f" {best.state.step}"
        )
        return best
