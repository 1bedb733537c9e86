"""Where the time of a step goes: a clock that starts and stops around named calls.

The methods know nothing of it. While `PhaseClock` watches, the calls it was told of are replaced
on their objects by ones that start and stop a clock; time belongs to the innermost of them. On an
accelerator every start and stop waits for the device, so a watched step is slower than another:
whole steps are timed apart from it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

REST = "everything else"
"""Time of the step outside all named calls."""


BACKWARD = "backward: "
"""In front of a forward phase: the backward pass that follows it."""


class Watched(NamedTuple):
    """Calls of `owner.name` belong to a phase: to the first of `phases`, then the second, ...

    The last one holds for all further calls.
    """

    owner: Any
    name: str
    phases: tuple[str, ...]
    is_forward: bool = False  # a backward pass may follow, and is then a phase of its own


class PhaseClock:
    """Adds up the time of each phase over the steps it watches.

    A backward pass belongs to the newest forward phase that has had none; if there is none, it is
    the backward pass of everything else.

    Args:
        watched: The calls that are phases.
        device: Where the step computes.
    """

    def __init__(self, watched: Sequence[Watched], device: torch.device) -> None:
        self.seconds: dict[str, float] = {}
        self._watched = watched
        self._device = device
        self._running: list[str] = []
        self._since = 0.0
        self._waiting: list[str] = []  # forward phases without a backward pass

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Time one step."""
        self._waiting = []
        replaced: list[tuple[Any, str, Any]] = []
        for each in self._watched:
            replaced.append((each.owner, each.name, vars(each.owner).get(each.name)))
            setattr(each.owner, each.name, self._timed(each))
        for name in ("grad", "backward"):
            replaced.append((torch.autograd, name, getattr(torch.autograd, name)))
            setattr(torch.autograd, name, self._timed_backward(getattr(torch.autograd, name)))
        self._start(REST)
        try:
            yield
        finally:
            self._stop()
            for owner, name, before in reversed(replaced):
                if before is None:  # it was the class's, not the object's own
                    delattr(owner, name)
                else:
                    setattr(owner, name, before)

    def _timed(self, watched: Watched) -> Callable[..., Any]:
        call, turns = getattr(watched.owner, watched.name), iter(watched.phases)

        def timed(*arguments: Any, **named: Any) -> Any:
            phase = next(turns, watched.phases[-1])
            result = self._run(phase, call, *arguments, **named)
            if watched.is_forward and torch.is_grad_enabled():
                self._waiting.append(phase)
            return result

        return timed

    def _timed_backward(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            forward = self._waiting.pop() if self._waiting else REST
            return self._run(BACKWARD + forward, call, *arguments, **named)

        return timed

    def _run(self, phase: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        self._start(phase)
        try:
            return call(*arguments, **named)
        finally:
            self._stop()

    def _start(self, phase: str) -> None:
        self._credit()
        self._running.append(phase)

    def _stop(self) -> None:
        self._credit()
        self._running.pop()

    def _credit(self) -> None:
        """Give the time since the last change to whoever was running."""
        if self._device.type != "cpu":
            torch.accelerator.synchronize(self._device)
        now = time.perf_counter()
        if self._running:
            phase = self._running[-1]
            self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._since
        self._since = now
