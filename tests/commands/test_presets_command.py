"""`automix presets`: list, show, copy, diff."""

import json
from pathlib import Path

import pytest

from automix_cli import presets
from automix_cli.settings.layering import Overrides, load
from automix_cli.settings.toml import changed_keys


def test_list_shows_every_preset_once_under_its_data_set(automix) -> None:
    shown = automix("presets", "list").stdout
    headings = [line for line in shown.splitlines() if line and line[0] not in " `"]
    assert headings == sorted({name.split("-")[0] for name in presets.names()})
    rows = [line for line in shown.splitlines() if line.startswith("  ") and line[2] != " "]
    listed = [row.split()[0] for row in rows]
    assert listed == presets.names()
    words = " ".join(shown.split())
    assert all(f"{name} {presets.read(name).summary}" in words for name in presets.names())
    assert len(shown.splitlines()) < 70


def test_list_of_a_data_set_shows_what_to_expect_of_its_presets_alone(automix) -> None:
    shown = " ".join(automix("presets", "list", "cifar10-").stdout.split())
    for name in presets.names():
        preset = presets.read(name)
        about = f"{name} {preset.summary} expects {preset.expects}"
        assert (about in shown) == name.startswith("cifar10-")


def test_list_of_nothing_is_an_error_with_advice(automix) -> None:
    result = automix("presets", "list", "cifar1000")
    assert result.exit_code == 2
    assert "error: no preset has `cifar1000` in its name" in result.stderr
    assert "hint: `automix presets list` shows all of them" in result.stderr


def test_list_as_json_can_be_of_a_selection(automix) -> None:
    rows = json.loads(automix("presets", "list", "wrn", "--json").stdout)["presets"]
    assert [row["name"] for row in rows] == ["cifar100-wrn28-8"]


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


@pytest.mark.parametrize("selection", [(), ("imagenet",)], ids=["all", "some"])
def test_lines_fit_a_narrow_terminal(automix, monkeypatch, selection: tuple[str, ...]) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    shown = automix("presets", "list", *selection).stdout
    assert max(len(line) for line in shown.splitlines()) <= 60
