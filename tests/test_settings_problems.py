"""What is said about wrong settings: wanted, got, from where, and how to mend it."""

from pathlib import Path

import pytest

from automix_cli.errors import SettingsError
from automix_cli.settings.layering import Flag, Overrides, load


def problem(overrides: Overrides, environment: dict[str, str] | None = None) -> SettingsError:
    """The error that loading ends with."""
    with pytest.raises(SettingsError) as caught:
        load(overrides, environment=environment or {})
    return caught.value


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "mix.alpha=-1.0",
            "`mix.alpha` must be a number greater than 0, got `-1.0` (from --set)",
            "`mix.alpha`: Concentration of Beta(alpha, alpha)",
        ),
        ("mix.alhpa=1", "unknown setting `mix.alhpa` (from --set)", "did you mean `mix.alpha`?"),
        ("lr=1", "unknown setting `lr` (from --set)", "did you mean `optimizer.lr`?"),
        ("zzz.qqq=1", "unknown setting `zzz.qqq`", "`automix settings` lists all of them"),
        ("mix=1", "`mix` is a section, not a setting (from --set)", "such as `mix.method`"),
        ("mix.alpha", "`--set mix.alpha` must be KEY=VALUE", "`--set optimizer.lr=0.05`"),
        ("optimizer.lr=.05", "`optimizer.lr` must be a number", "did you mean `0.05`"),
        ("train.epochs=1e2", "`train.epochs` must be a whole number", "did you mean `100`?"),
        ("data.flip=False", "`data.flip` must be `true` or `false`", "did you mean `false`"),
        ("optimizer.name=sdg", "one of `sgd`, `adamw`, `lamb`, got `sdg`", "did you mean `sgd`?"),
        ("optimizer.eps=inf", "`optimizer.eps` must be a finite number, got `inf`", "AdamW"),
        ("run.seed=0xffffffffffffffffff", "`run.seed` must fit in 64 bits (from --set)", None),
        ("run.preset=a", "`run.preset` is not set by hand (from --set)", "`--preset a`"),
        ("mix.alpha=[[1]]", "`mix.alpha` must be a number greater than 0, got `[[1]]`", "Beta"),
        ("mix.alpha=" + "[" * 5000, "`mix.alpha` must be a number greater than 0", "Beta"),
        ("data.dir=\udcff", "`data.dir` must be UTF-8, got `'\\udcff'` (from --set)", "saved"),
        ("model.feature_stage=\x1b[31m", "got `'\\x1b[31m'` (from --set)", "Stage"),
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_a_problem_says_what_was_wanted_got_from_where_and_how_to_mend_it(
    text: str, message: str, hint: str | None
) -> None:
    error = problem(Overrides(sets=(text,)))
    assert error.exit_code == 2
    assert message in error.message
    assert error.hint is None if hint is None else hint in (error.hint or "")


def test_values_that_do_not_go_together_are_named_with_their_origins() -> None:
    error = problem(Overrides("cifar100-r18", sets=("optimizer.lr=0.01",)))
    assert error.message == (
        "`optimizer.min_lr` must be at most `optimizer.lr`, got "
        "`optimizer.min_lr = 0.05` (from preset cifar100-r18) and "
        "`optimizer.lr = 0.01` (from --set)"
    )


def test_a_default_in_a_broken_rule_is_called_a_default() -> None:
    error = problem(Overrides(sets=("optimizer.warmup_epochs=200",)))
    assert error.message.endswith("and `train.epochs = 200` (from default)")


def test_a_flag_and_set_for_the_same_key_are_refused() -> None:
    overrides = Overrides(flags=(Flag("--seed", "run.seed", 1),), sets=("run.seed=2",))
    assert problem(overrides).message == "both --seed and --set give `run.seed`"


def test_all_problems_of_all_layers_are_reported_together(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("mix = 1\n[optimiser]\nlr = 1\n[data]\nflip = 1\n", encoding="utf-8")
    overrides = Overrides(
        preset="cifar100-r81",
        configs=(tmp_path / "missing.toml", file),
        sets=("mix.alhpa=1", "train.epochs=0"),
    )
    error = problem(overrides, {"AUTOMIX_OPTIMISER__LR": "1"})
    numbered = [line for line in error.message.splitlines() if line[2:3].isdigit()]
    assert error.message.startswith("8 problems in the settings\n")
    assert [line[5:].split(" (from")[0].split(", got")[0] for line in numbered] == [
        "unknown preset `cifar100-r81`",
        f"there is no file `{tmp_path}/missing.toml`",
        "`mix` must be a table",
        "unknown section `[optimiser]`",
        "unknown environment variable `AUTOMIX_OPTIMISER__LR`",
        "unknown setting `mix.alhpa`",
        "`data.flip` must be `true` or `false`",
        "`train.epochs` must be a whole number of at least 1",
    ]
    assert error.message.count("     hint: ") == 7  # an absolute path needs none
    assert error.hint == "`automix settings` lists every key and range"


def test_a_rule_is_not_held_against_a_layer_that_could_not_be_read() -> None:
    # with the missing preset, `optimizer.min_lr` might have been small enough
    error = problem(Overrides("no-such", sets=("optimizer.min_lr=0.5",)))
    assert error.message == "unknown preset `no-such`"


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("AUTOMIX_OPTIMIZER_LR", "did you mean `AUTOMIX_OPTIMIZER__LR`?"),
        ("AUTOMIX_optimizer__lr", None),
        ("AUTOMIX_X", "they are named like `AUTOMIX_OPTIMIZER__LR`"),
    ],
)
def test_an_unknown_variable_of_ours_is_an_error(variable: str, hint: str | None) -> None:
    error = problem(Overrides(), {variable: "1"})
    assert error.message == f"unknown environment variable `{variable}`"
    assert hint is None or error.hint == hint
