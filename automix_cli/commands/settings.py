"""`automix settings`: every key with its type, range, default and help text."""

import json
import textwrap
from collections.abc import Iterable
from dataclasses import asdict

from automix_cli.errors import SettingsError
from automix_cli.settings.keys import Key, all_keys, all_sections
from automix_cli.settings.problems import shown, unknown_key

SCHEMA_VERSION = 1


def run(selection: str | None, *, as_json: bool, width: int = 100) -> str:
    """The reference of all settings, of one section, or of one key.

    Args:
        selection: A section, a dotted key, or None for everything.
        as_json: Whether to return JSON instead of text.
        width: Characters a line of text may have.

    Raises:
        SettingsError: there is no such section or key.
    """
    keys = list(_selected(selection))
    if as_json:
        rows = [{**asdict(key), "default": _plain(key.default)} for key in keys]
        return json.dumps({"schema_version": SCHEMA_VERSION, "settings": rows}, indent=2)
    blocks: list[str] = []
    for section, about in all_sections().items():
        inside = [key for key in keys if key.name.startswith(f"{section}.")]
        if inside:
            blocks.append("\n".join([f"[{section}]", *textwrap.wrap(about, width)]))
            blocks += [_paragraph(key, width) for key in inside]
    return "\n\n".join(blocks)


def _selected(selection: str | None) -> Iterable[Key]:
    if selection is None:
        return all_keys().values()
    if selection in all_sections():
        return [key for name, key in all_keys().items() if name.startswith(f"{selection}.")]
    if selection in all_keys():
        return [all_keys()[selection]]
    problem = unknown_key(selection, "the command line")
    raise SettingsError(problem.message, hint=problem.hint)


def _paragraph(key: Key, width: int) -> str:
    default = "unset" if key.default is None else f"`{shown(key.default)}`"
    wanted = textwrap.wrap(f"{key.wanted}; default {default}", width - 6)
    about = textwrap.wrap(key.help, width - 6, break_on_hyphens=False)
    return "\n".join([f"  {key.name}", *(f"      {line}" for line in [*wanted, *about])])


def _plain(value: object) -> object:
    return value if isinstance(value, bool | int | float | str | None) else str(value)
