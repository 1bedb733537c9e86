"""From layers to settings: who sets what, in which order, and what is wrong with it.

Later layers win, key by key:

    defaults < a run's own settings (`base`) < preset < --config files, in order
             < AUTOMIX_* environment < flags and --set

Why this is our own merge and not pydantic-settings: that library skips a missing file and ignores
an unknown environment variable in silence, its strict mode refuses the text that environment
variables are, it does not say which source set a value, and its command line is a second parser
beside Typer. What is left is a merge of dictionaries, and the origin of every value.

Values in the environment and after --set are TOML literals; what is no literal is text, so that
`--set mix.upsampling=bilinear` needs no quotes. `none` unsets an optional setting (`value_of`).

`mix.alpha` and all of `methods.OWN` belong to the method they were set with: a preset, a file, or
environment and command line together, if they change `mix.method`, unset them, or set them anew.
"""

import os
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeAlias, cast

from pydantic import ValidationError

from automix_cli import presets
from automix_cli.errors import SettingsError
from automix_cli.settings.keys import all_keys, all_sections
from automix_cli.settings.methods import OWN
from automix_cli.settings.model import Settings
from automix_cli.settings.problems import (
    Entry,
    Problem,
    broken_rules,
    invalid_values,
    one_line,
    raise_all,
    shown,
    unknown_key,
    unknown_section,
    unknown_variable,
)
from automix_cli.settings.toml import read_toml, value_of

Origins: TypeAlias = Mapping[str, str]
"""Which source set a value, by dotted key, for every key: `default`, `preset cifar100-r18`,
`runs/a/settings.toml`, `environment AUTOMIX_RUN__SEED`, `--set`, `--seed`."""

_PREFIX = "AUTOMIX_"
_LARGEST_WHOLE_NUMBER = 2**63  # TOML promises no more


class Flag(NamedTuple):
    """A command-line flag that stands for a setting, such as `--seed` for `run.seed`."""

    name: str
    key: str
    value: object


@dataclass(frozen=True)
class Overrides:
    """What a person asked for on the command line.

    Args:
        preset: Name of a preset.
        configs: TOML files, later ones win.
        flags: Flags that were given.
        sets: `KEY=VALUE` texts of --set, later ones win.
    """

    preset: str | None = None
    configs: tuple[Path, ...] = ()
    flags: tuple[Flag, ...] = ()
    sets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layer:
    """Settings by section as one source gives them, not yet checked."""

    values: Mapping[str, object]
    origin: str


def load(
    overrides: Overrides,
    *,
    base: Layer | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[Settings, Origins]:
    """Merge the layers, check the result and remember who set what.

    Args:
        overrides: What the command line says.
        base: Settings of an existing run, from its `settings.toml` or checkpoint.
        environment: Variables to read; None reads those of the process.

    Raises:
        SettingsError: with every problem found, if there is any.
    """
    merge = _Merge()
    if base is not None:
        merge.add(base)
    if overrides.preset is not None:
        with merge.one_source():
            merge.add_preset(overrides.preset)
    for path in overrides.configs:
        with merge.one_source():
            merge.add_file(path)
    with merge.one_source():
        merge.add_environment(os.environ if environment is None else environment)
        merge.add_command_line(overrides)
    return merge.result()


def file_layer(path: Path) -> Layer:
    """Read a TOML file of settings.

    A `[preset]` table is left out: it is the provenance in a copied preset.

    Raises:
        SettingsError: the file cannot be read or is no TOML.
    """
    values = read_toml(path)
    if isinstance(values.get(presets.PROVENANCE), dict):
        del values[presets.PROVENANCE]
    return Layer(values, one_line(path))


@dataclass
class _Merge:
    """Collects the layers and everything that is wrong with them."""

    entries: dict[str, Entry] = field(default_factory=dict[str, Entry])
    problems: list[Problem] = field(default_factory=list[Problem])
    incomplete: bool = False

    def add(self, layer: Layer) -> None:
        for section, table in layer.values.items():
            if section not in all_sections():
                self.problems.append(unknown_section(section, table, layer.origin))
            elif not isinstance(table, dict):
                text = f"`{section}` must be a table, got `{shown(table)}` (from {layer.origin})"
                self.problems.append(Problem(text, f"write `[{section}]` on a line of its own"))
            else:
                for name, value in cast(dict[str, object], table).items():
                    self._set(f"{section}.{name}", Entry(value, layer.origin))

    def add_preset(self, name: str) -> None:
        try:
            preset = presets.read(name)
        except SettingsError as error:
            self._missing(error)
        else:
            origin = f"preset {name}"
            self.add(Layer(preset.values, origin))
            self.entries["run.preset"] = Entry(name, origin)

    def add_file(self, path: Path) -> None:
        try:
            self.add(file_layer(path))
        except SettingsError as error:
            self._missing(error)

    @contextmanager
    def one_source(self) -> Generator[None]:
        """Forget what is the old method's own where what is added here changes the method."""
        before = dict(self.entries)
        yield
        if _method(self.entries) != _method(before):
            for key in [f"mix.{name}" for name in OWN]:
                if self.entries.get(key) is before.get(key):
                    self.entries.pop(key, None)

    def add_environment(self, environment: Mapping[str, str]) -> None:
        variables = {_variable(key): key for key in all_keys()}
        for name, text in environment.items():
            if not name.startswith(_PREFIX):
                continue
            if name in variables:
                self._set_text(variables[name], text, f"environment {name}")
            else:
                self.problems.append(unknown_variable(name, variables))

    def add_command_line(self, overrides: Overrides) -> None:
        flags = {flag.key: flag for flag in overrides.flags}
        for text in overrides.sets:
            key, equals, value = text.partition("=")
            key = key.strip()
            if not equals:
                message = f"`--set {shown(text)}` must be KEY=VALUE"
                self.problems.append(Problem(message, "for example `--set optimizer.lr=0.05`"))
            elif key in flags:
                self.problems.append(Problem(f"both {flags[key].name} and --set give `{key}`"))
            else:
                self._set_text(key, value.strip(), "--set")
        for flag in overrides.flags:
            self._set(flag.key, Entry(flag.value, flag.name))

    def result(self) -> tuple[Settings, Origins]:
        settings = self._validated()
        raise_all(self.problems)
        unset = Entry(None, "default")
        origins = {key: self.entries.get(key, unset).origin for key in all_keys()}
        return cast(Settings, settings), origins

    def _validated(self) -> Settings | None:
        nested: dict[str, dict[str, object]] = {}
        for key, entry in self.entries.items():
            section, _, name = key.partition(".")
            nested.setdefault(section, {})[name] = entry.value
        try:
            return Settings.model_validate(nested)
        except ValidationError as error:
            self.problems += invalid_values(error, self.entries)
            if not self.incomplete:  # else the missing layer may be what the rule lacks
                self.problems += broken_rules(error, self.entries)
            return None

    def _set(self, key: str, entry: Entry) -> None:
        if key not in all_keys():
            self.problems.append(unknown_key(key, entry.origin))
        elif isinstance(entry.value, int) and abs(entry.value) >= _LARGEST_WHOLE_NUMBER:
            self.problems.append(Problem(f"`{key}` must fit in 64 bits (from {entry.origin})"))
        elif not _is_unicode(entry.value):
            text = f"`{key}` must be UTF-8, got `{shown(entry.value)}` (from {entry.origin})"
            self.problems.append(Problem(text, "the saved settings could not hold it"))
        else:
            self.entries[key] = entry

    def _set_text(self, key: str, text: str, origin: str) -> None:
        if key == "run.preset":
            message = f"`run.preset` is not set by hand (from {origin})"
            self.problems.append(Problem(message, f"use `--preset {shown(text)}`"))
        else:
            known = all_keys().get(key)
            self._set(key, Entry(value_of(text, known) if known else text, origin))

    def _missing(self, error: SettingsError) -> None:
        self.problems.append(Problem(error.message, error.hint))
        self.incomplete = True


def _method(entries: Mapping[str, Entry]) -> object:
    return entries.get("mix.method", Entry(all_keys()["mix.method"].default, "default")).value


def _is_unicode(value: object) -> bool:
    """Whether a value can be written to a file; the bytes of an argument may be anything."""
    return not isinstance(value, str | Path) or not re.search("[\ud800-\udfff]", str(value))


def _variable(key: str) -> str:
    """The environment variable that sets a key."""
    return _PREFIX + key.replace(".", "__").upper()
