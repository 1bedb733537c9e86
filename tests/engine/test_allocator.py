"""Freed memory stays with the program."""

import json
import subprocess
import sys

import pytest

from automix_cli.engine import allocator

FAULTS = """
import json, resource, sys
import torch
from automix_cli.engine.allocator import keep_freed_memory
kept = sys.argv[1] == "keep" and keep_freed_memory()
torch.set_num_threads(1)
def step():
    blocks = [torch.ones(10_000_000) for _ in range(5)]
    return len(blocks)
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(json.dumps([kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a switch of glibc")
def test_the_system_is_asked_for_the_same_pages_once() -> None:
    def asked(mode: str) -> tuple[bool, int]:
        command = [sys.executable, "-c", FAULTS, mode]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return tuple(json.loads(done.stdout))

    kept, page_faults = asked("keep")
    if not kept:
        pytest.skip("not glibc")
    _, otherwise = asked("give back")
    # 50 blocks of 40 MB, which glibc gives back however often they are asked for: above 32 MiB
    assert 10 * max(page_faults, 50) < otherwise


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_elsewhere_nothing_is_changed(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator.sys, "platform", platform)
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda _: pytest.fail("asked"))
    assert not allocator.keep_freed_memory()


def test_a_c_library_without_the_switch_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator.sys, "platform", "linux")
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda _: object())
    assert not allocator.keep_freed_memory()
