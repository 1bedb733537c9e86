"""`automix compare RUN...`: runs that are there, whoever trained them."""

import json
from pathlib import Path

import pytest

from automix_cli.commands.comparing import runs as compare_runs
from automix_cli.commands.comparing.runs import (
    FinishedRun,
    found_runs,
    grouped,
    notes_on,
    read_run,
    refuse_other_data,
)
from automix_cli.errors import DataError
from automix_cli.settings.layering import Flag, Overrides, load
from automix_cli.settings.toml import dump_toml
from tests.commands.conftest import Automix
from tests.commands.run_folders import write_run


def made(
    folder: Path, *sets: str, preset: str = "digits-tiny", seed: int = 0, top1: float = 0.5
) -> Path:
    """A finished run with these settings."""
    settings, _ = load(
        Overrides(preset, sets=sets, flags=(Flag("--seed", "run.seed", seed),)), environment={}
    )
    return write_run(folder, dump_toml(settings), top1=top1)


def grouped_by_name(*folders: Path) -> dict[str, list[FinishedRun]]:
    return grouped(found_runs(folders))


def test_seconds_per_epoch_are_those_of_training_steps(tmp_path: Path) -> None:
    result = read_run(made(tmp_path / "a"), "a").result
    # 5 steps of 1 s and 5 of 2 s make two epochs, 160 images in 15 s
    assert result.costs["seconds_per_epoch"] == pytest.approx(7.5)
    assert result.costs["images_per_second"] == pytest.approx(160 / 15)
    assert result.costs["peak_memory_bytes"] == 2**20


def test_the_judged_head_the_classifier_and_the_calibration_error_are_read(tmp_path: Path) -> None:
    folder = made(tmp_path / "a", top1=0.5)
    assert read_run(folder, "a").result.measures == {
        "top1": 0.5,
        "classifier_top1": 0.51,
        "nll": 0.5,
    }
    summary = json.loads((folder / "summary.json").read_text())
    summary["stands_for"] = "classifier_one_hot"
    summary["last"]["test"]["classifier_one_hot"]["ece"] = 0.03
    (folder / "summary.json").write_text(json.dumps(summary))
    measures = read_run(folder, "a").result.measures
    assert (measures["top1"], measures["ece"]) == (0.51, 0.03)


def test_runs_are_grouped_by_everything_but_the_seed(tmp_path: Path) -> None:
    for seed in (0, 1):
        made(tmp_path / f"a{seed}", "mix.method=cutmix", seed=seed)
    made(tmp_path / "b", "mix.method=mixup", f"data.dir={tmp_path}", "train.log_every=3")
    groups = grouped_by_name(tmp_path)
    assert {name: len(group) for name, group in groups.items()} == {"cutmix": 2, "mixup": 1}


def test_variants_of_a_method_are_named_by_the_settings_that_tell_them_apart(
    tmp_path: Path,
) -> None:
    made(tmp_path / "a", "mix.alpha=1")
    made(tmp_path / "b", "mix.mask_area_weight=0")
    made(tmp_path / "c", "mix.method=vanilla")
    assert list(grouped_by_name(tmp_path)) == [
        "automix (mix.alpha=1.0, mix.mask_area_weight=0.1)",
        "automix (mix.alpha=2.0, mix.mask_area_weight=0.0)",
        "vanilla",
    ]


def test_presets_of_a_method_are_named_by_the_preset(tmp_path: Path) -> None:
    made(tmp_path / "a", preset="cifar10-r18")
    made(tmp_path / "b", preset="cifar10-rx50")
    assert list(grouped_by_name(tmp_path)) == ["automix cifar10-r18", "automix cifar10-rx50"]


def test_the_same_settings_and_seed_twice_are_refused(automix: Automix, tmp_path: Path) -> None:
    one, two = made(tmp_path / "a"), made(tmp_path / "b")
    result = automix("compare", one, two)
    assert result.exit_code == 2
    assert "have the same settings and seed" in result.stderr


def test_folders_and_tables_in_two_places_are_other_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(compare_runs, "class_names", lambda folder: ("a", "b"))
    one = made(tmp_path / "a", "data.name=folder", "data.dir=one", "mix.method=mixup")
    two = made(tmp_path / "b", "data.name=folder", "data.dir=two")
    same = made(tmp_path / "c", "data.name=folder", f"data.dir={tmp_path / 'one'}")
    tables = [
        made(tmp_path / name, "data.name=csv", f"data.csv={name}.csv", f"mix.method={method}")
        for name, method in (("d", "mixup"), ("e", "cutmix"))
    ]
    for runs in ((one, two), tables):
        with pytest.raises(DataError, match="on different data"):
            refuse_other_data(found_runs(runs))
    assert len({run.settings.data.identity for run in found_runs((one, same))}) == 1


def test_a_run_named_twice_counts_once(automix: Automix, tmp_path: Path) -> None:
    made(tmp_path / "runs" / "a")
    result = automix("compare", "runs/a", "runs", "--json")
    assert result.exit_code == 0, result.output
    assert [row["seeds"] for row in json.loads(result.stdout)["methods"]] == [[0]]


def test_existing_runs_are_tabulated_and_nothing_is_written(
    automix: Automix, tmp_path: Path
) -> None:
    for seed in (0, 1):
        made(tmp_path / "runs" / f"v{seed}", "mix.method=vanilla", seed=seed, top1=0.5)
        made(tmp_path / "runs" / f"c{seed}", "mix.method=cutmix", seed=seed, top1=0.6)
    before = sorted(tmp_path.rglob("*"))
    result = automix("compare", *sorted((tmp_path / "runs").iterdir()))
    assert result.exit_code == 0, result.output
    assert "cutmix" in result.stdout
    assert sorted(tmp_path.rglob("*")) == before
    with_folder = automix("compare", "runs", "-o", "tables")
    assert with_folder.exit_code == 0, with_folder.output
    names = {f"compare.{suffix}" for suffix in ("json", "csv", "md", "png", "svg")}
    assert {each.name for each in (tmp_path / "tables").iterdir()} == names
    text = (tmp_path / "tables" / "compare.md").read_text()
    assert "| **cutmix** | 2 | **60.00 +- 0.00** | 60.00 to 60.00 | +10.00 +- 0.00 |" in text


def test_settings_that_differ_besides_method_and_seed_are_said(
    automix: Automix, tmp_path: Path
) -> None:
    made(tmp_path / "a", "mix.method=vanilla")
    made(tmp_path / "b", "mix.method=cutmix", "optimizer.min_lr=0.05")
    result = automix("compare", "a", "b")
    assert result.exit_code == 0, result.output
    said = [line for line in result.stderr.splitlines() if "differ" in line]
    assert said == ["note: besides method and seed, these settings differ: `optimizer.min_lr`"]


def test_other_software_and_uneven_seeds_and_single_runs_are_said(tmp_path: Path) -> None:
    made(tmp_path / "a", "mix.method=vanilla")
    made(tmp_path / "b", "mix.method=vanilla", seed=1)
    other = made(tmp_path / "c", "mix.method=cutmix")
    write_run(other, (other / "settings.toml").read_text(), software="3")
    notes = notes_on(grouped_by_name(tmp_path), say_settings=True)
    assert len(notes) == 3
    assert "n = 1" in notes[0]
    assert "not every method has every seed" in notes[1]
    assert notes[2] == "the runs were made with different `torch`: 2, 3"


def test_runs_on_different_data_are_refused(automix: Automix, tmp_path: Path) -> None:
    made(tmp_path / "a")
    made(tmp_path / "b", "data.name=cifar10")
    result = automix("compare", "a", "b")
    assert result.exit_code == 3
    assert "360 test images of digits" in result.stderr
    assert "360 test images of cifar10" in result.stderr


def test_runs_with_other_numbers_of_test_images_are_refused(
    automix: Automix, tmp_path: Path
) -> None:
    made(tmp_path / "a")
    path = made(tmp_path / "b", seed=1) / "summary.json"
    path.write_text(path.read_text().replace("360", "359"))
    result = automix("compare", "a", "b")
    assert result.exit_code == 3
    assert "359 test images" in result.stderr


def test_runs_with_other_classes_in_other_folders_are_refused(
    automix: Automix, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import save_file

    for name, classes in (("a", ["cat", "dog"]), ("b", ["cat", "dog", "owl"])):
        folder = made(tmp_path / name, f"data.dir={name}", seed=len(classes))
        stored = json.dumps({"dataset": {"class_names": classes}, "settings": {}})
        save_file({"w": torch.zeros(1)}, folder / "classifier.safetensors", {"automix": stored})
    result = automix("compare", "a", "b")
    assert result.exit_code == 3, result.stderr
    assert "digits in 2 classes" in result.stderr
    assert "digits in 3 classes" in result.stderr


@pytest.mark.parametrize("name", ["nothing", "empty", "file"])
def test_what_is_no_run_is_a_settings_error(automix: Automix, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    result = automix("compare", name)
    assert result.exit_code == 2
    assert f"`{name}` is no run folder" in result.stderr


def test_an_unfinished_run_is_named_with_the_command_that_goes_on(
    automix: Automix, tmp_path: Path
) -> None:
    (made(tmp_path / "a") / "summary.json").unlink()
    result = automix("compare", "a")
    assert result.exit_code == 2
    assert "the run `a` is not finished" in result.stderr
    assert "`automix train --resume a`" in result.stderr


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("summary.json", "{"),
        ("summary.json", "{}"),
        ("summary.json", "[]"),
        ("summary.json", b"\xff"),
        ("metrics.jsonl", '{"split": "train"}\n'),
        ("environment.json", '{"sessions": []}'),
    ],
)
def test_files_that_no_run_writes_are_a_checkpoint_error(
    automix: Automix, tmp_path: Path, file: str, content: str | bytes
) -> None:
    folder = made(tmp_path / "a")
    (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    result = automix("compare", "a")
    assert result.exit_code == 4
    assert "are not what a run writes" in result.stderr
    assert "Traceback" not in result.output
