"""Five seeded steps of `digits-tiny` give the recorded losses: what moves them moves every result.

To record anew, after naming the change under Numerics in the changelog:

    python -m tests.engine.test_golden_run
"""

import json
from pathlib import Path

import pytest

from automix_cli.commands.training_run import Prepared, prepare_run
from automix_cli.engine.loop import Hooks, TrainState, fit
from automix_cli.settings.layering import Overrides, load

GOLDEN = Path(__file__).parents[1] / "golden" / "digits_five_steps.json"
LOSSES = ("total", "one_hot", "mixed", "mix_block", "mask_area", "area_ratio")


def prepared_run(*sets: str) -> Prepared:
    """A run of the preset that ends after five steps."""
    sets = ("train.max_steps=5", "train.log_every=1", "run.device=cpu", *sets)
    return prepare_run(load(Overrides(preset="digits-tiny", sets=sets), environment={})[0])


def five_steps(prepared: Prepared) -> list[dict[str, float]]:
    """Losses of the first five steps, by name."""
    lines: list[dict[str, float]] = []
    hooks = Hooks(
        advance=lambda _: None,
        record=lambda values: lines.append({name: values[name] for name in LOSSES}),
        evaluate=lambda: False,
        save=lambda _: None,
        stop_signal=lambda: 0,
    )
    fit(prepared.training, prepared.plan, TrainState(), hooks)
    return lines


def test_five_seeded_steps_give_the_recorded_losses() -> None:
    """Kernels differ between processors; five steps let that grow to about 1e-4."""
    assert_recorded(five_steps(prepared_run()))


def assert_recorded(losses: list[dict[str, float]]) -> None:
    recorded = json.loads(GOLDEN.read_text())
    assert len(recorded) == 5
    for got, expected in zip(losses, recorded, strict=True):
        assert got == pytest.approx(expected, rel=1e-3)


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(five_steps(prepared_run()), indent=1) + "\n")
