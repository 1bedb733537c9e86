"""`automix presets`: list, show, copy, diff."""

import json
from pathlib import Path

import pytest

from automix_cli import presets
from automix_cli.settings.layering import Overrides, load
from automix_cli.settings.toml import changed_keys


def test_list_shows_every_preset_with_its_expectation(automix) -> None:
    shown = " ".join(automix("presets", "list").stdout.split())
    for name in presets.names():
        preset = presets.read(name)
        assert f"{name} {preset.summary} expects {preset.expects}" in shown


def test_list_as_json_has_the_provenance_of_every_preset(automix) -> None:
    rows = json.loads(automix("presets", "list", "--json").stdout)["presets"]
    assert [row["name"] for row in rows] == presets.names()
    assert all(set(row) == {"name", "summary", "source", "expects"} for row in rows)


def test_show_prints_the_file_as_it_is(automix) -> None:
    assert automix("presets", "show", "digits-tiny").stdout == presets.read("digits-tiny").text


def test_show_as_json_has_the_settings(automix) -> None:
    shown = json.loads(automix("presets", "show", "cifar100-r18", "--json").stdout)
    assert shown["settings"]["optimizer"]["min_lr"] == 0.05


def test_a_copy_trains_like_the_preset(automix, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    result = automix("presets", "copy", "cifar10-rx50", str(file))
    assert result.stdout == f"{file}\n"
    ours, _ = load(Overrides(configs=(file,)))
    theirs, _ = load(Overrides(preset="cifar10-rx50"))
    assert changed_keys(ours, theirs).keys() == {"run.preset"}


def test_a_copy_into_a_folder_has_the_name_of_the_preset(automix, tmp_path: Path) -> None:
    result = automix("presets", "copy", "digits-tiny", str(tmp_path), "--json")
    assert json.loads(result.stdout)["path"] == str(tmp_path / "digits-tiny.toml")
    assert (tmp_path / "digits-tiny.toml").is_file()


def test_a_copy_goes_to_the_current_folder_by_default(automix, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert automix("presets", "copy", "digits-tiny").stdout == "digits-tiny.toml\n"
    assert (tmp_path / "digits-tiny.toml").is_file()


def test_a_copy_overwrites_nothing(automix, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("precious", encoding="utf-8")
    result = automix("presets", "copy", "digits-tiny", str(file))
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: `{file}` exists already\n\nhint: give another name")
    assert file.read_text(encoding="utf-8") == "precious"


def test_a_copy_into_a_missing_folder_is_an_error(automix, tmp_path: Path) -> None:
    result = automix("presets", "copy", "digits-tiny", str(tmp_path / "no" / "mine.toml"))
    assert result.exit_code == 2
    assert "No such file or directory" in result.stderr


def test_diff_lists_the_settings_that_differ_and_no_others(automix) -> None:
    lines = automix("presets", "diff", "cifar100-r18", "cifar10-rx50").stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["setting", "cifar100-r18", "cifar10-rx50"],
        ["model.backbone", "resnet18", "resnext50_32x4d"],
        ["data.name", "cifar100", "cifar10"],
    ]


def test_diff_with_nothing_else_compares_with_the_defaults(automix) -> None:
    result = automix("presets", "diff", "cifar100-r18", "--json")
    rows = {row["key"]: row["values"] for row in json.loads(result.stdout)["differences"]}
    assert rows["optimizer.min_lr"] == [0.05, 0.0]
    assert "optimizer.lr" not in rows


def test_diff_takes_files_of_settings(automix, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[optimizer]\nclip_norm = 5\n", encoding="utf-8")
    lines = automix("presets", "diff", str(file)).stdout.splitlines()
    assert lines[1].split() == ["optimizer.clip_norm", "5.0", "unset"]


@pytest.mark.parametrize("command", ["show", "copy", "diff"])
def test_an_unknown_preset_is_exit_code_2(automix, command: str) -> None:
    result = automix("presets", command, "no-such")
    assert result.exit_code == 2
    assert "error: unknown preset `no-such`" in result.stderr


def test_lines_fit_a_narrow_terminal(automix, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    shown = automix("presets", "list").stdout
    assert max(len(line) for line in shown.splitlines()) <= 60
