"""`automix settings`: the reference of every key."""

import json

import pytest

from automix_cli.settings.keys import all_keys, all_sections


def test_every_key_is_listed_with_range_default_and_help(automix) -> None:
    shown = " ".join(automix("settings").stdout.split())
    for key in all_keys().values():
        assert f" {key.name} {key.wanted}; default `" in shown or key.default is None
        assert key.help in shown


def test_a_section_is_listed_alone(automix) -> None:
    shown = automix("settings", "mix").stdout
    assert "mix.alpha" in shown
    assert not any(f"\n  {name}." in shown for name in all_sections() if name != "mix")


def test_a_key_is_listed_alone(automix) -> None:
    rows = json.loads(automix("settings", "optimizer.clip_norm", "--json").stdout)["settings"]
    assert [(row["name"], row["default"], row["optional"]) for row in rows] == [
        ("optimizer.clip_norm", None, True)
    ]
    assert "default unset" in automix("settings", "optimizer.clip_norm").stdout


def test_json_lists_every_key(automix) -> None:
    rows = json.loads(automix("settings", "--json").stdout)["settings"]
    assert [row["name"] for row in rows] == list(all_keys())
    assert rows[0].keys() == {"name", "kind", "choices", "limits", "default", "optional", "help"}


@pytest.mark.parametrize(("typed", "meant"), [("mix.alhpa", "mix.alpha"), ("lr", "optimizer.lr")])
def test_an_unknown_key_is_exit_code_2_with_a_guess(automix, typed: str, meant: str) -> None:
    result = automix("settings", typed)
    assert result.exit_code == 2
    assert f"did you mean `{meant}`?" in result.stderr


def test_lines_fit_a_narrow_terminal(automix, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    shown = automix("settings").stdout
    assert max(len(line) for line in shown.splitlines()) <= 60
