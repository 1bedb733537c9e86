"""What `automix robustness` will do: a request, checked, before anything is loaded or attacked."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import cast, get_args

from automix_cli.commands.requests.robustness import AttackRequest, RobustnessRequest
from automix_cli.errors import SettingsError
from automix_cli.evaluation import autoattack
from automix_cli.evaluation.attacks import Attack, Norm

ATTACKS = ("fgsm", "pgd", "mifgsm", "autoattack")
DEFAULT_ATTACKS = ("fgsm", "pgd")
PARTS = ("attacks", "masking", "unknown", "occlusion")
DEFAULT_EPSILONS = {"linf": ("2/255", "4/255", "8/255"), "l2": ("0.25", "0.5", "1")}


@dataclass(frozen=True)
class Row:
    """One attack at one epsilon."""

    name: str
    epsilon: str  # as typed
    attack: Attack


@dataclass(frozen=True)
class Plan:
    """What to measure. Images and networks are no part of it."""

    rows: tuple[Row, ...]
    parts: tuple[str, ...]
    norm: Norm
    steps: int


def plan_from(request: RobustnessRequest) -> Plan:
    """Check a request and spell it out.

    Raises:
        SettingsError: a name is unknown, a number has no meaning, or a package is missing.
    """
    asked = request.attack
    for wanted, known, flag in (
        (asked.names, ATTACKS, "--attack"),
        (request.parts, PARTS, "--only"),
        ((asked.norm,), get_args(Norm), "--norm"),
    ):
        for name in wanted:
            refuse_unknown(name, tuple(known), flag)
    if "autoattack" in asked.names and not autoattack.is_installed():
        raise SettingsError(
            "`--attack autoattack` needs the package `pyautoattack`, which is not installed",
            hint="`pip install pyautoattack`, or install this program with its extra `attack`",
        )
    norm = cast(Norm, asked.norm)
    epsilons = sorted(
        set(asked.epsilons or DEFAULT_EPSILONS[norm]),
        key=lambda text: size_from(text, "--epsilon"),
    )
    rows = tuple(
        Row(name, epsilon, build_attack(name, epsilon, norm, asked))
        for name in dict.fromkeys(asked.names or DEFAULT_ATTACKS)
        for epsilon in epsilons
    )
    return Plan(rows, request.parts or PARTS, norm, asked.steps)


def refuse_unknown(name: str, known: tuple[str, ...], flag: str) -> None:
    """Accept a name that exists.

    Raises:
        SettingsError: it does not.
    """
    if name in known:
        return
    close = difflib.get_close_matches(name, known, n=1)
    raise SettingsError(
        f"`{flag}` must be one of {', '.join(known)}, got `{name}`",
        hint=f"did you mean `{close[0]}`?" if close else None,
    )


def size_from(text: str, flag: str) -> float:
    """Read a size in units of the pixel range: `8/255` or a number.

    Raises:
        SettingsError: it is neither.
    """
    above, _, below = text.partition("/")
    try:
        return float(above) / float(below) if below else float(above)
    except (ValueError, ZeroDivisionError):
        raise SettingsError(
            f"`{flag}` must be a number or a fraction such as `8/255`, got `{text}`"
        ) from None


def build_attack(name: str, epsilon: str, norm: Norm, asked: AttackRequest) -> Attack:
    """One attack of the plan.

    Raises:
        SettingsError: a number has no meaning.
    """
    size = size_from(epsilon, "--epsilon")
    step = None if asked.step_size is None else size_from(asked.step_size, "--step-size")
    try:
        if name in ("fgsm", "autoattack"):
            return Attack(epsilon=size, norm=norm, targeted=asked.targeted and name == "fgsm")
        is_pgd = name == "pgd"
        return Attack(
            epsilon=size,
            norm=norm,
            steps=asked.steps,
            step_size=step,
            momentum=None if is_pgd else asked.momentum,
            starts_at_random=is_pgd,
            restarts=asked.restarts if is_pgd else 1,
            targeted=asked.targeted,
        )
    except ValueError as problem:
        raise SettingsError(
            f"cannot attack with {name} at `--epsilon {epsilon}`: {problem}",
            hint="epsilon is in units of the pixel range: eight of 255 levels are `8/255`",
        ) from problem
