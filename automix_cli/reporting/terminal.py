"""The terminal, to which names that strangers chose are written: as text, never as commands."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from automix_cli.errors import harmless


class Terminal(Console):
    """A console that takes no text for markup, and shows control codes instead of sending them.

    Args:
        stderr: Write there, not to stdout.
        quiet: Write nothing.
    """

    def __init__(self, *, stderr: bool = False, quiet: bool = False) -> None:
        super().__init__(stderr=stderr, quiet=quiet, highlight=False, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Every string, a table's cells and titles included, passes here."""
        return super().render_str(harmless(text), **options)
