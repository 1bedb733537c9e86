"""Accuracy under attack, and whether the attacks can be believed."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from automix_cli.commands.attacking.plan import Plan, Row
from automix_cli.commands.attacking.subject import PixelBatch, Subject
from automix_cli.errors import VerificationError
from automix_cli.evaluation.accuracy import wilson_interval
from automix_cli.evaluation.attacks import (
    Attack,
    Norm,
    loss_gradient,
    random_start,
    random_targets,
)
from automix_cli.evaluation.autoattack import withstands_autoattack
from automix_cli.evaluation.robust_accuracy import (
    Chance,
    RobustAccuracy,
    attack_batch,
    outcome_totals,
    robust_accuracy,
)
from automix_cli.evaluation.totals import NotFiniteError
from automix_cli.randomness import Purpose

START, TARGET, NOISE = 0, 1, 2
"""What a random number of an image is for; restarts are counted in threes above them."""

IMAGES_FOR_MASKING = 200
"""Images on which the attacks themselves are checked."""

MORE_STEPS = 4
"""How many times as many steps the longer attack of the checks takes."""


def attack_record(subject: Subject, row: Row, num_classes: int) -> dict[str, Any]:
    """One row of the report: accuracy under one attack at one epsilon.

    Raises:
        VerificationError: an attack broke its own rules, or could not attack the network.
    """
    attack = row.attack
    record = {
        "attack": row.name,
        "norm": attack.norm,
        "epsilon": attack.epsilon,
        "epsilon_typed": row.epsilon,
    }
    try:
        if row.name == "autoattack":
            return {**record, **autoattack_numbers(subject, attack)}
        measured = under_attack(subject, attack, num_classes, every_image=row.name == "fgsm")
    except NotFiniteError:
        raise
    except ValueError as problem:
        raise VerificationError(f"the attack {row.name} failed: {problem}") from problem
    return {
        **record,
        "steps": attack.steps,
        "step_size": attack.size_of_step,
        "restarts": attack.restarts,
        "momentum": attack.momentum,
        "targeted": attack.targeted,
        **numbers(measured.robust, measured.num_images),
        # what papers call the FGSM error, of all images whether they were recognised before or not
        "error_of_all": 1 - measured.attacked if row.name == "fgsm" else None,
        "target_reached": measured.reached if attack.targeted else None,
    }


def numbers(accuracy: float, num_images: int) -> dict[str, Any]:
    """A share with what it was measured on."""
    return {
        "accuracy": accuracy,
        "interval": list(wilson_interval(accuracy, num_images)),
        "num_images": num_images,
    }


def under_attack(
    subject: Subject, attack: Attack, num_classes: int, *, every_image: bool
) -> RobustAccuracy:
    """Attack all images of a subject."""
    totals = torch.zeros(6, dtype=torch.float64)
    for batch in subject.batches():
        chance = chance_for(subject, batch, attack, num_classes)
        outcome = attack_batch(
            subject.pixels, batch.images, batch.labels, attack, chance, every_image=every_image
        )
        totals += outcome_totals(outcome)
    return robust_accuracy(subject.add(totals))


def chance_for(subject: Subject, batch: PixelBatch, attack: Attack, num_classes: int) -> Chance:
    """The random starts and targets of a batch: functions of seed, image and restart."""
    channels, height, width = batch.images.shape[1:]

    def start(restart: int) -> Tensor:
        rngs = subject.rngs(Purpose.ATTACK, 3 * restart + START, batch.numbers)
        return random_start(rngs, (channels, height, width), attack.norm)

    def target(restart: int) -> Tensor:
        rngs = subject.rngs(Purpose.ATTACK, 3 * restart + TARGET, batch.numbers)
        return random_targets(rngs, batch.labels, num_classes)

    return Chance(start if attack.starts_at_random else None, target if attack.targeted else None)


def autoattack_numbers(subject: Subject, attack: Attack) -> dict[str, Any]:
    """Accuracy under AutoAttack, which divides images into batches itself."""
    images, labels = (
        torch.cat(parts)
        for parts in zip(*((each.images, each.labels) for each in subject.batches()), strict=True)
    )
    robust = withstands_autoattack(
        subject.pixels,
        images,
        labels,
        attack,
        seed=subject.seed,
        batch_size=subject.batch_size,
    )
    counts = torch.tensor([len(robust), robust.sum()], dtype=torch.float64)
    num_images, withstood = subject.add(counts).tolist()
    return numbers(withstood / num_images, int(num_images))


def masking_records(subject: Subject, plan: Plan, num_classes: int) -> list[dict[str, Any]]:
    """Signs that gradients are masked, so that the attacks only seem to fail.

    Each record holds what was measured, the limit it must not pass, and whether it does not.

    Raises:
        VerificationError: an attack broke its own rules, or could not attack the network.
    """
    few = subject.few(IMAGES_FOR_MASKING)
    smallest = min(row.attack.epsilon for row in plan.rows)
    try:
        return _checks(few, plan.norm, smallest, plan.steps, num_classes)
    except NotFiniteError:
        raise
    except ValueError as problem:
        raise VerificationError(f"the attacks cannot be checked: {problem}") from problem


def _checks(
    few: Subject, norm: Norm, epsilon: float, steps: int, num_classes: int
) -> list[dict[str, Any]]:
    def pgd(times: int) -> RobustAccuracy:
        attack = Attack(
            epsilon=epsilon,
            norm=norm,
            steps=times * steps,
            step_size=epsilon / 4,
            starts_at_random=True,
        )
        return under_attack(few, attack, num_classes, every_image=False)

    single = Attack(epsilon=epsilon, norm=norm)
    one_step = under_attack(few, single, num_classes, every_image=False).robust
    several, more, noise = pgd(1).robust, pgd(MORE_STEPS).robust, under_noise(few, single)
    largest = at_large_epsilon(few, norm, num_classes)
    chance = 1 / num_classes
    common = {"num_images": largest.num_images, "norm": norm, "epsilon": epsilon}
    rows = (
        ("random noise is no stronger than one step", one_step, noise),
        ("random noise is no stronger than PGD", several, noise),
        ("PGD is at least as strong as one step", several, one_step),
        (f"{MORE_STEPS} times the steps are at least as strong", more, several),
        ("half of the pixel range leaves no more than chance", largest.robust, chance),
        ("its loss reaches that of chance", math.log(num_classes), largest.loss),
        ("no image has a gradient of zero", zero_gradients(few), 0.0),
    )
    return [
        {"check": name, "passed": value <= limit, "value": value, "at_most": limit, **common}
        for name, value, limit in rows
    ]


@torch.no_grad()
def under_noise(subject: Subject, attack: Attack) -> float:
    """Accuracy with random noise of the size of an attack in its place."""
    counts = torch.zeros(2, dtype=torch.float64)
    for batch in subject.batches():
        rngs = subject.rngs(Purpose.ATTACK, NOISE, batch.numbers)
        channels, height, width = batch.images.shape[1:]
        noise = random_start(rngs, (channels, height, width), attack.norm).to(batch.images)
        if attack.norm == "linf":
            noise = noise.sign()  # the corners of the ball, the strongest there is
        else:
            noise = noise / noise.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        noisy = (batch.images + attack.epsilon * noise).clamp(0, 1)
        right = [
            subject.pixels(each).argmax(dim=1) == batch.labels for each in (batch.images, noisy)
        ]
        counts += torch.tensor([len(noisy), int((right[0] & right[1]).sum())])
    num_images, robust = subject.add(counts).tolist()
    return robust / num_images


def at_large_epsilon(subject: Subject, norm: Norm, num_classes: int) -> RobustAccuracy:
    """What PGD leaves when images may be changed by half of the pixel range."""
    channels, size = subject.form
    epsilon = 0.5 if norm == "linf" else 0.5 * math.sqrt(channels * size**2)
    attack = Attack(
        epsilon=epsilon, norm=norm, steps=20, step_size=epsilon / 4, starts_at_random=True
    )
    return under_attack(subject, attack, num_classes, every_image=True)


def zero_gradients(subject: Subject) -> float:
    """Share of images whose loss has no gradient at all."""
    counts = torch.zeros(2, dtype=torch.float64)
    for batch in subject.batches():
        gradient = loss_gradient(subject.pixels, batch.images, batch.labels)
        none = (gradient == 0).flatten(1).all(dim=1)
        counts += torch.tensor([len(none), int(none.sum())])
    num_images, zero = subject.add(counts).tolist()
    return zero / num_images
