"""The environment of a process that does a part of a command's work."""

from __future__ import annotations

import os


def environment_of_child() -> dict[str, str]:
    """Our environment without `AUTOMIX_*`: they are in the child's settings, or overruled there."""
    return {name: each for name, each in os.environ.items() if not name.startswith("AUTOMIX_")}
