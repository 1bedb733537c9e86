"""Errors carry what a person needs, and the exit code the documentation promises."""

import pytest

from automix_cli import errors


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [
        (errors.AutoMixError, 1),
        (errors.SettingsError, 2),
        (errors.DataError, 3),
        (errors.CheckpointError, 4),
        (errors.VerificationError, 5),
        (errors.DivergedError, 1),
    ],
)
def test_each_error_has_its_documented_exit_code(
    kind: type[errors.AutoMixError], exit_code: int
) -> None:
    error = kind("what is wrong", hint="how to mend it")
    assert error.exit_code == exit_code
    assert isinstance(error, errors.AutoMixError)
    assert (str(error), error.message, error.hint) == (
        "what is wrong",
        "what is wrong",
        "how to mend it",
    )


def test_a_hint_is_optional_and_given_by_name() -> None:
    assert errors.DataError("what is wrong").hint is None
    with pytest.raises(TypeError):
        errors.DataError("what is wrong", "how to mend it")


def test_an_interruption_carries_the_code_of_its_signal() -> None:
    by_user = errors.Interrupted("saved", exit_code=130)
    by_system = errors.Interrupted("saved", exit_code=143, hint="go on with --resume")
    assert (by_user.exit_code, by_system.exit_code) == (130, 143)
    assert by_system.hint == "go on with --resume"


def test_an_interruption_has_no_other_code() -> None:
    with pytest.raises(ValueError, match=r"exit_code must be one of \(130, 143\), got 1"):
        errors.Interrupted("saved", exit_code=1)
