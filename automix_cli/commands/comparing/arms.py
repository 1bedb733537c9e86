"""The rows and seeds of a comparison, as the command line names them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from automix_cli.commands.requests.compare import CompareRequest
from automix_cli.errors import SettingsError
from automix_cli.settings.problems import shown

METHODS = "vanilla,mixup,cutmix,automix"
ONLY_VARIANTS = "none"
SEEDS = "0,1,2"
LONGEST_NAME = 60

SEED_PLACE = "{seed}"
"""Where a variant's settings have the seed of the run."""


@dataclass(frozen=True)
class Arm:
    """One row of the comparison before its seeds are known.

    Args:
        name: A method, or what a person calls a variant.
        flag: What the command line named it with.
        method: The method, or None for that of the preset or of `sets`.
        sets: `KEY=VALUE` texts on top of what all arms share.
    """

    name: str
    flag: str
    method: str | None
    sets: tuple[str, ...] = ()

    @property
    def slug(self) -> str:
        """The name as part of a folder's name."""
        return re.sub(r"[^a-z0-9_.]+", "-", self.name.lower()).strip("-.")

    def with_seed(self, seed: int) -> Arm:
        """This row with a seed in its settings, where they have a place for it."""
        return replace(self, sets=tuple(each.replace(SEED_PLACE, str(seed)) for each in self.sets))


def chosen_arms(request: CompareRequest) -> list[Arm]:
    """The methods and the variants, in the order given.

    Raises:
        SettingsError: a list is empty, or two names are the same or would share a folder.
    """
    usual = "automix" if request.variants else METHODS
    methods: Sequence[str] = []
    if request.methods != ONLY_VARIANTS or not request.variants:
        methods = _listed("--methods", usual if request.methods is None else request.methods)
    arms = [Arm(name, "--methods", name) for name in methods]
    arms += [variant_arm(text, "--variant") for text in request.variants]
    taken: dict[str, str] = {}
    for arm in arms:
        if arm.slug in taken:
            raise SettingsError(
                f"`{shown(arm.name)}` (from {arm.flag}) and `{shown(taken[arm.slug])}` would share "
                f"the folder `{arm.slug}-seed...`",
                hint="give each method and variant once, and variants names that differ",
            )
        taken[arm.slug] = arm.name
    return arms


def chosen_seeds(request: CompareRequest) -> list[int]:
    """The seeds, in the order given.

    Raises:
        SettingsError: one is no whole number, or there twice, or there is none.
    """
    texts = _listed("--seeds", SEEDS if request.seeds is None else request.seeds)
    wrong = [text for text in texts if not re.fullmatch(r"[0-9]{1,10}", text)]
    if wrong:
        raise SettingsError(
            f"`--seeds` must be whole numbers separated by commas, got `{shown(wrong[0])}`",
            hint=f"for example `--seeds {SEEDS}`",
        )
    seeds = [int(text) for text in texts]
    twice = [seed for seed in seeds if seeds.count(seed) > 1]
    if twice:
        raise SettingsError(
            f"`--seeds` names {twice[0]} twice", hint="a run repeated says nothing new"
        )
    return seeds


def variant_arm(text: str, flag: str) -> Arm:
    """A row with settings of its own, as a person writes it.

    Raises:
        SettingsError: it is not `NAME: KEY=VALUE, ...`.
    """
    name, colon, changes = (part.strip() for part in text.partition(":"))
    sets = tuple(part.strip() for part in changes.split(",") if part.strip())
    if not colon or not sets or not all("=" in each for each in sets):
        raise SettingsError(
            f"`{flag} {shown(text)}` must be NAME: KEY=VALUE, ...",
            hint=f'for example `{flag} "no area loss: mix.mask_area_weight=0"`',
        )
    if not re.match(r"[A-Za-z0-9]", name) or not name.isprintable() or len(name) > LONGEST_NAME:
        raise SettingsError(
            f"a variant's name must begin with a letter or digit and have at most {LONGEST_NAME} "
            f"characters, got `{shown(name)}`"
        )
    return Arm(name, flag, None, sets)


def _listed(flag: str, text: str) -> Sequence[str]:
    """The parts of a list separated by commas, each there once."""
    parts = [part.strip() for part in text.split(",")]
    if not parts or not all(parts):
        raise SettingsError(
            f"`{flag}` must name something between its commas, got `{shown(text)}`",
            hint=f"for example `{flag} {METHODS if flag == '--methods' else SEEDS}`",
        )
    return parts
