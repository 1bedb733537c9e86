"""What is wrong with settings, in words: what, wanted, got, from where, and how to mend it.

All problems of a command are reported together, so that nobody mends them one run at a time.
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from pydantic import ValidationError

from automix_cli.errors import SettingsError
from automix_cli.settings.keys import Key, all_keys, all_sections, nearest_key
from automix_cli.settings.rules import Rule

_LONGEST_SHOWN = 80


class Entry(NamedTuple):
    """A value and the source that set it."""

    value: object
    origin: str


class Problem(NamedTuple):
    """One thing to mend."""

    message: str
    hint: str | None = None


def shown(value: object) -> str:
    """A value as TOML would write it, on one line, short, without control characters."""
    try:
        text = str(value).lower() if isinstance(value, bool) else str(value)
    except ValueError:  # Python writes no numbers of more than 4,300 digits
        return "a very long number"
    text = one_line(text)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


def one_line(text: object) -> str:
    """A path or another text whole, on one line, without control characters."""
    return str(text) if str(text).isprintable() else ascii(str(text))


def unknown_key(name: str, origin: str) -> Problem:
    """`name` is no setting."""
    if name in all_sections():
        example = next(key for key in all_keys() if key.startswith(f"{name}."))
        return Problem(
            f"`{name}` is a section, not a setting (from {origin})",
            f"name one of its settings, such as `{example}`",
        )
    nearest = nearest_key(name)
    guess = f"did you mean `{nearest}`? " if nearest else ""
    return Problem(
        f"unknown setting `{shown(name)}` (from {origin})",
        f"{guess}`automix settings` lists all of them",
    )


def unknown_variable(name: str, variables: Mapping[str, str]) -> Problem:
    """`name` looks like one of ours and is none of `variables`."""
    near = get_close_matches(name, variables, n=1, cutoff=0.75)
    hint = f"did you mean `{near[0]}`?" if near else "they are named like `AUTOMIX_OPTIMIZER__LR`"
    return Problem(f"unknown environment variable `{shown(name)}`", hint)


def unknown_section(name: str, table: object, origin: str) -> Problem:
    """`name` is no section; `table` is what was found under it."""
    if name == "preset":
        text = f"`preset` must be a table, got `{shown(table)}` (from {origin})"
        return Problem(text, f"a preset is chosen on the command line: `--preset {shown(table)}`")
    if not isinstance(table, dict):
        return unknown_key(name, origin)
    near = get_close_matches(name, all_sections(), n=1)
    guess = f"did you mean `[{near[0]}]`? " if near else ""
    every = ", ".join(f"`{section}`" for section in all_sections())
    return Problem(
        f"unknown section `[{shown(name)}]` (from {origin})", f"{guess}there are {every}"
    )


def invalid_values(error: ValidationError, entries: Mapping[str, Entry]) -> Iterator[Problem]:
    """Say which values are not what their key takes."""
    for each in error.errors(include_url=False):
        key = ".".join(str(part) for part in each["loc"][:2])
        if each["type"] != "rules":
            yield _out_of_range(all_keys()[key], entries[key], dict(each))


def broken_rules(error: ValidationError, entries: Mapping[str, Entry]) -> Iterator[Problem]:
    """Say which values do not go together."""
    for each in error.errors(include_url=False):
        if each["type"] == "rules":
            yield from (_broken(rule, entries) for rule in each.get("ctx", {})["broken"])


def raise_all(problems: Sequence[Problem]) -> None:
    """Raise one error that says everything, or return if there is nothing to say.

    Raises:
        SettingsError: if there is any problem.
    """
    if len(problems) == 1:
        raise SettingsError(problems[0].message, hint=problems[0].hint)
    if problems:
        lines = [f"{len(problems)} problems in the settings"]
        for number, problem in enumerate(problems, start=1):
            lines.append(f"  {number}. {problem.message}")
            lines += [f"     hint: {problem.hint}"] if problem.hint else []
        raise SettingsError("\n".join(lines), hint="`automix settings` lists every key and range")


def _broken(rule: Rule, entries: Mapping[str, Entry]) -> Problem:
    got: list[str] = []
    for key in rule.keys:
        entry = entries.get(key, Entry(all_keys()[key].default, "default"))
        if entry.value is not None:
            got.append(f"`{key} = {shown(entry.value)}` (from {entry.origin})")
    return Problem(f"{rule.text}, got {' and '.join(got)}")


def _out_of_range(key: Key, entry: Entry, error: Mapping[str, Any]) -> Problem:
    wanted = {"finite_number": "a finite number", "value_error": error["msg"].split(", ", 1)[-1]}
    return Problem(
        f"`{key.name}` must be {wanted.get(error['type'], key.wanted)}, "
        f"got `{shown(entry.value)}` (from {entry.origin})",
        _likely(key, entry.value) or f"`{key.name}`: {key.summary}",
    )


def _likely(key: Key, value: object) -> str | None:
    """Recognise a right value in the wrong spelling."""
    text = shown(value).strip().lower()
    if key.kind == "true or false" and text in ("true", "false"):
        return f"did you mean `{text}`, {_spelling(value, text)}?"
    if key.kind in ("number", "whole number") and isinstance(value, str | float):
        try:
            number = float(text)
        except ValueError:
            return None
        if key.kind == "number" and isinstance(value, str):
            return f"did you mean `{number}`, {_spelling(value, text)}?"
        if key.kind == "whole number" and number.is_integer():
            return f"did you mean `{number:.0f}`?"
    return _nearest_choice(key, text)


def _spelling(value: object, text: str) -> str:
    return "without quotes" if value == text else "as TOML writes it"


def _nearest_choice(key: Key, text: str) -> str | None:
    near = get_close_matches(text, key.choices, n=1)
    return f"did you mean `{near[0]}`?" if near else None
