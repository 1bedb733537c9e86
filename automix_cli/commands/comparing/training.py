"""The trainings of a comparison, one after the other: which are needed, and how each one went."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from automix_cli.commands.comparing.cells import Cell, State, state_of
from automix_cli.commands.comparing.children import Children, epochs_done, last_words
from automix_cli.commands.comparing.runs import read_run
from automix_cli.errors import (
    AutoMixError,
    CheckpointError,
    DataError,
    SettingsError,
    VerificationError,
)
from automix_cli.reporting.comparison_progress import ComparisonProgress
from automix_cli.reporting.comparison_tables import SCORES
from automix_cli.reporting.progress import duration
from automix_cli.reporting.tables import percent

INTERRUPTED = "not finished; the same command goes on with it"


class Failure(NamedTuple):
    """How a training ended that did not finish."""

    exit_code: int
    said: str


def states_of(cells: Sequence[Cell]) -> dict[str, State]:
    """What there is of each cell.

    Raises:
        SettingsError: folders are in the way; all of them are named.
    """
    states: dict[str, State] = {}
    problems: list[SettingsError] = []
    for cell in cells:
        try:
            states[cell.name] = state_of(cell)
        except SettingsError as problem:
            problems.append(problem)
    if problems:
        text = "\n".join(problem.message for problem in problems)
        raise SettingsError(text, hint=problems[0].hint)
    return states


def carry_out(
    cells: Sequence[Cell], states: Mapping[str, State], children: Children
) -> tuple[dict[str, Failure], int]:
    """Train every cell that is not finished, one after the other.

    Returns:
        By cell, the failures; and the signal that stopped us, or 0.
    """
    failures: dict[str, Failure] = {}
    waiting = [cell for cell in cells if states[cell.name] is not State.FINISHED]
    num_finished = len(cells) - len(waiting)
    progress = ComparisonProgress(len(cells), num_finished)
    with children, progress:
        if num_finished:
            progress.say(f"{num_finished} of {len(cells)} runs are finished already")
        for number, cell in enumerate(waiting, start=num_finished + 1):
            if children.received:
                break
            state = states[cell.name]
            log = cell.beside(".log")
            progress.say(f"run {number}/{len(cells)}: {cell.name} ({state.value}), log in {log}")
            code, said = train(cell, state, children, progress)
            if code and not children.received:
                failures[cell.name] = Failure(code, said)
            progress.say(f"  {said}")
            progress.finished()
    return failures, children.received


def train(
    cell: Cell, state: State, children: Children, progress: ComparisonProgress
) -> tuple[int, str]:
    """Train one cell, and say how it went: exit code and words."""
    started = time.monotonic()
    is_resumed = state is State.RESUMABLE

    def watch() -> None:
        progress.working_on(cell.name, epochs_done(cell.folder) / cell.settings.train.epochs)

    code = children.train(cell, is_resumed=is_resumed, watch=watch)
    if code == 0:
        done = read_run(cell.folder, cell.name)
        took = duration(time.monotonic() - started)
        name = "ap" if "ap" in done.result.measures else "top1"
        return 0, f"{SCORES[name]} {percent(done.result.measures[name])} in {took}"
    if children.received:
        return code, INTERRUPTED
    how = f"exit code {code}" if code > 0 else f"killed by signal {-code}"
    return code, f"failed with {how}: {last_words(cell)}"


def failed(failures: Mapping[str, Failure], num_cells: int) -> AutoMixError:
    """One error for all runs that failed, with the exit code of the first."""
    kinds = (SettingsError, DataError, CheckpointError, VerificationError)
    code = next(iter(failures.values())).exit_code
    kind = {each.exit_code: each for each in kinds}.get(code, AutoMixError)
    listed = "\n".join(f"  {name}: {failure.said}" for name, failure in failures.items())
    return kind(
        f"{len(failures)} of {num_cells} runs failed\n{listed}",
        hint="mend the cause and give the same command again: what is finished is kept",
    )
