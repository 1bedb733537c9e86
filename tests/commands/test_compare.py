"""`automix compare`: what it trains, skips, goes on with and says, and what it writes.

Where the training itself is not what is tested, `run_folders.py` stands in for it, by `--launcher`.
"""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import Result

from automix_cli.commands.comparing.children import LOCK, sole_owner
from automix_cli.errors import SettingsError
from tests.commands import run_folders
from tests.commands.conftest import QUICK, Automix, finish, start, wait_for
from tests.commands.test_resume import LONGER, has_reached

STAND_IN = f"--launcher={sys.executable} {run_folders.__file__}"
TABLES = {LOCK, *(f"compare.{suffix}" for suffix in ("json", "csv", "md", "png", "svg"))}


def compare(automix: Automix, *more: str | Path) -> Result:
    return automix("compare", "-p", "digits-tiny", "-o", "out", STAND_IN, *more)


def started(log: Path) -> list[str]:
    """Every start of a stand-in that a log tells of."""
    return [line for line in log.read_text().splitlines() if line.startswith("started")]


def test_it_trains_every_method_with_every_seed_and_leaves_exactly_these_files(
    automix: Automix, tmp_path: Path
) -> None:
    result = compare(automix, "--methods", "vanilla,mixup", "--seeds", "0,1")
    assert result.exit_code == 0, result.output
    cells = {f"{name}-seed{seed}" for name in ("vanilla", "mixup") for seed in (0, 1)}
    beside = {f"{cell}{suffix}" for cell in cells for suffix in ("", ".toml", ".log")}
    assert {each.name for each in (tmp_path / "out").iterdir()} == beside | TABLES
    for cell in cells:
        wanted = (tmp_path / "out" / f"{cell}.toml").read_text()
        assert (tmp_path / "out" / cell / "settings.toml").read_text() == wanted


def test_every_method_has_its_first_seed_before_any_has_its_second(automix: Automix) -> None:
    result = compare(automix, "--methods", "vanilla,mixup", "--seeds", "3,1")
    lines = [line.split()[2] for line in result.stderr.splitlines() if line.startswith("run ")]
    assert lines == ["vanilla-seed3", "mixup-seed3", "vanilla-seed1", "mixup-seed1"]


def test_finished_runs_are_skipped(automix: Automix, tmp_path: Path) -> None:
    compare(automix, "--methods", "vanilla", "--seeds", "0")
    result = compare(automix, "--methods", "vanilla,mixup", "--seeds", "0", "--json")
    assert result.exit_code == 0, result.output
    assert "1 of 2 runs are finished already" in result.stderr
    assert len(started(tmp_path / "out" / "vanilla-seed0.log")) == 1
    content = json.loads(result.stdout)
    assert [row["runs"] for row in content["methods"]] == [["vanilla-seed0"], ["mixup-seed0"]]
    assert content["baseline"] == "vanilla"
    stored = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert {**stored, "folder": "out"} == content


def test_settings_that_move_no_result_do_not_make_a_run_another_one(automix: Automix) -> None:
    compare(automix, "--methods", "vanilla", "--seeds", "0")
    more = ("--device=cpu", "--data-dir=elsewhere", "--set=train.log_every=7")
    result = compare(automix, "--methods", "vanilla", "--seeds", "0", *more)
    assert result.exit_code == 0, result.output
    assert "finished already" in result.stderr


def test_a_run_with_other_settings_is_refused_with_what_differs(
    automix: Automix, tmp_path: Path
) -> None:
    compare(automix, "--methods", "vanilla,cutmix", "--seeds", "0")
    before = {each: each.stat().st_mtime_ns for each in tmp_path.rglob("*-seed*/*")}
    result = compare(automix, "--methods", "vanilla,cutmix", "--seeds", "0", "--epochs", "7")
    assert result.exit_code == 2
    assert "`out/vanilla-seed0` holds a run with other settings" in result.stderr
    assert "`out/cutmix-seed0`" in result.stderr
    assert "`train.epochs` is `20` there, wanted `7`" in result.stderr
    assert "hint: compare in another folder" in result.stderr
    assert {each: each.stat().st_mtime_ns for each in tmp_path.rglob("*-seed*/*")} == before


def test_an_unfinished_run_is_resumed(automix: Automix, tmp_path: Path) -> None:
    compare(automix, "--methods", "vanilla", "--seeds", "0")
    run = tmp_path / "out" / "vanilla-seed0"
    (run / "summary.json").unlink()
    (run / "ckpt.pt").touch()
    result = compare(automix, "--methods", "vanilla", "--seeds", "0")
    assert result.exit_code == 0, result.output
    assert "to be resumed" in result.stderr
    assert started(run.with_name("vanilla-seed0.log"))[1].startswith("started with --resume")


def test_a_run_that_died_before_its_first_checkpoint_is_resumed_and_nothing_is_removed(
    automix: Automix, tmp_path: Path
) -> None:
    compare(automix, "--methods", "vanilla", "--seeds", "0")
    run = tmp_path / "out" / "vanilla-seed0"
    (run / "summary.json").unlink()
    (run / "thesis.txt").write_text("mine")
    result = compare(automix, "--methods", "vanilla", "--seeds", "0")
    assert result.exit_code == 0, result.output
    assert started(run.with_name("vanilla-seed0.log"))[1].startswith("started with --resume")
    assert (run / "summary.json").exists()
    assert (run / "thesis.txt").read_text() == "mine"


def test_a_result_without_summary_and_checkpoint_is_left_alone(
    automix: Automix, tmp_path: Path
) -> None:
    compare(automix, "--methods", "vanilla", "--seeds", "0")
    run = tmp_path / "out" / "vanilla-seed0"
    (run / "summary.json").rename(run / "classifier.safetensors")
    result = compare(automix, "--methods", "vanilla", "--seeds", "0")
    assert result.exit_code == 2
    assert "holds a result without its `summary.json`" in result.stderr


def test_a_folder_that_is_no_run_is_in_the_way(automix: Automix, tmp_path: Path) -> None:
    (tmp_path / "out" / "vanilla-seed0").mkdir(parents=True)
    (tmp_path / "out" / "vanilla-seed0" / "thesis.txt").touch()
    result = compare(automix, "--methods", "vanilla", "--seeds", "0")
    assert result.exit_code == 2
    assert "is in the way" in result.stderr


def test_a_run_that_fails_is_reported_and_the_others_go_on(
    automix: Automix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_FAILS", "mixup")
    result = compare(automix, "--methods", "vanilla,mixup,cutmix", "--seeds", "0")
    assert result.exit_code == 3
    assert "1 of 3 runs failed" in result.stderr
    assert "mixup-seed0: failed with exit code 3: error: it broke" in result.stderr
    assert "hint: mend it" in result.stderr
    assert "it smells" not in result.stderr
    content = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert [row["name"] for row in content["methods"]] == ["vanilla", "cutmix"]
    assert "it broke" in content["missing"]["mixup-seed0"]
    assert "mixup-seed0" in (tmp_path / "out" / "compare.md").read_text()
    monkeypatch.delenv("STAND_IN_FAILS")
    again = compare(automix, "--methods", "vanilla,mixup,cutmix", "--seeds", "0")
    assert again.exit_code == 0, again.output
    assert "2 of 3 runs are finished already" in again.stderr


def test_a_run_that_is_killed_does_not_lose_the_others(
    automix: Automix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_KILLED", "vanilla")
    result = compare(automix, "--methods", "vanilla,mixup", "--seeds", "0")
    assert result.exit_code == 1
    assert "vanilla-seed0: failed with killed by signal 9" in result.stderr
    assert "mixup" in result.stdout


def test_when_every_run_fails_there_is_no_table(
    automix: Automix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_FAILS", "seed")
    result = compare(automix, "--methods", "vanilla", "--seeds", "0")
    assert result.exit_code == 3
    assert result.stdout == ""
    assert not (tmp_path / "out" / "compare.json").exists()


def test_variables_count_once_and_do_not_overrule_the_seed_of_a_run(
    automix: Automix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOMIX_RUN__SEED", "77")
    monkeypatch.setenv("AUTOMIX_TRAIN__EPOCHS", "3")
    assert compare(automix, "--methods", "vanilla", "--seeds", "1").exit_code == 0
    wanted = (tmp_path / "out" / "vanilla-seed1.toml").read_text()
    assert "seed = 1\n" in wanted
    assert "epochs = 3\n" in wanted
    assert started(tmp_path / "out" / "vanilla-seed1.log")[0].endswith("variables []")


def test_variants_are_rows_with_their_settings_beside_the_presets_own_method(
    automix: Automix, tmp_path: Path
) -> None:
    wanted = ("--variant", "No area loss: mix.mask_area_weight=0, mix.alpha=1")
    other = ("--variant", "strong: mix.method=cutmix, mix.alpha=0.7")
    result = compare(automix, *wanted, *other, "--seeds", "0", "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["methods"]
    assert [row["name"] for row in rows] == ["automix", "No area loss", "strong"]
    assert [row["method"] for row in rows] == ["automix", "automix", "cutmix"]
    assert "note: No area loss: mix.mask_area_weight=0, mix.alpha=1" in result.stderr
    settings = (tmp_path / "out" / "no-area-loss-seed0" / "settings.toml").read_text()
    assert "mask_area_weight = 0\n" in settings or "mask_area_weight = 0.0\n" in settings
    assert "alpha = 0.7\n" in (tmp_path / "out" / "strong-seed0" / "settings.toml").read_text()


def test_the_usual_folder_methods_and_seeds(automix: Automix, tmp_path: Path) -> None:
    result = automix("compare", STAND_IN)
    assert result.exit_code == 0, result.output
    assert "using preset digits-tiny" in result.stderr
    made = {each.parent.name for each in tmp_path.glob("runs/compare/digits-tiny/*/summary.json")}
    methods = ("vanilla", "mixup", "cutmix", "automix")
    assert made == {f"{method}-seed{seed}" for method in methods for seed in (0, 1, 2)}


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--methods", "cutmx"], "did you mean `cutmix`?"),
        (["--methods", "vanilla,vanilla"], "would share the folder `vanilla-seed...`"),
        (["--methods", ""], "`--methods` must name something"),
        (["--methods", "vanilla,,mixup"], "`--methods` must name something"),
        (["--seeds", ""], "`--seeds` must name something"),
        (["--seeds", "0,one"], "must be whole numbers separated by commas, got `one`"),
        (["--seeds", "-1"], "got `-1`"),
        (["--seeds", "4294967296"], "`run.seed` must be"),
        (["--seeds", "0,1,0"], "`--seeds` names 0 twice"),
        (["--variant", "no colon"], "must be NAME: KEY=VALUE"),
        (["--variant", "nothing:"], "must be NAME: KEY=VALUE"),
        (["--variant", "=1: mix.alpha=1"], "must begin with a letter or digit"),
        (["--variant", "a: mix.alhpa=1"], "`a`: unknown setting `mix.alhpa`"),
        (["--variant", "a b: mix.alpha=1", "--variant", "A-B: mix.alpha=3"], "would share"),
        (["--variant", "vanilla: mix.alpha=1", "--methods", "vanilla"], "would share"),
        (["--variant", "other: data.name=cifar10"], "on different data"),
        (
            ["--set=data.name=folder", "--variant", "b: data.dir=b"],
            "on different data",
        ),
        (["--set", "mix.method=mixup"], "both --methods and --set give `mix.method`"),
        (["--set", "run.seed=1"], "both --seeds and --set give `run.seed`"),
        (["--set", "run.output_dir=x"], "both --output-dir and --set"),
        (["--preset", "digits-tyni"], "did you mean `digits-tiny`?"),
        (["--launcher", "no-such-program", "--methods", "vanilla"], "cannot start"),
        (["runs/a", "--methods", "vanilla"], "`--methods` is for new ones"),
        (["runs/a", "--epochs", "1"], "`--epochs` is for new ones"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_makes_no_sense_is_refused_before_anything_is_trained(
    automix: Automix, tmp_path: Path, arguments: list[str], part: str
) -> None:
    result = automix("compare", "-o", "out", *arguments)
    assert result.exit_code == 2, result.output
    assert part in result.stderr
    assert not list(tmp_path.rglob("settings.toml"))


def test_several_processes_of_one_comparison_are_refused(
    automix: Automix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    result = compare(automix)
    assert result.exit_code == 2
    assert "--launcher" in result.stderr


def test_two_comparisons_cannot_work_in_one_folder(automix: Automix, tmp_path: Path) -> None:
    with sole_owner(tmp_path / "out"):
        result = compare(automix, "--methods", "vanilla", "--seeds", "0")
    assert result.exit_code == 2
    assert "another `automix compare`" in result.stderr


def test_a_training_that_outlives_the_comparison_keeps_the_folder(tmp_path: Path) -> None:
    with sole_owner(tmp_path) as lock:
        orphan = subprocess.Popen(["sleep", "60"], pass_fds=(lock,))
    try:
        with pytest.raises(SettingsError, match="a training it started"), sole_owner(tmp_path):
            pass
    finally:
        orphan.kill()
        orphan.wait()
    with sole_owner(tmp_path):
        pass


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGINT, 130, id="Ctrl-C"),
        pytest.param(signal.SIGTERM, 143, id="SIGTERM", marks=pytest.mark.slow),
    ],
)
def test_a_signal_reaches_the_training_once_and_the_same_command_goes_on(
    automix: Automix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    monkeypatch.setenv("STAND_IN_WAITS", "mixup")
    methods = ("--methods", "vanilla,mixup,cutmix", "--seeds", "0")
    arguments = ["compare", "-p", "digits-tiny", "-o", "out", STAND_IN, *methods]
    process = start(arguments, folder=tmp_path)
    run = tmp_path / "out" / "mixup-seed0"
    wait_for((run / "metrics.jsonl").exists, process)
    process.send_signal(number)
    output, errors = finish(process, code=code)
    assert "the same command goes on from here" in errors
    assert "stopped by signal" in errors
    assert "vanilla" in output
    assert (run / "ckpt.pt").exists()
    assert f"received [{int(number)}]" in run.with_name("mixup-seed0.log").read_text()
    content = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert set(content["missing"]) == {"mixup-seed0", "cutmix-seed0"}
    result = compare(automix, *methods)
    assert result.exit_code == 0, result.output
    assert started(run.with_name("mixup-seed0.log"))[1].startswith("started with --resume")


@pytest.mark.slow
def test_a_comparison_that_is_stopped_and_continued_is_as_if_never_stopped(
    tmp_path: Path,
) -> None:
    shorter = (*LONGER, "--set=train.max_steps=30")
    arguments = ["compare", *shorter, "--methods", "vanilla", "--seeds", "0", "-o"]
    finish(start([*arguments, "whole"], folder=tmp_path))
    process = start([*arguments, "stopped"], folder=tmp_path)
    run = tmp_path / "stopped" / "vanilla-seed0"
    wait_for(lambda: has_reached(run, 5), process)
    process.send_signal(signal.SIGTERM)
    finish(process, code=143)
    assert (run / "ckpt.pt").exists()
    assert not (run / "summary.json").exists()
    finish(start([*arguments, "stopped"], folder=tmp_path))
    whole, stopped = (
        tmp_path / folder / "vanilla-seed0" / "classifier.safetensors"
        for folder in ("whole", "stopped")
    )
    assert whole.read_bytes() == stopped.read_bytes()


@pytest.mark.slow
def test_a_launcher_starts_several_processes_for_each_run(tmp_path: Path) -> None:
    launcher = f"{sys.executable} -m torch.distributed.run --standalone --nproc_per_node 2"
    arguments = ["compare", *QUICK, "--methods", "vanilla", "--seeds", "1", "-o", "out"]
    output, _ = finish(start([*arguments, "--json", "--launcher", launcher], folder=tmp_path))
    summary = json.loads((tmp_path / "out" / "vanilla-seed1" / "summary.json").read_text())
    (row,) = json.loads(output)["methods"]
    assert row["top1"]["values"] == [summary["last"]["test"]["momentum_one_hot"]["top1"]]
    assert row["peak_memory_bytes"] == summary["peak_memory_bytes"]
    assert row["seconds_per_epoch"] > 0
    assert (summary["num_processes"], summary["seed"]) == (2, 1)
