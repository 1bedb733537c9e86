"""Threads that prepare images ahead of their use.

Threads and not processes: decoding, resizing and Pillow's operations release Python's lock, nothing
is copied between processes, a GPU in use does not forbid starting them, and no worker can be left
behind by a program that ends.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Value = TypeVar("Value")

MOST_WORKERS = 8
"""Unless a number is asked for."""


def default_workers() -> int:
    """One for each core that this process may use, at most 8."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    cores = os.cpu_count() or 1 if affinity is None else len(affinity(0))
    return min(cores, MOST_WORKERS)


class WorkerPool:
    """Runs calls in threads, or, with no workers, at once where they are asked for.

    Args:
        num_workers: Threads; started when there is something to do.
    """

    def __init__(self, num_workers: int) -> None:
        self.num_workers = num_workers
        self._executor: ThreadPoolExecutor | None = None

    def submit(self, call: Callable[[], Value]) -> Future[Value]:
        """Have something done."""
        if self.num_workers == 0:
            done: Future[Value] = Future()
            done.set_result(call())
            return done
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self.num_workers, "automix-images")
        return self._executor.submit(call)

    def close(self) -> None:
        """Drop what has not begun and wait for the rest; the threads end."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None


class Prefetcher(Generic[Value]):
    """Values by number, of which the next few are prepared while one is used.

    Args:
        start: Begins to make the value of a number: gives the calls that are waited for, and the
            value that is whole after them.
        pool: Who makes them.
        ahead: How many are prepared ahead.
        end: Number after the last one.
    """

    def __init__(
        self,
        start: Callable[[int], tuple[list[Future[None]], Value]],
        pool: WorkerPool,
        ahead: int,
        end: int | None = None,
    ) -> None:
        self._start = start
        self._pool = pool
        self._ahead = ahead if pool.num_workers else 0
        self._end = end
        self._pending: dict[int, tuple[list[Future[None]], Value]] = {}

    def get(self, number: int) -> Value:
        """Give the value of a number, in any order; in ascending order there is no wait.

        Raises:
            Exception: what went wrong while making it. The threads have ended then.
        """
        window = range(number, number + self._ahead + 1)
        for other in [each for each in self._pending if each not in window]:
            for future in self._pending.pop(other)[0]:
                future.cancel()
        try:
            for each in window:
                if each not in self._pending and (self._end is None or each < self._end):
                    self._pending[each] = self._start(each)
            futures, value = self._pending.pop(number)
            for future in futures:
                future.result()
        except BaseException:
            self.close()
            raise
        return value

    def close(self) -> None:
        """End the threads; asking again starts them again."""
        self._pending.clear()
        self._pool.close()
