"""Fixtures that tests of several packages share."""


import os

if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores: one thread for each
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from automix_cli.cli import app


@pytest.fixture(autouse=True)
def no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own AUTOMIX_* variables must not change what is tested."""
    for name in os.environ:
        if name.startswith("AUTOMIX_"):
            monkeypatch.delenv(name)


@pytest.fixture
def automix() -> Callable[..., Result]:
    """Run the command line in this process: `automix("presets", "list").stdout`."""

    def run(*arguments: str, **environment: str) -> Result:
        return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "100", **environment})

    return run
