"""`automix presets`: list, show, copy and compare the presets."""

import itertools
import json
import textwrap
from pathlib import Path
from typing import Any

from automix_cli import presets
from automix_cli.errors import SettingsError
from automix_cli.settings import Settings, layering
from automix_cli.settings.layering import Overrides
from automix_cli.settings.problems import one_line, shown
from automix_cli.settings.toml import changed_keys

SCHEMA_VERSION = 1
DEFAULTS = "defaults"
"""What a preset is compared with when nothing else is named."""


def list_presets(selection: str | None, *, as_json: bool, width: int = 100) -> str:
    """The presets by data set, a line each; of a selection, also the results to expect.

    Args:
        selection: A part of the names wanted, such as a data set; None: all, in short.
        as_json: Whether to return JSON, which has everything of each, instead of text.
        width: Columns that a line may fill.

    Raises:
        SettingsError: no preset has such a name.
    """
    names = [name for name in presets.names() if selection is None or selection in name]
    if not names:
        hint = "`automix presets list` shows all of them"
        raise SettingsError(f"no preset has `{shown(selection)}` in its name", hint=hint)
    found = [presets.read(name) for name in names]
    if as_json:
        rows = [_provenance(preset) for preset in found]
        return json.dumps({"schema_version": SCHEMA_VERSION, "presets": rows}, indent=2)
    if selection is None:
        return _in_short(found, width)
    blocks: list[str] = []
    for preset in found:
        about = [preset.summary, f"expects {preset.expects}"]
        lines = [line for text in about for line in textwrap.wrap(text, width - 2)]
        blocks.append("\n".join([preset.name, *(f"  {line}" for line in lines)]))
    return "\n\n".join(blocks)


def _in_short(found: list[presets.Preset], width: int) -> str:
    """Names and summaries in two columns, with a heading for each data set."""
    column = max(len(preset.name) for preset in found) + 4
    blocks: list[str] = []
    for dataset, group in itertools.groupby(found, key=lambda preset: preset.name.split("-")[0]):
        rows = [
            textwrap.fill(
                preset.summary,
                width,
                initial_indent=f"  {preset.name}".ljust(column),
                subsequent_indent=" " * column,
            )
            for preset in group
        ]
        blocks.append("\n".join([dataset, *rows]))
    more = "`automix presets list cifar100` also says what each of these should give."
    return "\n\n".join([*blocks, textwrap.fill(more, width)])


def show(name: str, *, as_json: bool) -> str:
    """A preset's file as it is, or as JSON its settings beside its provenance.

    Raises:
        SettingsError: there is no preset of that name.
    """
    preset = presets.read(name)
    if not as_json:
        return preset.text.rstrip("\n")
    content = {"schema_version": SCHEMA_VERSION, **_provenance(preset), "settings": preset.values}
    return json.dumps(content, indent=2)


def copy(name: str, destination: Path | None, *, as_json: bool) -> str:
    """Copy a preset to a file that can be edited and given to `--config`.

    Args:
        name: The preset.
        destination: File or existing folder; None is the current folder.
        as_json: Whether to return JSON instead of the path.

    Returns:
        The path of the file written.

    Raises:
        SettingsError: there is no such preset, the file exists already or cannot be written.
    """
    text = presets.read(name).text
    path = destination or Path()
    path = path / f"{name}.toml" if path.is_dir() else path
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        hint = "give another name; nothing was overwritten"
        raise SettingsError(f"`{one_line(path)}` exists already", hint=hint) from error
    except OSError as error:
        raise SettingsError(f"cannot write `{one_line(path)}`: {error.strerror}") from error
    content = {"schema_version": SCHEMA_VERSION, "name": name, "path": str(path)}
    return json.dumps(content, indent=2) if as_json else str(path)


def diff(first: str, second: str | None, *, as_json: bool) -> str:
    """The settings in which two presets differ.

    Args:
        first: A preset, or the path of a settings file ending in `.toml`.
        second: The same, or None for the defaults.
        as_json: Whether to return JSON instead of text.

    Raises:
        SettingsError: there is no such preset or file, or it is not valid.
    """
    names = [first, second or DEFAULTS]
    changed = changed_keys(_resolved(first), _resolved(second))
    changed.pop("run.preset", None)
    if as_json:
        rows = [{"key": key, "values": list(values)} for key, values in changed.items()]
        content = {"schema_version": SCHEMA_VERSION, "compared": names, "differences": rows}
        return json.dumps(content, indent=2)
    table = [["setting", *names], *([key, *map(_cell, pair)] for key, pair in changed.items())]
    widths = [max(len(row[column]) for row in table) for column in range(3)]
    aligned = (
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        for row in table
    )
    return "\n".join(line.rstrip() for line in aligned)


def _resolved(source: str | None) -> Settings:
    if source is None:
        return Settings()
    if source.endswith(".toml"):
        overrides = Overrides(configs=(Path(source),))
    else:
        overrides = Overrides(preset=source)
    return layering.load(overrides, environment={})[0]


def _provenance(preset: presets.Preset) -> dict[str, Any]:
    return {
        "name": preset.name,
        "summary": preset.summary,
        "source": preset.source,
        "expects": preset.expects,
    }


def _cell(value: object) -> str:
    return "unset" if value is None else shown(value)
