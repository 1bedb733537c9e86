"""Fixtures that tests of several packages share."""

import os
import socket
from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from automix_cli.cli import app

if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores: one thread for each;
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch, not yet imported, reads it


@pytest.fixture(autouse=True)
def no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own AUTOMIX_* variables must not change what is tested."""
    for name in os.environ:
        if name.startswith("AUTOMIX_"):
            monkeypatch.delenv(name)


LOCAL = ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test leaves this machine; a process that a test starts is not watched."""
    for name in ("connect", "connect_ex"):
        original = getattr(socket.socket, name)

        def guarded(self: socket.socket, address: object, original: object = original) -> object:
            host = address[0] if isinstance(address, tuple) else None
            local = host is None or str(host) in LOCAL
            assert local, f"no test may connect to {address}"
            return original(self, address)  # type: ignore[operator]

        monkeypatch.setattr(socket.socket, name, guarded)


@pytest.fixture
def automix() -> Callable[..., Result]:
    """Run the command line in this process: `automix("presets", "list").stdout`."""

    def run(*arguments: str, **environment: str) -> Result:
        return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "100", **environment})

    return run
