"""A headless Chromium, spoken to by its own DevTools protocol through two pipes.

The protocol is JSON with a null byte behind each message, so nothing but the standard library is
needed. `AUTOMIX_BROWSER` names the program; otherwise it is looked for on the PATH.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--remote-debugging-pipe"),
)
PIPES_TO_3_AND_4 = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(each), fcntl.F_DUPFD, 10) for each in sys.argv[1:3])
os.dup2(read, 3)
os.dup2(write, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def installed() -> str | None:
    """The program, or None."""
    named = os.environ.get("AUTOMIX_BROWSER")
    return named or next((path for path in map(shutil.which, NAMES) if path), None)


class Page:
    """One page of a browser, and everything it was told about it."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read = write, read
        self._received = b""
        self._number = 0
        self._session: dict[str, str] = {}
        self.events: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and wait for its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params, **self._session}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + 60
        while (answer := self._next(deadline)).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._received:
            assert time.monotonic() < deadline, "the browser does not answer"
            part = os.read(self._read, 1 << 20)
            assert part, "the browser is gone"
            self._received += part
        message, _, self._received = self._received.partition(b"\0")
        return json.loads(message)

    def open(self, file: Path) -> Self:
        """Load a file and wait until it is shown."""
        self.events.clear()
        self.ask("Page.navigate", url=file.resolve().as_uri())
        deadline = time.monotonic() + 60
        while not any(each.get("method") == "Page.loadEventFired" for each in self.events):
            self.events.append(self._next(deadline))
        return self

    def resize(self, width: int, height: int = 900, *, colours: str = "light") -> None:
        """Give the page a width in pixels, and the reader a taste."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        taste = [{"name": "prefers-color-scheme", "value": colours}]
        self.ask("Emulation.setEmulatedMedia", features=taste)

    def value(self, expression: str) -> Any:
        """What a JavaScript expression is in the page."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def screenshot(self, file: Path) -> None:
        """Write the whole page as PNG."""
        taken = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(taken["data"]))

    def requests(self) -> list[str]:
        """Every address that was asked for since `open`."""
        sent = (each for each in self.events if each.get("method") == "Network.requestWillBeSent")
        asked = [each["params"]["request"]["url"] for each in sent]
        return [each for each in asked if not each.startswith("data:")]  # in the file itself

    def complaints(self) -> list[str]:
        """Errors and warnings of the console, exceptions, and refusals of the policy."""
        kinds = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        return [json.dumps(each["params"]) for each in self.events if each.get("method") in kinds]


@contextmanager
def opened_browser(program: str, profile: Path) -> Iterator[Page]:
    """A page of a browser with an empty profile, closed at the end."""
    to_browser, from_us = os.pipe()
    to_us, from_browser = os.pipe()
    command = [sys.executable, "-c", PIPES_TO_3_AND_4, str(to_browser), str(from_browser), program]
    browser = subprocess.Popen(
        [*command, *FLAGS, f"--user-data-dir={profile}"],
        pass_fds=(to_browser, from_browser),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_browser)
    os.close(from_browser)
    try:
        yield Page(from_us, to_us)
    finally:
        os.close(from_us)  # the browser ends when nobody can speak to it
        browser.wait(timeout=60)
        os.close(to_us)
