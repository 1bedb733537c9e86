"""Five seeded steps of `digits-tiny` give the recorded losses: what moves them moves every result.

To record anew, after naming the change under Numerics in the changelog, with one process and two:

    python -m tests.engine.test_golden_run
    torchrun --nproc_per_node 2 -m tests.engine.test_golden_run
"""

import json
import os
from pathlib import Path

import pytest

from automix_cli.commands.training.run import Prepared, prepare_run
from automix_cli.engine.loop import Hooks, TrainState, fit
from automix_cli.settings.layering import Overrides, load

FOLDER = Path(__file__).parents[1] / "golden"
GOLDEN = {1: FOLDER / "digits_five_steps.json", 2: FOLDER / "digits_five_steps_two_processes.json"}
"""By number of processes; `commands/test_processes.py` compares the second."""

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
    assert_recorded(five_steps(prepared_run()), processes=1)


def assert_recorded(steps: list[dict[str, float]], *, processes: int) -> None:
    recorded = json.loads(GOLDEN[processes].read_text())
    assert len(recorded) == 5
    for got, expected in zip(steps, recorded, strict=True):
        assert got == pytest.approx(expected, rel=1e-3)


def test_two_processes_lose_on_clean_images_what_one_does() -> None:
    """Both see the same ones; each half of a batch has statistics of its own for batch norm.

    Each process draws pairings of its own, so losses of mixtures are others.
    """
    one, two = (json.loads(path.read_text()) for path in GOLDEN.values())
    for first, second in zip(one, two, strict=True):
        assert second["one_hot"] == pytest.approx(first["one_hot"], rel=5e-3)
        assert second["mixed"] != pytest.approx(first["mixed"], rel=1e-5)


if __name__ == "__main__":
    content = json.dumps(five_steps(prepared_run()), indent=1) + "\n"
    if os.environ.get("RANK", "0") == "0":
        GOLDEN[int(os.environ.get("WORLD_SIZE", "1"))].write_text(content)
