"""A run is made where nothing is in its way, and goes on where it can."""

from pathlib import Path

import pytest

from automix_cli.errors import SettingsError
from automix_cli.reporting import run_folders


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(SettingsError, match=r"not empty: it holds `thesis.txt`"):
        run_folders.create_folder(tmp_path, "", {})
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_a_folder_that_a_run_was_killed_in_while_it_made_it_is_taken(tmp_path: Path) -> None:
    for name in ("origins.json", ".settings.toml.0999999999.partial"):
        (tmp_path / name).write_text("{")
    run_folders.create_folder(tmp_path, "a = 1\n", {"a": "--set"})
    assert sorted(each.name for each in tmp_path.iterdir()) == ["origins.json", "settings.toml"]
    assert (tmp_path / "origins.json").read_text() == '{\n  "a": "--set"\n}\n'


@pytest.mark.parametrize(
    ("names", "can"),
    [
        ("metrics.jsonl", False),
        ("settings.toml", True),
        ("settings.toml metrics.jsonl best.pt", True),
        ("settings.toml ckpt.pt summary.json", True),
        ("settings.toml classifier.safetensors summary.json", False),
        ("settings.toml best.pt summary.json", False),
    ],
)
def test_a_run_goes_on_from_a_checkpoint_or_begins_again_if_it_has_no_result(
    tmp_path: Path, names: str, can: bool
) -> None:
    for name in names.split():
        (tmp_path / name).touch()
    assert run_folders.can_go_on(tmp_path) is can


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot make the run folder"):
        run_folders.create_folder(tmp_path / "file" / "run", "", {})
