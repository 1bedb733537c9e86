"""Settings as files: what is saved reproduces the run, what is broken is refused with its name."""

import random
import re
import tomllib
from pathlib import Path

import pytest

from automix_cli import presets
from automix_cli.errors import SettingsError
from automix_cli.settings.layering import Layer, Overrides, file_layer, load
from automix_cli.settings.toml import (
    LARGEST_FILE_BYTES,
    as_nested,
    changed_keys,
    dump_toml,
    flatten,
    print_config,
)

NOTHING: dict[str, str] = {}


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def problem(file: Path) -> SettingsError:
    """The error that loading a file ends with."""
    with pytest.raises(SettingsError) as caught:
        load(Overrides(configs=(file,)), environment=NOTHING)
    return caught.value


@pytest.mark.parametrize("name", presets.names())
def test_the_saved_file_reproduces_the_settings(name: str, tmp_path: Path) -> None:
    sets = ("run.seed=7", "optimizer.clip_norm=5", "data.dir=a \u00e4'b")
    settings, _ = load(Overrides(name, sets=sets), environment=NOTHING)
    saved = write(tmp_path / "settings.toml", dump_toml(settings))
    again, origins = load(Overrides(configs=(saved,)), environment=NOTHING)
    assert again == settings
    assert origins["run.preset"] == str(saved)


def test_the_saved_file_leaves_the_run_folder_out_so_that_a_second_run_gets_its_own() -> None:
    settings, _ = load(Overrides(sets=("run.output_dir=runs/a",)), environment=NOTHING)
    assert "output_dir" not in tomllib.loads(dump_toml(settings))["run"]


def test_settings_stored_as_plain_values_are_a_layer_that_restores_them() -> None:
    sets = ("run.output_dir=runs/a", "train.max_steps=3")
    settings, _ = load(Overrides("digits-tiny", sets=sets), environment=NOTHING)
    base = Layer(as_nested(settings), "checkpoint")
    assert load(Overrides(), base=base, environment=NOTHING)[0] == settings


def test_printed_settings_are_toml_that_restores_them(tmp_path: Path) -> None:
    settings, origins = load(Overrides("digits-tiny"), environment=NOTHING)
    printed = write(tmp_path / "printed.toml", print_config(settings, origins))
    assert load(Overrides(configs=(printed,)), environment=NOTHING)[0] == settings


def test_every_printed_value_ends_with_its_origin() -> None:
    overrides = Overrides("digits-tiny", sets=("optimizer.clip_norm=none", "run.seed=3"))
    settings, origins = load(overrides, environment=NOTHING)
    lines = print_config(settings, origins).splitlines()
    values = [line for line in lines if line and not line.startswith("[")]
    assert [line.rpartition("  # ")[2] for line in values] == list(origins.values())
    assert any(line.split("#")[0].strip() == "seed = 3" for line in values)
    assert any(line.startswith("# clip_norm is unset") for line in values)


def test_a_copied_preset_is_a_config_file_whose_provenance_is_left_out(tmp_path: Path) -> None:
    copy = write(tmp_path / "mine.toml", presets.read("cifar100-r18").text)
    by_file, origins = load(Overrides(configs=(copy,)), environment=NOTHING)
    by_preset, _ = load(Overrides("cifar100-r18"), environment=NOTHING)
    assert changed_keys(by_preset, by_file) == {"run.preset": ("cifar100-r18", None)}
    assert origins["optimizer.min_lr"] == str(copy)


def test_changed_keys_are_named_with_both_values() -> None:
    before, _ = load(Overrides(sets=("run.seed=1",)), environment=NOTHING)
    after, _ = load(Overrides(sets=("optimizer.clip_norm=2",)), environment=NOTHING)
    assert changed_keys(before, after) == {"optimizer.clip_norm": (None, 2.0), "run.seed": (1, 0)}


def test_flattening_keeps_every_value() -> None:
    assert flatten({"a": {"x": 1, "y": 2}, "b": {"x": 3}}) == {"a.x": 1, "a.y": 2, "b.x": 3}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[optimizer]\nlr = 0,05\n", "(at line 2, column 7)\n    2 | lr = 0,05"),
        (b"[mix]\n\n# \xff\n", "is not UTF-8 text: byte 0xff in line 3"),
        (b"a = " + b"[" * 100_000, "it is nested too deeply"),
        (b"a = " + b"1" * 5000, "is not valid TOML: Exceeds the limit"),
        (b"#" * (LARGEST_FILE_BYTES + 1), "is larger than 1 MiB"),
        (b"[mix]\nalpha = 0x" + b"f" * 5000, "`mix.alpha` must fit in 64 bits"),
        (b"[mix]\nalpha = [0x" + b"f" * 5000 + b"]", "got `a very long number`"),
        (b"seed = 1\n", "unknown setting `seed`"),
        (b"mix = 1\n", "`mix` must be a table, got `1`"),
        (b"[[mix]]\nalpha = 1\n", "`mix` must be a table, got `[{'alpha': 1}]`"),
        (b"[mix.alpha]\nx = 1\n", "`mix.alpha` must be a number greater than 0, got `{'x': 1}`"),
        (b'preset = "cifar100-r18"\n', "`preset` must be a table, got `cifar100-r18`"),
        (b"[optimiser]\n", "unknown section `[optimiser]`"),
        (b"[data]\ndir = 1979-05-27\n", "`data.dir` must be a path, got `1979-05-27`"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_a_broken_file_is_an_error_that_names_the_file(
    content: bytes, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "broken.toml"
    file.write_bytes(content)
    error = problem(file)
    assert message in error.message
    assert str(file) in error.message


def test_a_missing_file_is_an_error_that_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    error = problem(Path("missing.toml"))
    assert error.message == "there is no file `missing.toml`"
    assert error.hint == f"looked for `{tmp_path}/missing.toml`"


def test_a_folder_is_no_file_of_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read .*: Is a directory"):
        file_layer(tmp_path)


def test_a_mark_at_the_front_of_a_file_does_not_matter(tmp_path: Path) -> None:
    file = tmp_path / "windows.toml"
    file.write_bytes(b"\xef\xbb\xbf[run]\r\nseed = 3\r\n")
    assert load(Overrides(configs=(file,)), environment=NOTHING)[0].run.seed == 3


def test_no_file_content_ends_in_anything_but_settings_or_their_error(tmp_path: Path) -> None:
    rng = random.Random(0)
    valid = dump_toml(load(Overrides("cifar100-r18"), environment=NOTHING)[0]).encode()
    file = tmp_path / "fuzz.toml"
    refused = 0
    for _ in range(400):
        content = bytearray(valid)
        for _ in range(rng.randint(1, 4)):
            content[rng.randrange(len(content))] = rng.choice(b"=[]{}\"'.,#\n\\0x9ae-+\xff\x00 ")
        file.write_bytes(content)
        try:
            load(Overrides(configs=(file,)), environment=NOTHING)
        except SettingsError:
            refused += 1
    assert 100 < refused < 400


def test_a_long_path_is_named_whole(tmp_path: Path) -> None:
    folder = tmp_path / ("folder-" * 20)
    folder.mkdir()
    path = write(folder / "broken.toml", "[mix]\nalpha = 0\n")
    with pytest.raises(SettingsError, match=re.escape(str(path))):
        load(Overrides(configs=(path,)), environment=NOTHING)
