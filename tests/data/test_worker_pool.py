"""Work is done ahead, in order, and never left behind."""

import threading
import time
from concurrent.futures import Future
from functools import partial

import pytest

from automix_cli.data.worker_pool import Prefetcher, WorkerPool, default_workers


def squares(pool: WorkerPool, started: list[int], end: int | None = None) -> Prefetcher[list[int]]:
    """Squares of numbers, each made by the pool, with a note of what was begun."""

    def start(number: int) -> tuple[list[Future[None]], list[int]]:
        started.append(number)
        value: list[int] = []
        return [pool.submit(partial(value.append, number**2))], value

    return Prefetcher(start, pool, ahead=3, end=end)


def test_the_next_few_are_begun_while_one_is_used() -> None:
    started: list[int] = []
    with_workers = squares(WorkerPool(2), started)
    assert [with_workers.get(number) for number in (0, 1)] == [[0], [1]]
    assert started == [0, 1, 2, 3, 4]
    with_workers.close()


def test_nothing_is_begun_beyond_the_end() -> None:
    started: list[int] = []
    with_workers = squares(WorkerPool(2), started, end=2)
    assert with_workers.get(0) == [0]
    assert started == [0, 1]
    with_workers.close()


def test_without_workers_nothing_is_done_ahead_and_no_thread_starts() -> None:
    started: list[int] = []
    alone = squares(WorkerPool(0), started)
    before = threading.active_count()
    assert alone.get(5) == [25]
    assert started == [5]
    assert threading.active_count() == before


def test_closing_drops_what_has_not_begun_and_ends_the_threads() -> None:
    pool = WorkerPool(1)
    gate = threading.Event()
    done: list[int] = []
    pool.submit(lambda: gate.wait(10))
    futures = [pool.submit(partial(done.append, number)) for number in range(50)]
    threading.Timer(0.05, gate.set).start()
    pool.close()
    assert len(done) < 50
    assert any(future.cancelled() for future in futures)
    time.sleep(0)
    assert not any(each.name.startswith("automix-images") for each in threading.enumerate())


def test_a_failure_is_raised_where_the_value_is_asked_for_and_ends_the_threads() -> None:
    pool = WorkerPool(2)

    def start(number: int) -> tuple[list[Future[None]], int]:
        def work() -> None:
            if number == 2:
                raise ValueError("no square")

        return [pool.submit(work)], number

    values = Prefetcher(start, pool, ahead=3)
    assert [values.get(0), values.get(1)] == [0, 1]
    with pytest.raises(ValueError, match="no square"):
        values.get(2)
    assert not any(each.name.startswith("automix-images") for each in threading.enumerate())
    assert values.get(3) == 3  # asking again starts again
    values.close()


def test_there_is_a_worker_for_each_core_up_to_eight() -> None:
    assert 1 <= default_workers() <= 8
