"""Who sets what, in which order."""

from pathlib import Path

import pytest

from automix_cli import presets
from automix_cli.errors import SettingsError
from automix_cli.settings import Settings
from automix_cli.settings.keys import all_keys
from automix_cli.settings.layering import Flag, Layer, Overrides, load

NOTHING: dict[str, str] = {}


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_without_layers_every_value_is_its_default() -> None:
    settings, origins = load(Overrides(), environment=NOTHING)
    assert settings == Settings()
    assert origins == dict.fromkeys(all_keys(), "default")


def test_each_layer_wins_over_the_ones_before_and_is_remembered(tmp_path: Path) -> None:
    first = write(tmp_path / "first.toml", "[train]\nepochs = 3\n")
    second = write(tmp_path / "second.toml", "[train]\nepochs = 4\n")
    base = Layer({"train": {"epochs": 1}}, "checkpoint a")
    variable = {"AUTOMIX_TRAIN__EPOCHS": "5"}
    seen = [
        load(Overrides(), base=base, environment=NOTHING),
        load(Overrides(preset="digits-tiny"), base=base, environment=NOTHING),
        load(Overrides("digits-tiny", (first,)), base=base, environment=NOTHING),
        load(Overrides("digits-tiny", (first, second)), base=base, environment=NOTHING),
        load(Overrides("digits-tiny", (first, second)), base=base, environment=variable),
        load(
            Overrides("digits-tiny", (first,), sets=("train.epochs=6",)),
            base=base,
            environment=variable,
        ),
        load(
            Overrides("digits-tiny", flags=(Flag("--epochs", "train.epochs", 7),)),
            environment=variable,
        ),
    ]
    tiny = presets.read("digits-tiny").values["train"]["epochs"]
    assert [(settings.train.epochs, origins["train.epochs"]) for settings, origins in seen] == [
        (1, "checkpoint a"),
        (tiny, "preset digits-tiny"),
        (3, str(first)),
        (4, str(second)),
        (5, "environment AUTOMIX_TRAIN__EPOCHS"),
        (6, "--set"),
        (7, "--epochs"),
    ]


def test_layers_are_merged_key_by_key(tmp_path: Path) -> None:
    file = write(tmp_path / "a.toml", "[optimizer]\nmin_lr = 0.01\n")
    overrides = Overrides("cifar100-r18", (file,), sets=("optimizer.momentum=0.8",))
    optimizer = load(overrides, environment=NOTHING)[0].optimizer
    assert (optimizer.lr, optimizer.min_lr, optimizer.momentum) == (0.1, 0.01, 0.8)


def test_the_last_of_several_set_options_wins() -> None:
    overrides = Overrides(sets=("run.seed=1", "run.seed=2"))
    assert load(overrides, environment=NOTHING)[0].run.seed == 2


def test_the_preset_is_remembered_in_the_settings() -> None:
    settings, origins = load(Overrides(preset="cifar10-r18"), environment=NOTHING)
    assert settings.run.preset == "cifar10-r18"
    assert origins["run.preset"] == "preset cifar10-r18"


def test_the_process_environment_is_read_unless_another_is_given(monkeypatch) -> None:
    monkeypatch.setenv("AUTOMIX_RUN__SEED", "11")
    assert load(Overrides())[0].run.seed == 11
    assert load(Overrides(), environment=NOTHING)[0].run.seed == 0


def test_other_variables_of_the_environment_do_not_matter() -> None:
    environment = {"PATH": "/bin", "_AUTOMIX_COMPLETE": "x", "automix_run__seed": "3"}
    assert load(Overrides(), environment=environment)[0] == Settings()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("optimizer.lr=0.05", 0.05),
        ("optimizer.lr = 1e-3", 0.001),
        ("optimizer.lr=1", 1.0),
        ("train.epochs=1_000", 1000),
        ("data.flip=false", False),
        ("mix.upsampling=bilinear", "bilinear"),
        ('mix.upsampling="bilinear"', "bilinear"),
        ("mix.lam_embedding=none", "none"),
        ("model.backbone=123", "123"),
        ("model.backbone=true", "true"),
        ("model.backbone=a=b", "a=b"),
        ("data.dir=2024", Path("2024")),
        ("optimizer.clip_norm=5", 5.0),
        ("optimizer.clip_norm=none", None),
        ("run.output_dir=none", None),
        ("train.mixed_precision=no", "no"),
        ("train.mixed_precision=none", None),
    ],
)
def test_a_text_value_is_a_toml_literal_or_itself(text: str, value: object) -> None:
    key = text.partition("=")[0].strip()
    variable = "AUTOMIX_" + key.replace(".", "__").upper()
    by_flag = load(Overrides(sets=(text,)), environment=NOTHING)[0]
    by_variable = load(Overrides(), environment={variable: text.partition("=")[2].strip()})[0]
    section, name = key.split(".")
    assert getattr(getattr(by_flag, section), name) == value
    assert by_variable == by_flag


def test_a_text_value_cannot_smuggle_in_a_second_key() -> None:
    overrides = Overrides(sets=("run.seed=1\nvalue2 = 2",))
    with pytest.raises(SettingsError, match=r"`run\.seed` must be a whole number"):
        load(overrides, environment=NOTHING)


def alpha_of(*configs: Path, method: str | None = None, **more: object) -> float | None:
    flags = () if method is None else (Flag("--method", "mix.method", method),)
    overrides = Overrides("cifar100-r18", configs, flags, more.get("sets", ()))
    return load(overrides, environment=more.get("environment", NOTHING))[0].mix.alpha


def test_a_presets_alpha_goes_with_its_method() -> None:
    assert alpha_of() == 2.0
    assert alpha_of(method="automix") == 2.0
    assert alpha_of(method="cutmix") == 0.2
    assert alpha_of(method="vanilla") is None


def test_an_alpha_that_comes_with_the_method_stays(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.toml", '[mix]\nalpha = 0.7\nmethod = "mixup"\n')
    assert alpha_of(file) == 0.7
    assert alpha_of(file, method="mixup") == 0.7
    assert alpha_of(file, method="cutmix") == 0.2
    assert alpha_of(method="mixup", sets=("mix.alpha=0.5",)) == 0.5
    assert alpha_of(sets=("mix.alpha=0.5", "mix.method=mixup")) == 0.5
    assert alpha_of(method="mixup", environment={"AUTOMIX_MIX__ALPHA": "0.4"}) == 0.4


def test_what_else_is_a_methods_own_goes_with_it_too(tmp_path: Path) -> None:
    text = '[mix]\nlam_embedding = "none"\nmask_area_loss = "sparsity"\nlam_rescale = 0.25\n'
    file = write(tmp_path / "mine.toml", text)

    def loaded(*flags: Flag, **more: object):
        overrides = Overrides(configs=(file,), flags=flags, **more)
        return load(overrides, environment=NOTHING)[0].mix

    samix = Flag("--method", "mix.method", "samix")
    assert (loaded().lam_embedding, loaded().mask_area_loss) == ("none", "sparsity")
    assert (loaded(samix).lam_embedding, loaded(samix).mask_area_loss) == (
        "multiply",
        "l1+variance",
    )
    assert loaded(samix).lam_rescale == 0.25  # the data set's, not AutoMix's
    assert loaded(samix, sets=("mix.lam_embedding=none",)).lam_embedding == "none"


def test_an_alpha_left_out_is_said_to_be_the_default() -> None:
    flag = Flag("--method", "mix.method", "cutmix")
    _, origins = load(Overrides("cifar100-r18", flags=(flag,)), environment=NOTHING)
    assert (origins["mix.method"], origins["mix.alpha"]) == ("--method", "default")
