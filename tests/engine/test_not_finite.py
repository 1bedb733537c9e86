"""NaN and infinity, put in at one step anywhere: the run stops and says what, or goes on rightly.

Checkpoints are written after steps 2, 4 and 6; what is wrong comes with the fourth step.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from automix_cli.data.batch_plan import Batch, Batches
from automix_cli.engine.checkpoint import Header, load_checkpoint
from automix_cli.engine.checkpoint_writer import CheckpointWriter
from automix_cli.engine.finite import SMALLEST_SCALE, not_finite, state_of
from automix_cli.engine.loop import Hooks, Plan, Training, TrainState, fit
from automix_cli.errors import DivergedError
from tests.engine.conftest import Prepare

NAN, INF = float("nan"), float("inf")
STRUCK = 3  # steps taken before it
PLAN = Plan(
    seed=0,
    total_steps=6,
    steps_per_epoch=2,
    log_every=2,
    evaluate_every=1,
    save_every=None,
    clip_norm=None,
)
HEADER = Header(settings={}, dataset={}, software={}, num_processes=1, metrics_bytes=0)
SMALL = ("train.batch_size=4", "data.image_size=16")

Strike = Callable[[Training, float], Training]
"""Prepares a training for something that is not finite, and gives what is then trained."""


@dataclass
class Struck(Batches):
    """Batches of which one step's first image has one wrong number."""

    whole: Batches
    number: float

    @property
    def steps_per_epoch(self) -> int:
        return self.whole.steps_per_epoch

    def at(self, step: int) -> list[Batch]:
        batches = self.whole.at(step)
        if step == STRUCK:
            batches[0].images[0, 0, 0, 0] = self.number
        return batches

    def close(self) -> None:
        self.whole.close()


def in_data(training: Training, number: float) -> Training:
    return replace(training, batches=Struck(training.batches, number))


def of_model(training: Training) -> nn.Module:
    return training.accelerator.unwrap_model(training.model)


def before_the_step(training: Training, deed: Callable[[], None]) -> Training:
    """Do something before the fourth step."""

    def values_at(step: int) -> Any:
        if step == STRUCK:
            deed()
        return training.values_at(step)

    return replace(training, values_at=values_at)


def in_state(name: str) -> Strike:
    """A number of a parameter or a buffer."""

    def strike(training: Training, number: float) -> Training:
        tensor = of_model(training).state_dict()[name]
        return before_the_step(training, lambda: tensor.view(-1)[:1].fill_(number) and None)

    return strike


def in_gradient(name: str) -> Strike:
    """A number of the gradient of a parameter, once."""

    def strike(training: Training, number: float) -> Training:
        parameter = of_model(training).get_parameter(name)
        due: list[bool] = []

        def change(gradient: Tensor) -> Tensor:
            if not due:
                return gradient
            due.clear()
            changed = gradient.clone()
            changed.view(-1)[0] = number
            return changed

        parameter.register_hook(change)
        return before_the_step(training, lambda: due.append(True))

    return strike


def in_loss(training: Training, number: float) -> Training:
    """The mixed loss, and with it the sum."""
    due: list[bool] = []

    def change(_: nn.Module, __: object, losses: Any) -> Any:
        if not due:
            return losses
        due.clear()
        return losses._replace(total=losses.total * number, mixed=losses.mixed * number)

    training.model.register_forward_hook(change)
    return before_the_step(training, lambda: due.append(True))


def in_optimizer(training: Training, number: float) -> Training:
    """What Adam keeps of the squares: with infinity there, a weight never moves again."""
    parameter = of_model(training).get_parameter("mix_block.query.weight")

    def deed() -> None:
        training.optimizer.state[parameter]["exp_avg_sq"].view(-1)[0] = number

    return before_the_step(training, deed)


class Kept:
    """Hooks that write checkpoints, and note what happened after which step."""

    def __init__(self, folder: Path, training: Training) -> None:
        self.path = folder / "ckpt.pt"
        self.state = TrainState()
        self.training = training
        self.events: list[tuple[str, int]] = []

    def run(self, plan: Plan = PLAN) -> None:
        with CheckpointWriter() as writer:

            def save(_: bool) -> None:
                self.note("save")
                writer.save([self.path], self.training, self.state, HEADER)

            hooks = Hooks(
                advance=lambda _: None,
                record=lambda _: None,
                evaluate=lambda: self.note("evaluate"),
                save=save,
                stop_signal=lambda: 0,
            )
            fit(self.training, plan, self.state, hooks)

    def note(self, event: str) -> bool:
        self.events.append((event, self.state.step))
        return False


BATCH_NORM = "backbone.layer1.0.bn1.running_mean"
WRONG: dict[str, tuple[Strike, str]] = {
    "an image": (in_data, "loss `"),
    "a weight of the classifier": (in_state("classifier.head_mixed.weight"), "loss `mixed`"),
    "a weight of the momentum classifier": (
        in_state("momentum_classifier.backbone.conv1.weight"),
        "loss `",
    ),
    "a weight of the mix block": (in_state("mix_block.query.weight"), "loss `mix"),
    "a buffer of the classifier": (
        in_state(f"classifier.{BATCH_NORM}"),
        f"`classifier.{BATCH_NORM}",
    ),
    "a buffer of the momentum classifier": (
        in_state(f"momentum_classifier.{BATCH_NORM}"),
        f"`momentum_classifier.{BATCH_NORM}`",
    ),
    "a gradient of the classifier": (
        in_gradient("classifier.head_one_hot.weight"),
        "`classifier.head_one_hot.weight`",
    ),
    "a gradient of the mix block": (in_gradient("mix_block.value.weight"), "`mix_block.value"),
    "a loss": (in_loss, "loss `mixed` became"),
}


@pytest.mark.parametrize(
    ("place", "number"),
    [
        *((place, NAN) for place in WRONG),
        *((place, INF) for place in ("an image", "a gradient of the classifier", "a loss")),
    ],
)
def test_the_run_stops_with_what_and_when_and_the_last_good_checkpoint_stays(
    prepare: Prepare, tmp_path: Path, place: str, number: float
) -> None:
    strike, what = WRONG[place]
    kept = Kept(tmp_path, strike(prepare(*SMALL).training, number))
    with pytest.raises(DivergedError) as caught:
        kept.run()
    assert what in caught.value.message
    assert "between steps 2 and 4" in caught.value.message
    assert kept.events == [("evaluate", 2), ("save", 2)]
    checkpoint = load_checkpoint(kept.path)
    assert checkpoint.state.step == 2
    assert not not_finite(checkpoint.model)


@pytest.mark.parametrize("more", [("optimizer.clip_norm=1.0",), ("train.accumulation_steps=2",)])
def test_a_gradient_that_is_not_finite_shows_when_it_is_clipped_or_added_up(
    prepare: Prepare, tmp_path: Path, more: tuple[str, ...]
) -> None:
    """Clipping by an infinite norm would make NaN or zero of every other gradient too."""
    prepared = prepare(*SMALL, *more)
    kept = Kept(tmp_path, in_gradient("mix_block.value.weight")(prepared.training, INF))
    with pytest.raises(DivergedError, match=r"`mix_block\.value\.weight`.* between steps 2 and 4"):
        kept.run(replace(PLAN, clip_norm=prepared.plan.clip_norm))
    assert load_checkpoint(kept.path).state.step == 2


def test_infinity_that_only_the_optimizer_keeps_is_found(prepare: Prepare, tmp_path: Path) -> None:
    training = prepare(*SMALL, "optimizer.name=adamw", "optimizer.lr=1e-3").training
    kept = Kept(tmp_path, in_optimizer(training, INF))
    with pytest.raises(DivergedError, match=r"`mix_block.query.weight \(exp_avg_sq\)` stopped"):
        kept.run()
    assert not not_finite(of_model(training).state_dict())


def test_the_last_update_is_looked_at_before_anything_is_judged(
    prepare: Prepare, tmp_path: Path
) -> None:
    """It can break weights without any loss showing it."""
    training = prepare(*SMALL).training

    def values_at(step: int) -> Any:
        return training.values_at(step)._replace(learning_rate=INF)

    kept = Kept(tmp_path, replace(training, values_at=values_at))
    with pytest.raises(DivergedError, match="stopped being finite between steps 0 and 1"):
        kept.run(replace(PLAN, total_steps=1))
    assert kept.events == []
    assert not kept.path.exists()


def test_nothing_is_trained_from_weights_that_are_not_finite(
    prepare: Prepare, tmp_path: Path
) -> None:
    training = prepare(*SMALL).training
    of_model(training).state_dict()["mix_block.value.bias"].fill_(NAN)
    kept = Kept(tmp_path, training)
    with pytest.raises(DivergedError, match=r"`mix_block\.value\.bias` is not finite after step 0"):
        kept.run()
    assert kept.state.step == 0


def test_fp16_that_leaves_out_every_step_is_no_training(prepare: Prepare, tmp_path: Path) -> None:
    training = prepare(*SMALL).training
    training.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=SMALLEST_SCALE / 2)
    with pytest.raises(DivergedError, match="overflow fp16 at any scale"):
        Kept(tmp_path, training).run()


def test_what_is_looked_at_is_all_that_a_step_changes(prepare: Prepare, tmp_path: Path) -> None:
    training = prepare(*SMALL).training
    kept = Kept(tmp_path, training)
    kept.run(replace(PLAN, total_steps=1))
    content = load_checkpoint(kept.path)
    saved = dict(leaves(content.model)) | dict(leaves(content.optimizer["state"]))
    looked_at = state_of(training.accelerator, training.model, training.optimizer)
    assert len([each for each in saved.values() if each.is_floating_point()]) == len(
        [each for each in looked_at.values() if each.is_floating_point()]
    )


def leaves(content: object, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor in nested dictionaries."""
    if isinstance(content, Tensor):
        yield name, content
    elif isinstance(content, dict):
        for key, each in cast(dict[object, object], content).items():
            yield from leaves(each, f"{name}/{key}")
