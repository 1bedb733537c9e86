"""Attacks: equal to torchattacks, inside their bounds, the same for every batch size."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from automix_cli.evaluation.attacks import (
    Attack,
    check_bounds,
    loss_gradient,
    perturb,
    random_start,
    random_targets,
    sizes,
)
from automix_cli.evaluation.pixel_classifier import PixelClassifier
from automix_cli.evaluation.robust_accuracy import (
    Chance,
    attack_batch,
    outcome_totals,
    robust_accuracy,
)

EIGHT = 8 / 255


class SmallNetwork(nn.Module):
    """The one whose attacks torchattacks recorded: smooth, float64, of normalised images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.linear = nn.Linear(96, 5)

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(F.avg_pool2d(F.gelu(self.conv(images)), 2).flatten(1))


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    path = Path(__file__).parents[1] / "golden" / "attacks.npz"
    with np.load(path, allow_pickle=False) as file:
        assert "torchattacks 3.5.1" in file["versions"]
        return {name: torch.from_numpy(file[name]) for name in file.files if name != "versions"}


@pytest.fixture(scope="module")
def model(golden: dict[str, Tensor]) -> PixelClassifier:
    network = SmallNetwork().double()
    network.load_state_dict({name: golden[name] for name in network.state_dict()})
    mean, std = (tuple(golden[name].tolist()) for name in ("mean", "std"))
    return PixelClassifier(network, mean, std).double()


PGD = {"starts_at_random": True, "step_size": 2 / 255, "steps": 7}
RECORDED = {
    "fgsm": Attack(epsilon=EIGHT),
    "fgsm_targeted": Attack(epsilon=EIGHT, targeted=True),
    "pgd_linf": Attack(epsilon=EIGHT, **PGD),
    "pgd_linf_still": Attack(epsilon=4 / 255, step_size=1 / 255, steps=5),
    "pgd_linf_targeted": Attack(epsilon=EIGHT, targeted=True, **PGD),
    "pgd_l2": Attack(epsilon=0.5, norm="l2", step_size=0.1, steps=9, starts_at_random=True),
    "mifgsm": Attack(epsilon=EIGHT, step_size=2 / 255, steps=6, momentum=1.0),
}


@pytest.mark.parametrize("name", RECORDED)
def test_it_equals_what_torchattacks_did(golden, model, name: str) -> None:
    """torchattacks 3.5.1 in float64, on a model that normalises; its random starts were recorded.

    Its own `set_normalization_used` gave the same FGSM images to 1e-16.
    """
    attack = RECORDED[name]
    goals = golden["targets" if attack.targeted else "labels"]
    attacked = perturb(model, golden["images"], goals, attack, golden.get(f"{name}_start"))
    torch.testing.assert_close(attacked, golden[name], rtol=0, atol=1e-8)
    assert (attacked - golden["images"]).abs().max() > 0.5 * min(attack.epsilon, 4 / 255)


def test_epsilon_is_in_units_of_pixels_whatever_the_normalisation(golden, model) -> None:
    """OpenMixup's PGD steps in units of the channel's deviation; papers mean pixels."""
    attacked = perturb(model, golden["images"], golden["labels"], RECORDED["fgsm"])
    change = (attacked - golden["images"]).abs()
    unclipped = (attacked > 0) & (attacked < 1)
    assert torch.allclose(change[unclipped], torch.tensor(EIGHT, dtype=torch.float64), atol=1e-12)
    assert unclipped.double().mean() > 0.8


@pytest.mark.parametrize("name", RECORDED)
def test_every_attack_raises_the_loss_and_a_targeted_one_lowers_that_of_its_target(
    golden, model, name: str
) -> None:
    attack = RECORDED[name]
    goals = golden["targets" if attack.targeted else "labels"]
    attacked = perturb(model, golden["images"], goals, attack, golden.get(f"{name}_start"))
    before, after = (F.cross_entropy(model(each), goals) for each in (golden["images"], attacked))
    assert after < before if attack.targeted else after > before


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_images_stay_in_the_ball_and_in_range_with_steps_far_too_large(golden, model, norm) -> None:
    attack = Attack(epsilon=0.1, norm=norm, steps=4, step_size=5.0, starts_at_random=True)
    start = random_start([np.random.default_rng(i) for i in range(6)], (3, 8, 8), norm)
    attacked = perturb(model, golden["images"], golden["labels"], attack, start.double())
    change = attacked - golden["images"]
    largest = change.abs().max() if norm == "linf" else sizes(change).max()
    assert 0.09 < largest <= 0.1 + 1e-12
    assert attacked.min() >= 0
    assert attacked.max() <= 1


@pytest.mark.parametrize(
    ("attacked", "reason"),
    [
        (torch.full((1, 1, 2, 2), 0.7), "norm 0.19"),
        (torch.full((1, 1, 2, 2), float("nan")), "norm nan"),
    ],
    ids=["beyond epsilon", "not a number"],
)
def test_an_image_that_left_the_ball_is_caught(attacked: Tensor, reason: str) -> None:
    images = torch.full((1, 1, 2, 2), 0.5)
    with pytest.raises(ValueError, match=reason):
        check_bounds(attacked, images, Attack(epsilon=0.1))


def test_an_image_that_left_the_range_of_pixels_is_caught() -> None:
    images = torch.full((1, 1, 2, 2), 1.0)
    with pytest.raises(ValueError, match=r"stay in \[0, 1\]"):
        check_bounds(images + 0.05, images, Attack(epsilon=0.1))


def test_starts_lie_in_the_ball_and_belong_to_their_image(golden) -> None:
    def rngs(numbers: range) -> list[np.random.Generator]:
        return [np.random.default_rng((3, number)) for number in numbers]

    for norm in ("linf", "l2"):
        starts = random_start(rngs(range(40)), (3, 8, 8), norm)
        assert torch.equal(starts[7:9], random_start(rngs(range(7, 9)), (3, 8, 8), norm))
        largest = (
            starts.abs().flatten(1).amax(1) if norm == "linf" else starts.flatten(1).norm(dim=1)
        )
        assert largest.max() <= 1
        assert starts.abs().mean() > 0.01
    radii = random_start(rngs(range(400)), (1, 2, 2), "l2").flatten(1).norm(dim=1)
    assert radii.mean() == pytest.approx(0.5, abs=0.05)


def test_targets_are_other_classes_all_of_them() -> None:
    labels = torch.arange(300) % 3
    targets = random_targets([np.random.default_rng(i) for i in range(300)], labels, 3)
    assert not (targets == labels).any()
    assert {tuple(pair) for pair in torch.stack([labels, targets], 1).tolist()} == {
        (a, b) for a in range(3) for b in range(3) if a != b
    }
    with pytest.raises(ValueError, match="at least 2 classes"):
        random_targets([np.random.default_rng(0)], labels[:1], 1)


def test_gradients_of_parameters_and_statistics_are_left_alone(golden, model) -> None:
    before = {name: each.clone() for name, each in model.state_dict().items()}
    perturb(model, golden["images"], golden["labels"], RECORDED["pgd_linf_still"])
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
    assert all(each.grad is None for each in model.parameters())


def test_a_network_under_attack_stays_in_evaluation_mode() -> None:
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(4, 2))
    pixels = PixelClassifier(network, (0.5,), (0.2,))
    assert not any(module.training for module in network.modules())
    with pytest.raises(ValueError, match="evaluation mode"):
        pixels.train()


def test_a_model_without_gradients_is_refused() -> None:
    class Detached(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.detach().flatten(1)

    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logits = nn.Parameter(torch.zeros(4))

        def forward(self, images: Tensor) -> Tensor:
            return self.logits.expand(len(images), 4)

    images, labels = torch.rand(2, 1, 2, 2), torch.tensor([0, 1])
    with pytest.raises(ValueError, match="gives no gradient"):
        perturb(Detached(), images, labels, Attack(epsilon=EIGHT))
    with pytest.raises(ValueError, match="do not depend on its images"):
        loss_gradient(Constant(), images, labels)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"epsilon": 8.0}, r"epsilon must be in \(0, 1\].*got 8"),
        ({"epsilon": 0.0}, "epsilon must be in"),
        ({"epsilon": float("nan")}, "epsilon must be in"),
        ({"epsilon": -0.5, "norm": "l2"}, "greater than 0"),
        ({"epsilon": float("inf"), "norm": "l2"}, "finite"),
        ({"epsilon": 0.1, "steps": 0}, "at least 1"),
        ({"epsilon": 0.1, "restarts": 0}, "at least 1"),
        ({"epsilon": 0.1, "step_size": 0.0}, "step_size"),
        ({"epsilon": 0.1, "momentum": -1.0}, "momentum"),
    ],
    ids=str,
)
def test_an_attack_without_meaning_is_refused(options: dict, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Attack(**options)


class TestRobustAccuracy:
    """Counting who withstands."""

    def outcome(self, golden, model, attack: Attack, *, every_image: bool, rows=slice(None)):
        def start(restart: int) -> Tensor:
            numbers = range(6)[rows]
            rngs = [np.random.default_rng((restart, number)) for number in numbers]
            return random_start(rngs, (3, 8, 8), attack.norm)

        chance = Chance(
            start if attack.starts_at_random else None,
            (lambda restart: golden["targets"][rows]) if attack.targeted else None,
        )
        images, labels = golden["images"][rows], golden["labels"][rows]
        return attack_batch(model, images, labels, attack, chance, every_image=every_image)

    def test_it_counts_what_a_loop_over_images_counts(self, golden, model) -> None:
        outcome = self.outcome(golden, model, RECORDED["fgsm"], every_image=True)
        recorded = model(golden["fgsm"]).argmax(1) == golden["labels"]
        clean = model(golden["images"]).argmax(1) == golden["labels"]
        assert outcome.clean.tolist() == clean.tolist() == [True] * 5 + [False]
        assert outcome.attacked.tolist() == recorded.tolist()
        assert outcome.robust.tolist() == (recorded & clean).tolist()

    def test_more_restarts_never_leave_more_images_standing(self, golden, model) -> None:
        options = {"epsilon": 3 / 255, "steps": 2, "starts_at_random": True}
        alive = [
            self.outcome(golden, model, Attack(restarts=n, **options), every_image=False).robust
            for n in (1, 4)
        ]
        assert not (alive[1] & ~alive[0]).any()

    def test_it_does_not_depend_on_the_batch_size(self, golden, model) -> None:
        attack = Attack(epsilon=EIGHT, restarts=2, **PGD)
        whole = self.outcome(golden, model, attack, every_image=False)
        parts = [
            self.outcome(golden, model, attack, every_image=False, rows=slice(i, i + 2))
            for i in (0, 2, 4)
        ]
        total = sum(outcome_totals(part) for part in parts)
        torch.testing.assert_close(total, outcome_totals(whole), rtol=1e-9, atol=1e-12)

    def test_a_targeted_attack_counts_who_looks_like_the_target(self, golden, model) -> None:
        attack = Attack(epsilon=0.2, steps=20, targeted=True)
        counted = robust_accuracy(
            outcome_totals(self.outcome(golden, model, attack, every_image=False))
        )
        assert counted.reached == pytest.approx(5 / 6)  # the sixth is wrong without an attack
        assert counted.robust == 0

    def test_no_image_is_refused(self) -> None:
        with pytest.raises(ValueError, match="no image"):
            robust_accuracy(torch.zeros(6, dtype=torch.float64))
