"""The training step does what its page says."""

from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor

from automix_cli.commands.training.run import Prepared
from automix_cli.engine.loop import micro_batches
from automix_cli.engine.runtime import seed_step
from automix_cli.engine.step import train_step
from automix_cli.method import AutoMix, Losses
from automix_cli.method.mixers import host
from automix_cli.settings.mix import ALPHAS
from tests.engine.conftest import Prepare
from tests.needs import needs


def one_step(prepared: Prepared, step: int = 0) -> Losses:
    training = prepared.training
    training.model.train()
    seed_step(0, step, 0)
    return train_step(
        training.accelerator,
        training.model,
        training.optimizer,
        micro_batches(training, 0, step),
        training.values_at(step),
        clip_norm=prepared.plan.clip_norm,
    )


def weights(prepared: Prepared) -> dict[str, Tensor]:
    return {name: each.clone() for name, each in prepared.training.model.state_dict().items()}


def test_the_momentum_classifier_follows_the_updated_classifier(prepare: Prepare) -> None:
    prepared = prepare("train.momentum_coefficient=0.9")
    before = weights(prepared)
    one_step(prepared)
    after = weights(prepared)
    for name in dict(cast(AutoMix, prepared.training.model).classifier.named_parameters()):
        old, new = before[f"momentum_classifier.{name}"], after[f"classifier.{name}"]
        expected = 0.9 * old + 0.1 * new
        torch.testing.assert_close(after[f"momentum_classifier.{name}"], expected)


def test_classifier_and_mix_block_both_learn(prepare: Prepare) -> None:
    prepared = prepare()
    before = weights(prepared)
    one_step(prepared)
    after = weights(prepared)
    for name in (
        "classifier.head_one_hot.weight",
        "classifier.head_mixed.weight",
        "mix_block.query.weight",
    ):
        assert not torch.equal(before[name], after[name])


def test_the_same_step_twice_gives_the_same_bytes(prepare: Prepare) -> None:
    states = []
    for _ in range(2):
        prepared = prepare()
        one_step(prepared)
        states.append(weights(prepared))
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_another_seed_gives_another_start(prepare: Prepare) -> None:
    first, second = weights(prepare()), weights(prepare("run.seed=1"))
    assert not torch.equal(
        first["classifier.head_one_hot.weight"], second["classifier.head_one_hot.weight"]
    )


def test_accumulated_losses_are_the_mean_over_all_images(prepare: Prepare) -> None:
    """Batch norm and pairings differ between the parts, the weighting must not: uneven parts."""
    prepared = prepare("train.batch_size=7", "train.accumulation_steps=2")
    batches = micro_batches(prepared.training, 0, 0)
    assert [len(batch.labels) for batch in batches] == [4, 3]
    assert sum(batch.share for batch in batches) == pytest.approx(1)
    with torch.no_grad():
        parts = [prepared.training.model(b.images, b.labels, b.draws, 0.1) for b in batches]
    expected = (4 * parts[0].one_hot + 3 * parts[1].one_hot) / 7
    again = prepare("train.batch_size=7", "train.accumulation_steps=2")
    torch.testing.assert_close(one_step(again).one_hot, expected)


def test_clipping_bounds_the_change_of_the_weights(prepare: Prepare) -> None:
    """Plain SGD moves by lr * gradient, so a clipped step has length lr * clip_norm."""
    plain = ("optimizer.momentum=0.0", "optimizer.weight_decay=0.0", "optimizer.lr=0.5")
    prepared = prepare(*plain, "optimizer.clip_norm=0.01")
    trained = [each for each in prepared.training.model.parameters() if each.requires_grad]
    before = [each.detach().clone() for each in trained]
    one_step(prepared)
    moved = [(new.detach() - old).square().sum() for new, old in zip(trained, before, strict=True)]
    assert float(torch.stack(moved).sum().sqrt()) == pytest.approx(0.5 * 0.01, rel=1e-3)


@pytest.mark.parametrize("method", ALPHAS)
def test_the_step_never_waits_for_the_device(
    prepare: Prepare, monkeypatch: pytest.MonkeyPatch, method: str, tmp_path: Path
) -> None:
    prepared = prepare(f"mix.method={method}", *needs(method, tmp_path))
    training = prepared.training
    batches, values = micro_batches(training, 0, 0), training.values_at(0)

    def refuse(*_: object) -> None:
        raise AssertionError("the step asked the device for a value")

    monkeypatch.setattr(host, "HOST_DEVICES", frozenset[str]())  # as on an accelerator
    for name in ("item", "tolist", "__bool__", "__float__", "__int__", "numpy"):
        monkeypatch.setattr(Tensor, name, refuse)
    train_step(training.accelerator, training.model, training.optimizer, batches, values)


def test_bf16_trains_with_losses_in_float32(prepare: Prepare) -> None:
    prepared = prepare("train.mixed_precision=bf16")
    losses = one_step(prepared)
    assert all(loss.dtype == torch.float32 for loss in losses)
    assert all(bool(torch.isfinite(loss)) for loss in losses)
    prepared = prepare("train.mixed_precision=no")
    assert abs(float(one_step(prepared).total) - float(losses.total)) < 0.05


def test_a_last_batch_of_one_image_trains(prepare: Prepare) -> None:
    """1,437 images are 359 batches of 4 and one image alone."""
    prepared = prepare("train.batch_size=4")
    assert prepared.plan.steps_per_epoch == 360
    assert len(micro_batches(prepared.training, 0, 359)[0].labels) == 1
    assert bool(torch.isfinite(one_step(prepared, 359).total))


def test_the_mix_block_can_have_a_learning_rate_and_momentum_of_its_own(prepare: Prepare) -> None:
    prepared = prepare("optimizer.mix_block_lr=0.03", "optimizer.mix_block_momentum=0.0")
    one_step(prepared)
    groups = {group["name"]: group for group in prepared.training.optimizer.param_groups}
    assert (groups["mix_block"]["lr"], groups["mix_block"]["momentum"]) == (0.03, 0.0)
    assert (groups["classifier"]["lr"], groups["classifier"]["momentum"]) == (0.1, 0.9)


def test_norms_and_biases_can_be_spared_from_weight_decay(prepare: Prepare) -> None:
    prepared = prepare("optimizer.decay_norm_and_bias=false", "optimizer.name=adamw")
    groups = {group["name"]: group for group in prepared.training.optimizer.param_groups}
    assert groups["classifier/no_decay"]["weight_decay"] == 0
    assert groups["classifier"]["weight_decay"] > 0
    assert all(each.ndim <= 1 for each in groups["classifier/no_decay"]["params"])
    assert all(each.ndim > 1 for each in groups["classifier"]["params"])


@pytest.mark.parametrize("method", ["mixup", "comixup"])
def test_the_momentum_classifier_of_a_rival_follows_with_parameters_and_buffers(
    prepare: Prepare, method: str
) -> None:
    prepared = prepare(f"mix.method={method}", "train.momentum_coefficient=0.9")
    before = weights(prepared)
    one_step(prepared)
    after = weights(prepared)
    names = [name for name in after if name.startswith("momentum_classifier.")]
    assert any("running_mean" in name for name in names)
    for name in names:
        new = after[name.removeprefix("momentum_")]
        if new.is_floating_point():
            torch.testing.assert_close(after[name], 0.9 * before[name] + 0.1 * new)
        else:
            assert torch.equal(after[name], new)


def test_what_a_rival_does_not_train_is_in_no_group_of_the_optimizer(prepare: Prepare) -> None:
    training = prepare("mix.method=mixup").training
    groups = training.optimizer.param_groups
    assert {group["name"] for group in groups} == {"classifier"}
    stepped = {id(each) for group in groups for each in group["params"]}
    learning = {name for name, each in training.model.named_parameters() if id(each) in stepped}
    of_classifier = {
        f"classifier.{name}" for name, _ in training.model.classifier.named_parameters()
    }
    assert of_classifier - learning == {
        "classifier.head_mixed.weight",
        "classifier.head_mixed.bias",
    }


def test_at_a_step_between_two_of_its_interval_the_mix_block_stays_as_it_is(
    prepare: Prepare,
) -> None:
    prepared = prepare("mix.mix_block_interval=2")
    one_step(prepared)
    before = weights(prepared)
    one_step(prepared, step=1)
    after = weights(prepared)
    assert torch.equal(before["mix_block.query.weight"], after["mix_block.query.weight"])
    moved = "classifier.head_mixed.weight"
    assert not torch.equal(before[moved], after[moved])
    one_step(prepared, step=2)
    assert not torch.equal(
        after["mix_block.query.weight"], weights(prepared)["mix_block.query.weight"]
    )
