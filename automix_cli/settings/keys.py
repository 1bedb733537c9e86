"""Every setting as plain data: for help, for errors, and for reading values given as text.

Made from the JSON schema of the settings model, so nothing is said twice.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from inspect import cleandoc
from typing import Any, cast

from automix_cli.settings.model import Settings
from automix_cli.settings.rules import Section

_KINDS = {
    "number": "number",
    "integer": "whole number",
    "boolean": "true or false",
    "string": "text",
}
_LIMITS = {
    "exclusiveMinimum": "greater than {}",
    "minimum": "at least {}",
    "exclusiveMaximum": "less than {}",
    "maximum": "at most {}",
}


@dataclass(frozen=True)
class Key:
    """One setting.

    Args:
        name: Dotted key, such as `mix.alpha`.
        kind: What the value is: a number, a whole number, true or false, text, or a path.
        choices: The values allowed; empty when any value of the kind is.
        limits: The range in words, such as "at least 0 and less than 1"; empty without one.
        default: Value when nothing sets it; None means unset.
        optional: Whether the setting may be unset.
        help: What it does, one paragraph.
    """

    name: str
    kind: str
    choices: tuple[str, ...]
    limits: str
    default: object
    optional: bool
    help: str

    @property
    def is_text(self) -> bool:
        """Whether a value on the command line stands for itself, without quotes."""
        return self.kind in ("text", "path")

    @property
    def wanted(self) -> str:
        """What a value must be, to follow "must be"."""
        if self.choices:
            return "one of " + ", ".join(f"`{choice}`" for choice in self.choices)
        kind = {"true or false": "`true` or `false`", "text": "text"}.get(self.kind)
        limits = f" of {self.limits}" if self.limits.startswith("at ") else f" {self.limits}"
        return (kind or f"a {self.kind}") + limits.rstrip()

    @property
    def summary(self) -> str:
        """First sentence of the help text."""
        return self.help.split(". ")[0].rstrip(".")


@cache
def all_keys() -> Mapping[str, Key]:
    """Every setting by its dotted key, in the order of the model."""
    keys: dict[str, Key] = {}
    for section, model in _sections():
        properties: dict[str, dict[str, Any]] = model.model_json_schema()["properties"]
        keys |= {
            f"{section}.{name}": _key(f"{section}.{name}", properties[name]) for name in properties
        }
    return keys


@cache
def all_sections() -> Mapping[str, str]:
    """Every section and what it is about."""
    return {name: cleandoc(model.__doc__ or "") for name, model in _sections()}


def nearest_key(name: str) -> str | None:
    """The existing key somebody most likely meant by `name`, or None.

    A key that is right but in the wrong section, or in none, counts before a similar spelling.
    """
    last = name.rpartition(".")[2]
    same_last = [key for key in all_keys() if key.endswith(f".{last}")]
    similar = get_close_matches(name, all_keys(), n=1, cutoff=0.7)
    similar_last = get_close_matches(last, [key.rpartition(".")[2] for key in all_keys()], n=1)
    candidates = [*same_last, *similar]
    candidates += [key for key in all_keys() if key.rpartition(".")[2] in similar_last]
    return candidates[0] if candidates else None


def _sections() -> Iterator[tuple[str, type[Section]]]:
    for name, values in Settings():
        yield name, type(cast(Section, values))


def _key(name: str, schema: dict[str, Any]) -> Key:
    alternatives: list[dict[str, Any]] = schema.get("anyOf", [schema])
    value = next(each for each in alternatives if each.get("type") != "null")
    limits = [words.format(_plain(value[key])) for key, words in _LIMITS.items() if key in value]
    return Key(
        name=name,
        kind="path" if value.get("format") == "path" else _KINDS[value["type"]],
        choices=tuple(value.get("enum", ())),
        limits=" and ".join(limits),
        default=schema["default"],
        optional=len(alternatives) > 1,
        help=" ".join(str(schema["description"]).split()),
    )


def _plain(bound: float) -> str:
    return str(int(bound)) if bound == int(bound) else str(bound)
