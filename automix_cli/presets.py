"""Presets: named TOML files of settings, each with its source and the result to expect.

They lie in `presets/` at the top of the repository, flat and without inheritance: one reads one
file. A preset of a published row also writes out the defaults that row rests on, so that a new
default can never change what the row means. The wheel carries a copy as `automix_cli/_presets`
(not `presets`, which is this module).

Touch points, to add a preset: one file `presets/<dataset>-<model>[-<variant>].toml` with a
`[preset]` table of provenance; the tests find it.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from automix_cli.errors import SettingsError

DEFAULT = "digits-tiny"
"""What `automix train` starts from when neither a preset nor a file is named."""

DETECTION = "coco-r50-fpn"
"""What `automix detect` starts from."""

PROVENANCE = "preset"
"""The table of a preset file that is not part of the settings."""


@dataclass(frozen=True)
class Preset:
    """One preset file.

    Args:
        name: File name without its ending.
        summary: What it trains, in a line.
        source: Where its settings come from.
        expects: The result to expect, and by which protocol.
        values: The settings it sets, by section.
        text: The file, comments included.
    """

    name: str
    summary: str
    source: str
    expects: str
    values: Mapping[str, object]
    text: str


def root() -> Traversable:
    """Packaged presets, or `presets/` beside the package in a checkout or editable install."""
    packaged = files("automix_cli") / "_presets"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[1] / "presets"


def names() -> list[str]:
    """All presets, sorted."""
    found = (entry.name for entry in root().iterdir())
    return sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml"))


def read(name: str) -> Preset:
    """Find and read a preset.

    Raises:
        SettingsError: there is no preset of that name.
    """
    known = names()
    if name not in known:
        raise SettingsError(f"unknown preset `{name}`", hint=_advice(name, known))
    text = (root() / f"{name}.toml").read_text(encoding="utf-8")
    values: dict[str, Any] = tomllib.loads(text)
    provenance: dict[str, str] = values.pop(PROVENANCE)
    return Preset(name=name, values=values, text=text, **provenance)


def _advice(name: str, known: list[str]) -> str:
    if name.endswith(".toml"):
        return f"a file of your own is given by `--config {name}`"
    near = get_close_matches(name, known, n=1)
    guess = f"did you mean `{near[0]}`? " if near else ""
    return f"{guess}`automix presets list` shows all of them"
