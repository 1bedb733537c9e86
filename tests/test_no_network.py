"""Nothing here or at import talks to another machine."""

import socket
import subprocess
import sys

import pytest

IMPORTING = """
import socket, sys

def refuse(*arguments):
    sys.exit(f"it asked the network for {arguments}")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
import automix_cli, automix_cli.cli.MODULES
"""
ALL = "cli, automix_cli.commands.training.run, automix_cli.commands.export, automix_cli.evaluation"


@pytest.mark.parametrize("modules", ["cli", pytest.param(ALL, marks=pytest.mark.slow)])
def test_importing_the_package_opens_no_connection(modules: str) -> None:
    code = IMPORTING.replace("cli.MODULES", modules)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("example.org", 443)])
def test_a_test_that_would_leave_this_machine_fails(address: tuple[str, int]) -> None:
    with socket.socket() as opened, pytest.raises(AssertionError, match="no test may connect to"):
        opened.connect(address)


def test_a_test_may_talk_to_itself() -> None:
    with socket.socket() as listener, socket.socket() as opened:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        opened.connect(listener.getsockname())
