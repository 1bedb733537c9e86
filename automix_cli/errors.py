"""Errors a person can mend, and the exit code each one ends the program with.

```text
AutoMixError            exit 1    a run failed for a stated reason
|-- SettingsError       exit 2    unknown key, out of range, missing file or preset
|-- DataError           exit 3    data missing, truncated or of the wrong checksum
|-- CheckpointError     exit 4    a checkpoint is broken, unsafe or belongs to another run
|-- VerificationError   exit 5    an export or a preset does not do what was promised
|-- DivergedError       exit 1    a loss became non-finite
`-- Interrupted         exit 130  Ctrl-C; 143 after SIGTERM, once a checkpoint is saved
```

Code 0 is success. Anything outside this tree is a bug and keeps its traceback. `method`, `models`
and `evaluation` are a library: they raise plain `ValueError`, which `commands` translates.
"""

import re
from typing import ClassVar

_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def harmless(text: str) -> str:
    """Text that a terminal shows and does not obey.

    Names of files and classes come from strangers; one that holds the codes by which a terminal is
    told to move, to hide or to turn text round is shown with these codes written out.
    """
    return _CONTROL.sub(lambda found: ascii(found.group())[1:-1], text)


class AutoMixError(Exception):
    """A failure that is explained in one sentence and, where possible, mended by a hint.

    Args:
        message: What is wrong: what was wanted, what was found and where it came from. Lower
            case, backticks around names and values, no final period for one sentence.
        hint: How to mend it, or None when there is no general advice.
    """

    exit_code: int = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(harmless(message))
        self.message = harmless(message)
        self.hint = None if hint is None else harmless(hint)


class SettingsError(AutoMixError):
    """A setting, preset or configuration file is unknown, missing or out of range."""

    exit_code = 2


class DataError(AutoMixError):
    """Data are missing, truncated or not what their checksum says."""

    exit_code = 3


class CheckpointError(AutoMixError):
    """A checkpoint is truncated, unsafe to read or belongs to another run."""

    exit_code = 4


class VerificationError(AutoMixError):
    """Something produced by the program does not agree with what it was made from."""

    exit_code = 5


class DivergedError(AutoMixError):
    """A loss became infinite or not a number."""


class Interrupted(AutoMixError):  # noqa: N818 - a wanted stop, not an error
    """The run was asked to stop, finished its step and saved a checkpoint.

    Args:
        message: What was saved and where.
        exit_code: 130 after Ctrl-C (SIGINT), 143 after SIGTERM.
        hint: How to go on, or None.

    Raises:
        ValueError: if `exit_code` is neither of the two.
    """

    EXIT_CODES: ClassVar[tuple[int, int]] = (130, 143)

    def __init__(self, message: str, *, exit_code: int, hint: str | None = None) -> None:
        if exit_code not in self.EXIT_CODES:
            raise ValueError(f"exit_code must be one of {self.EXIT_CODES}, got {exit_code}")
        super().__init__(message, hint=hint)
        self.exit_code = exit_code
