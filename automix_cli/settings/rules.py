"""What every settings section is made of: the base class, ranges, and rules between settings.

Ranges belong on the field (`Positive`, `Share`, ...), relations between fields in one validator per
section that calls `require`. The docstring under a field is its help text.
"""

from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError


def _usable_path(path: Path) -> Path:
    """Expand `~`, and refuse what no file system takes."""
    if "\0" in str(path):
        raise ValueError("a path without null characters")
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError("a path whose `~` names a home folder") from error


# `strict=False`: TOML has no paths, so text must do; numbers are still refused.
FilePath = Annotated[Path, Field(strict=False), AfterValidator(_usable_path)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
ShareBelowOne = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Index = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """What every section shares: no unknown keys, no conversions, no change after loading."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )


class Rule(NamedTuple):
    """A relation between settings that are each valid on their own.

    Args:
        holds: Whether the settings keep the rule.
        text: The rule as a sentence with dotted keys in backticks, without a final period.
        keys: The dotted keys it relates, for saying their values and where they came from.
    """

    holds: bool
    text: str
    keys: tuple[str, ...]


def require(*rules: Rule) -> None:
    """Report every broken rule at once.

    Raises:
        PydanticCustomError: with the broken rules under `broken` in its context.
    """
    broken = [rule for rule in rules if not rule.holds]
    if broken:
        text = "; ".join(rule.text for rule in broken)
        raise PydanticCustomError("rules", "{text}", {"text": text, "broken": broken})
