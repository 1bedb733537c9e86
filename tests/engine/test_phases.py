"""The clock of a step's parts: who gets the time, and that nothing is left behind."""

import time
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from automix_cli.engine.phases import BACKWARD, REST, PhaseClock, Watched

CPU = torch.device("cpu")


class Machine:
    """Two parts, one of which uses the other; each sleeps for a while."""

    def outer(self) -> None:
        time.sleep(0.02)
        self.inner()

    def inner(self) -> None:
        time.sleep(0.03)


def test_time_belongs_to_the_innermost_call() -> None:
    machine = Machine()
    watched = (Watched(machine, "outer", ("outer",)), Watched(machine, "inner", ("inner",)))
    clock = PhaseClock(watched, CPU)
    started = time.perf_counter()
    with clock.watch():
        machine.outer()
        time.sleep(0.01)
    whole = time.perf_counter() - started
    assert clock.seconds["outer"] >= 0.02
    assert clock.seconds["inner"] >= 0.03
    assert clock.seconds[REST] >= 0.01
    assert sum(clock.seconds.values()) <= whole


def test_calls_in_turn_are_phases_in_turn() -> None:
    machine = Machine()
    clock = PhaseClock([Watched(machine, "inner", ("first", "second"))], CPU)
    with clock.watch():
        for _ in range(3):
            machine.inner()
    assert clock.seconds["second"] >= 2 * 0.03 > clock.seconds["second"] / 2
    assert clock.seconds["first"] >= 0.03


def test_a_backward_pass_is_that_of_the_newest_forward_pass() -> None:
    network = nn.Linear(3, 1)
    clock = PhaseClock([Watched(network, "forward", ("network",), is_forward=True)], CPU)
    with clock.watch():
        torch.autograd.grad(network(torch.ones(2, 3)).sum(), list(network.parameters()))
        torch.ones(1, requires_grad=True).sum().backward()
    assert {REST, "network", BACKWARD + "network", BACKWARD + REST} == clock.seconds.keys()


@pytest.mark.parametrize("fails", [False, True])
def test_everything_is_put_back(fails: bool) -> None:
    machine, grad, backward = Machine(), torch.autograd.grad, torch.autograd.backward
    clock = PhaseClock([Watched(machine, "inner", ("inner",))], CPU)
    expectation = pytest.raises(ZeroDivisionError) if fails else nullcontext()
    with expectation, clock.watch():
        assert 1 / (not fails)
    assert vars(machine) == {}
    assert (torch.autograd.grad, torch.autograd.backward) == (grad, backward)
