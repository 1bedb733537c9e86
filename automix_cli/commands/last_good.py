"""Which checkpoint a run goes on from when its newest one is damaged."""

from __future__ import annotations

from pathlib import Path

from automix_cli.engine.checkpoint import Checkpoint, load_checkpoint
from automix_cli.errors import CheckpointError
from automix_cli.reporting import records
from automix_cli.reporting.progress import say


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
