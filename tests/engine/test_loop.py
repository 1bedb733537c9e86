"""The loop: when things happen, that numbers are checked, and that stopping loses nothing."""

import signal
from collections.abc import Mapping
from dataclasses import replace

import pytest

from automix_cli.engine.loop import Hooks, Plan, TrainState, fit
from automix_cli.errors import Interrupted
from tests.engine.conftest import Prepare

PLAN = Plan(
    seed=0,
    total_steps=6,
    steps_per_epoch=4,
    log_every=3,
    evaluate_every=1,
    save_every=None,
    clip_norm=None,
)


class Diary:
    """Hooks that write down when they were called."""

    def __init__(self, state: TrainState, *, stop_after: int | None = None) -> None:
        self.state = state
        self.stop_after = stop_after
        self.events: list[tuple[str, int]] = []
        self.values: list[dict[str, float]] = []

    def hooks(self) -> Hooks:
        return Hooks(
            advance=lambda _: None,
            record=self.record,
            evaluate=lambda: self.note("evaluate"),
            save=lambda _: self.note("save"),
            stop_signal=lambda: signal.SIGTERM if self.state.step == self.stop_after else 0,
        )

    def note(self, event: str) -> bool:
        self.events.append((event, self.state.step))
        return False

    def record(self, values: Mapping[str, float]) -> None:
        self.values.append(dict(values))
        self.note("record")


def test_logging_evaluating_and_saving_happen_when_the_plan_says(prepare: Prepare) -> None:
    state = TrainState()
    diary = Diary(state)
    fit(prepare().training, PLAN, state, diary.hooks())
    assert diary.events == [
        ("record", 3),
        ("record", 4),
        ("evaluate", 4),
        ("save", 4),
        ("record", 6),
        ("evaluate", 6),
        ("save", 6),
    ]


@pytest.mark.parametrize("save_every", [1, 2, 5])
def test_saving_every_few_steps_comes_on_top_of_epochs(save_every: int) -> None:
    plan = replace(PLAN, save_every=save_every)
    saved = [step for step in range(1, 7) if plan.wants_saving(step)]
    assert saved == [step for step in range(1, 7) if step in (4, 6) or step % save_every == 0]


def test_a_finished_run_takes_no_further_step(prepare: Prepare) -> None:
    state = TrainState(step=6)
    diary = Diary(state)
    fit(prepare().training, PLAN, state, diary.hooks())
    assert diary.events == []


def test_recorded_losses_are_the_mean_over_the_steps_since_the_last_record(
    prepare: Prepare,
) -> None:
    by_step = TrainState()
    every = Diary(by_step)
    fit(prepare().training, replace(PLAN, log_every=1), by_step, every.hooks())
    by_three = TrainState()
    thirds = Diary(by_three)
    fit(prepare().training, PLAN, by_three, thirds.hooks())
    for name in ("total", "one_hot", "mixed", "mix_block", "mask_area"):
        mean = sum(values[name] for values in every.values[:3]) / 3
        assert thirds.values[0][name] == pytest.approx(mean, rel=1e-6)  # sums in float32


def test_a_signal_finishes_the_step_saves_and_exits_with_its_code(prepare: Prepare) -> None:
    state = TrainState()
    diary = Diary(state, stop_after=2)
    with pytest.raises(Interrupted) as caught:
        fit(prepare().training, PLAN, state, diary.hooks())
    assert caught.value.exit_code == 143
    assert diary.events == [("save", 2)]
