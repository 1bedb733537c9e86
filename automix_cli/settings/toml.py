"""Settings as TOML: reading files and literals, writing a file that reproduces a run."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from automix_cli.errors import SettingsError
from automix_cli.settings.keys import Key, all_keys, all_sections
from automix_cli.settings.model import Settings
from automix_cli.settings.problems import shown

LARGEST_FILE_BYTES = 2**20

MOVES_NO_RESULT = (
    "run.",
    "evaluation.batch_size",
    "data.dir",
    "data.download",
    "data.mirror",
    "data.workers",
    "train.log_every",
    "train.save_every",
    "train.trackers",
)
"""Beginnings of the keys that move no number of a result; `run.seed` is the exception."""


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file of at most 1 MiB.

    Raises:
        SettingsError: the file is missing, unreadable, too large, not UTF-8 or not TOML.
    """
    name = shown(path)
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise SettingsError(f"there is no file `{name}`", hint=_absolute(path)) from error
    except OSError as error:
        raise SettingsError(f"cannot read `{name}`: {error.strerror}") from error
    if len(content) > LARGEST_FILE_BYTES:
        raise SettingsError(f"`{name}` is larger than 1 MiB", hint="is it a settings file?")
    try:
        text = content.decode("utf-8-sig")  # some editors put a mark at the front
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        message = f"`{name}` is not UTF-8 text: byte {content[error.start]:#04x} in line {line}"
        raise SettingsError(message, hint="TOML files are UTF-8") from error
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"`{name}` is not valid TOML: {_where(error, text)}") from error


def literal(text: str) -> object:
    """The value `text` has in TOML, or `text` itself when it has none."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return parsed["value"] if parsed.keys() == {"value"} else text


def value_of(text: str, key: Key) -> object:
    """The value that `text` means for a key: text needs no quotes, and `none` unsets the key.

    Except where `none` is one of the words that the key takes.
    """
    if key.optional and text == "none" and text not in key.choices:
        return None
    value = literal(text)
    return text if key.is_text and not isinstance(value, str) else value


def as_nested(settings: Settings) -> dict[str, dict[str, Any]]:
    """Settings by section as plain values, without the unset ones."""
    return settings.model_dump(mode="json", exclude_none=True)


def flatten(nested: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Values by dotted key."""
    return {
        f"{name}.{key}": value for name, table in nested.items() for key, value in table.items()
    }


def changed_keys(before: Settings, after: Settings) -> dict[str, tuple[Any, Any]]:
    """Settings that differ, by dotted key: their value before and after; None is unset."""
    old, new = flatten(as_nested(before)), flatten(as_nested(after))
    return {key: (old.get(key), new.get(key)) for key in all_keys() if old.get(key) != new.get(key)}


def moves_result(key: str) -> bool:
    """Whether another value of this setting may give another result."""
    return key == "run.seed" or not key.startswith(MOVES_NO_RESULT)


def as_saved(settings: Settings) -> dict[str, dict[str, Any]]:
    """What a run folder and a checkpoint keep: all but the unset and `run.output_dir`.

    A run started again from it gets a folder of its own.
    """
    nested = as_nested(settings)
    nested["run"].pop("output_dir", None)
    return nested


def dump_toml(settings: Settings) -> str:
    """A file that reproduces the run by `automix train --config FILE`."""
    return tomli_w.dumps(as_saved(settings))


def print_config(settings: Settings, origins: Mapping[str, str]) -> str:
    """Every setting as TOML, each line with the source that set it; unset ones as comments."""
    values = flatten(as_nested(settings))
    blocks: list[str] = []
    for section in all_sections():
        lines: dict[str, str] = {}
        for key in all_keys():
            if key.startswith(f"{section}."):
                name = key.removeprefix(f"{section}.")
                value = tomli_w.dumps({name: values[key]}).strip() if key in values else None
                lines[value or f"# {name} is unset"] = origins[key]
        width = max(len(line) for line in lines)
        rows = [f"{line:<{width}}  # {origin}" for line, origin in lines.items()]
        blocks.append("\n".join([f"[{section}]", *rows]))
    return "\n\n".join(blocks) + "\n"


def _absolute(path: Path) -> str | None:
    return None if path.is_absolute() else f"looked for `{shown(path.absolute())}`"


def _where(error: Exception, text: str) -> str:
    """The parser's message, with the line it complains of."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    found = re.search(r"line (\d+)", str(error))
    if found is None:
        return str(error)
    line = text.splitlines()[int(found.group(1)) - 1 :][:1]
    return "\n".join([str(error), *(f"    {found.group(1)} | {shown(each)}" for each in line)])
