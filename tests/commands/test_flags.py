"""Which setting each flag of `automix train` stands for, and what a run starts from."""

from pathlib import Path

import pytest

TINY = ("train", "--preset", "digits-tiny", "--print-config")


def printed(text: str) -> dict[str, tuple[str, str]]:
    """Value and origin by name, from printed settings."""
    rows: dict[str, tuple[str, str]] = {}
    for line in text.splitlines():
        assignment, _, origin = line.rpartition("  # ")
        name, equals, value = assignment.partition(" = ")
        if equals:
            rows[name] = (value.strip(), origin)
    return rows


@pytest.mark.parametrize(
    ("flag", "value", "name", "shown"),
    [
        ("--seed", "3", "seed", "3"),
        ("--method", "fmix", "method", '"fmix"'),
        ("--output-dir", "a/b", "output_dir", '"a/b"'),
        ("--data-dir", "pictures", "dir", '"pictures"'),
        ("--epochs", "7", "epochs", "7"),
        ("--device", "cpu", "device", '"cpu"'),
        ("--mixed-precision", "bf16", "mixed_precision", '"bf16"'),
    ],
)
def test_a_flag_sets_its_setting_and_is_its_origin(
    automix, flag: str, value: str, name: str, shown: str
) -> None:
    result = automix(*TINY, flag, value)
    assert printed(result.stdout)[name] == (shown, flag)


def test_the_batch_size_of_training_is_not_the_one_of_evaluation(automix) -> None:
    lines = automix(*TINY, "--batch-size", "24").stdout.splitlines()
    found = [line.split()[2:] for line in lines if line.startswith("batch_size")]
    assert found == [["24", "#", "--batch-size"], ["500", "#", "default"]]


def test_short_flags_and_underscores_mean_the_same(automix) -> None:
    short = automix("train", "-p", "digits-tiny", "-b", "8", "-o", "x", "--print_config")
    long = automix(*TINY, "--batch-size", "8", "--output_dir", "x")
    assert short.stdout == long.stdout != ""


def test_without_preset_or_config_the_embedded_preset_is_used_and_said_once(automix) -> None:
    result = automix("train", "--print-config")
    assert printed(result.stdout)["preset"] == ('"digits-tiny"', "preset digits-tiny")
    assert result.stderr == "no --preset or --config: using preset digits-tiny\n"


def test_only_the_first_process_says_so(automix, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert automix("train", "--print-config").stderr == ""


def test_a_config_file_alone_starts_from_the_defaults(automix, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[run]\nseed = 5\n", encoding="utf-8")
    result = automix("train", "--config", str(file), "--print-config")
    rows = printed(result.stdout)
    assert rows["seed"] == ("5", str(file))
    assert rows["backbone"] == ('"resnet18"', "default")
    assert result.stderr == ""


def test_every_problem_of_the_command_line_is_reported_with_exit_code_2(automix) -> None:
    result = automix(*TINY, "--epochs", "0", "--device", "gpu", "--set", "mix.alhpa=1")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: 3 problems in the settings\n")
    for words in ("got `0` (from --epochs)", "got `gpu` (from --device)", "`mix.alpha`?"):
        assert words in result.stderr


def test_an_unknown_variable_of_the_environment_is_exit_code_2(automix, monkeypatch) -> None:
    monkeypatch.setenv("AUTOMIX_OPTIMIZER_LR", "1")
    result = automix(*TINY)
    assert result.exit_code == 2
    assert "did you mean `AUTOMIX_OPTIMIZER__LR`?" in result.stderr
