"""`meta.json`: whose a generated set of corrupted images is, and which parts of it are whole.

A part is recorded when it is whole: a run that was stopped goes on with the next one.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automix_cli.atomic import written_atomically
from automix_cli.data.corrupted_reading import META, read_meta
from automix_cli.errors import DataError

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Identity:
    """What decides every byte of a generated set.

    Attributes:
        suite: `cifar-c`, `imagenet-c` or `tiny-imagenet-c`.
        data_set: Name of the data set.
        source_md5: md5 of the clean test images and labels, or of a list of their files.
        seed: Seed of all draws.
        precision: `float64` or `float32`.
        severities: Severities of each corruption, ascending.
        generator_version: Counts changes of the generator that move a pixel.
    """

    suite: str
    data_set: str
    source_md5: str
    seed: int
    precision: str
    severities: tuple[int, ...]
    generator_version: int

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "severities": list(self.severities)}


class SetRecord:
    """The record of a folder that a generated set is written into.

    Args:
        path: The folder; made if need be.
        identity: What is to be written.
        pattern: What the parts of a set look like, for `Path.glob`.
        remove: Deletes a part by its name.
        is_forced: Delete a generated set of another identity instead of refusing.

    Raises:
        DataError: the folder holds another set, or parts that automix has not made.
    """

    def __init__(
        self,
        path: Path,
        identity: Identity,
        *,
        pattern: str,
        remove: Callable[[str], None],
        is_forced: bool,
    ) -> None:
        self._path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            strangers = sorted(str(each.relative_to(path)) for each in path.glob(pattern))
        except OSError as error:
            raise DataError(f"cannot write into `{path}`: {error.strerror}") from error
        meta = read_meta(path)
        if meta is None and strangers:
            raise DataError(
                f"`{path}` holds `{strangers[0]}` without a `{META}`: it was not made by automix",
                hint="choose another folder; these may be the official files",
            )
        if meta is not None and not is_forced:
            self._refuse_other(meta["identity"], identity.as_json())
        if meta is not None and is_forced:
            for name in meta["files"]:
                remove(Path(name).name)
            (path / META).unlink()
            meta = None
        self._meta = meta or {
            "schema_version": SCHEMA_VERSION,
            "generated": True,
            "generator": "automix",
            "identity": identity.as_json(),
            "severities": list(identity.severities),
            "files": {},
        }

    def _refuse_other(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        differing = [
            f"{key} {old.get(key)}, wanted {new[key]}" for key in new if old.get(key) != new[key]
        ]
        if differing:
            raise DataError(
                f"`{self._path}` holds a set with {'; '.join(differing)}",
                hint="choose another folder, or replace it with `automix corruptions make --force`",
            )

    def part(self, name: str) -> dict[str, Any] | None:
        """What is recorded of a part, or None."""
        return self._meta["files"].get(name)

    def add(self, name: str, **facts: Any) -> None:
        """Record a part that is whole."""
        self._meta["files"][name] = facts
        self._write()

    def note(self, **facts: Any) -> None:
        """Add facts about the whole set."""
        self._meta.update(facts)
        self._write()

    def _write(self) -> None:
        with written_atomically(self._path / META) as partial:
            partial.write_text(json.dumps(self._meta, indent=2) + "\n", encoding="utf-8")
