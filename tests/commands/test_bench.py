"""`automix bench`: what it measures, and what it refuses."""

import io
import json
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from automix_cli.commands import bench, bench_process, bench_setups
from automix_cli.commands.comparing.arms import Arm
from automix_cli.commands.requests.bench import BenchRequest
from automix_cli.errors import AutoMixError, SettingsError
from automix_cli.reporting.bench_tables import bench_tables, growth_figure
from automix_cli.settings.layering import Overrides, load

TINY = Overrides(
    preset="digits-tiny", sets=("train.batch_size=4", "run.device=cpu", "train.log_every=1")
)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("bench")
    request = BenchRequest(
        rounds=1,
        versus=("cutmix",),
        versus_settings=("no embedding: mix.lam_embedding=none",),
        grow="train.batch_size=2,4",
        num_classes=7,
        folder=folder,
        memory=False,
    )
    bench.run(TINY, request)
    assert (folder / "bench-growth.png").is_file()
    return json.loads((folder / "bench.json").read_text())


def test_everything_asked_for_is_measured(measured: dict) -> None:
    assert [row["name"] for row in measured["rows"]] == [
        "automix",
        "vanilla",
        "vanilla, float32, contiguous",
        "cutmix",
        "no embedding",
    ]
    assert all(len(row["seconds"]) == 1 for row in measured["rows"])
    assert [row["value"] for row in measured["growth"]] == [
        "train.batch_size=2",
        "train.batch_size=4",
    ]


def test_arithmetic_is_nine_forwards_for_three_of_vanilla(measured: dict) -> None:
    """Four forwards, two of three passes back for the classifier, one for the momentum one."""
    automix, vanilla, plain, cutmix, _ = (row["flops"] for row in measured["rows"])
    assert vanilla == plain == cutmix
    assert 2.9 < automix / vanilla < 3.2


def test_a_step_has_the_parts_of_the_method(measured: dict) -> None:
    passes = ("classifier, clean images", "classifier, mixed images")
    passes += ("momentum classifier, mixed images",)
    wanted = {
        "data",
        "momentum classifier, clean images",
        "mix block",
        "optimizer",
        "momentum update",
    }
    wanted |= {*passes, *(f"backward: {each}" for each in passes)}
    assert wanted <= measured["parts"].keys()


def test_twice_the_batch_is_twice_the_arithmetic(measured: dict) -> None:
    small, large = (row["flops"] for row in measured["growth"])
    assert large == pytest.approx(2 * small, rel=0.01)


def test_ratios_are_of_the_same_round(measured: dict) -> None:
    automix, vanilla, plain, cutmix, _ = measured["rows"]
    for row in measured["rows"]:
        for name, unit in (("times_vanilla", vanilla), ("times_plain", plain)):
            assert row[name]["rounds"] == [row["seconds"][0] / unit["seconds"][0]]
            assert row[name]["median"] == row[name]["rounds"][0]
    assert [pair["over"] for pair in measured["pairs"]] == ["cutmix", "no embedding"]
    assert measured["pairs"][0]["rounds"] == [automix["seconds"][0] / cutmix["seconds"][0]]


def test_each_row_says_the_precision_it_was_built_with() -> None:
    """Accelerate keeps one state for all accelerators of a process, that of the newest."""
    half = bench_setups.set_up(Arm("a", "--vs", None, ("train.mixed_precision=bf16",)), TINY, 3)
    full = bench_setups.set_up(Arm("b", "--vs", None, ("train.mixed_precision=no",)), TINY, 3)
    assert (half.mixed_precision, full.mixed_precision) == ("bf16", "no")
    assert (half.number_format, full.number_format) == (torch.bfloat16, torch.float32)


def test_adautomix_has_the_parts_of_automix() -> None:
    setup = bench_setups.set_up(Arm("a", "--vs", "adautomix"), TINY, 3)
    parts = bench.parts_of(setup)
    block = setup.prepared.training.accelerator.unwrap_model(setup.prepared.training.model)
    assert "masks" not in vars(block.mix_block)  # the clock gave the calls back
    assert {"mix block", "classifier, mixed images", "momentum update"} <= parts.keys()


def test_the_process_that_measures_memory_has_the_settings_of_its_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A variable of the environment would beat the row's `--config`."""
    given: dict[str, str] = {}

    def started(*arguments: object, env: dict[str, str], **named: object) -> object:
        given.update(env)
        return SimpleNamespace(
            stdin=io.StringIO(), stdout=io.StringIO("7"), kill=list, communicate=list
        )

    monkeypatch.setenv("AUTOMIX_MIX__METHOD", "cutmix")
    monkeypatch.setattr(bench_process.subprocess, "Popen", started)
    assert bench.memory_of(Arm("vanilla", "--vs", "vanilla"), TINY, BenchRequest()) == 7
    assert given["PATH"]
    assert "AUTOMIX_MIX__METHOD" not in given


def test_a_process_of_its_own_answers_line_by_line() -> None:
    answers = io.StringIO()
    bench_process.answer_questions(TINY, 3, ["seconds 0\n", "peak 1\n"], answers)
    seconds, peak = map(json.loads, answers.getvalue().splitlines())
    assert 0 < seconds < 60
    assert peak > 2**20


def test_a_process_that_ends_is_quoted() -> None:
    """Its settings are refused there: a file that the reader of settings does not take."""
    settings, _ = load(TINY, environment={})
    wrong = settings.model_copy(update={"mix": settings.mix.model_copy(update={"alpha": -1.0})})
    with (
        closing(bench_process.BenchProcess("mine", wrong, 3)) as process,
        pytest.raises(AutoMixError, match=r"measuring `mine` failed[\s\S]*mix\.alpha"),
    ):
        process.seconds_of(0)


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_measured(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SettingsError, match="cannot write a report into the folder"):
        bench.run(TINY, BenchRequest(folder=tmp_path / "file" / "folder"))


def test_more_classes_are_more_arithmetic(tmp_path: Path) -> None:
    request = BenchRequest(rounds=1, grow="classes=2,50", folder=tmp_path, memory=False)
    bench.run(TINY, request)
    few, many = json.loads((tmp_path / "bench.json").read_text())["growth"]
    assert [few["value"], many["value"]] == ["classes=2", "classes=50"]
    assert few["flops"] < many["flops"]


@pytest.mark.parametrize(
    "text",
    ["train.batch_size", "train.batch_size=4", "=1,2", "classes=1,2", "classes=2,many"],
)
def test_a_growth_without_values_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        bench.run(TINY, BenchRequest(grow=text))


def test_no_rounds_are_refused() -> None:
    with pytest.raises(SettingsError, match="`--rounds` must be at least 1, got `0`"):
        bench.run(TINY, BenchRequest(rounds=0))


def test_an_unknown_method_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=r"`mix\.method` must be one of"):
        bench.run(TINY, BenchRequest(versus=("mixupp",)))


@pytest.mark.slow
def test_memory_is_that_of_a_process_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    larger = Overrides(preset=TINY.preset, sets=(*TINY.sets[1:], "train.batch_size=512"))
    bench.run(larger, BenchRequest(rounds=1, as_json=True))
    automix, vanilla, _ = json.loads(capsys.readouterr().out)["rows"]
    assert automix["peak_memory_bytes"] > vanilla["peak_memory_bytes"] > 2**28


def test_fast_mode_is_measured_as_the_mean_over_its_steps(tmp_path: Path) -> None:
    """A step of rest lacks a third of the passes beyond vanilla's: 2 of 9; halves, half of all."""
    request = BenchRequest(
        rounds=1,
        versus_settings=(
            "every 4th: mix.mix_block_interval=4",
            "halves: mix.clean_share=0.5, mix.mixed_share=0.5",
            "clean for half: mix.one_hot_fraction=0.5",
        ),
        folder=tmp_path,
        memory=False,
    )
    bench.run(TINY, request)
    rows = json.loads((tmp_path / "bench.json").read_text())["rows"]
    full, vanilla, _, every_4th, halves, clean_for_half = (row["flops"] for row in rows)
    one_pass = vanilla / 3
    assert every_4th == pytest.approx(full - 0.75 * 2 * one_pass, rel=0.02)
    assert halves == pytest.approx(full / 2, rel=0.02)
    assert clean_for_half == pytest.approx(full - 0.5 * 3 * one_pass, rel=0.02)


def test_the_tables_fit_into_80_columns(measured: dict) -> None:
    slow = {**measured, "rows": [{**row, "seconds": [12.3456]} for row in measured["rows"]]}
    shown = Console(width=80, record=True, file=io.StringIO())
    shown.print(*bench_tables(slow)[:3])
    text = shown.export_text()
    assert "12,346 to 12,346" in text
    assert "…" not in text


def test_growth_is_drawn_at_the_numbers_that_grow() -> None:
    def grown(*values: str) -> tuple[str, list[float]]:
        row = {"seconds": [1.0], "flops": 1e9, "peak_memory_bytes": None}
        axes = growth_figure([{**row, "value": f"key={value}"} for value in values]).axes[0]
        return axes.get_xscale(), list(axes.get_xticks())

    assert grown("25", "50", "100") == ("linear", [25, 50, 100])
    assert grown("10", "100", "1000") == ("log", [10, 100, 1000])
    assert grown("l1", "none") == ("linear", [1, 2])
