"""A network that answers with NaN or infinity is not judged: said as an error, never as a number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from automix_cli.errors import DivergedError
from automix_cli.evaluation.totals import NotFiniteError


@contextmanager
def judging(network: str | Path) -> Iterator[None]:
    """Say of which network it is that outputs are not finite.

    Raises:
        DivergedError: they are not.
    """
    try:
        yield
    except NotFiniteError as problem:
        raise DivergedError(
            f"{problem}: `{network}` cannot be judged",
            hint="its weights are not finite, or so large that they overflow on the way",
        ) from problem
