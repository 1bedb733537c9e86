"""The settings model: defaults, ranges, strictness, rules, help texts."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from automix_cli.settings import MixSettings, RunSettings, Settings
from automix_cli.settings.keys import all_keys, all_sections, nearest_key
from automix_cli.settings.mix import ALPHAS, LEARNED, OWN

DEFAULTS = {
    "model.backbone": "resnet18",
    "model.stem": "imagenet",
    "model.feature_stage": 3,
    "model.merged_feature": False,
    "model.drop_path_rate": 0.0,
    "model.init": None,
    "model.frozen_stages": 0,
    "model.freeze_batch_norm": "none",
    "model.channels_last": True,
    "data.name": "digits",
    "data.dir": "data",
    "data.download": None,
    "data.mirror": None,
    "data.csv": None,
    "data.holdout": 0.0,
    "data.train_limit": None,
    "data.image_size": None,
    "data.resize": None,
    "data.crop": None,
    "data.crop_padding": 4,
    "data.crop_scale_min": 0.08,
    "data.flip": True,
    "data.interpolation": "bicubic",
    "data.color_jitter": 0.0,
    "data.rand_augment": "none",
    "data.rand_augment_ops": 2,
    "data.rand_augment_magnitude": 9.0,
    "data.rand_augment_std": 0.5,
    "data.rand_augment_probability": 0.5,
    "data.three_augment": False,
    "data.erase_probability": 0.0,
    "data.erase_fill": "noise",
    "data.test_crop_ratio": 1.0,
    "data.repeats": 1,
    "data.storage": "auto",
    "data.decode_on": "cpu",
    "data.workers": None,
    "mix.method": "automix",
    "mix.alpha": None,  # the method's own
    "mix.loss": "cross_entropy",
    "mix.decoupled_weight": 0.0,
    "mix.attention_checkpoint": None,
    "mix.attention_backbone": "resnet18",
    "mix.lam_embedding": None,  # the method's own
    "mix.lam_rescale": None,
    "mix.value_dropout": 0.0,
    "mix.cross_attention": True,
    "mix.upsampling": None,  # the method's own
    "mix.sigmoid_after_upsampling": True,
    "mix.reduction": 2,
    "mix.projection_norm": "none",
    "mix.mask_area_loss": None,  # the method's own
    "mix.mask_area_reduction": "per_sample",
    "mix.mask_area_margin": 0.1,
    "mix.mask_area_weight": 0.1,
    "mix.mask_area_schedule": "cosine",
    "mix.lam_margin": None,  # the method's own
    "mix.lam_margin_test": "corrected",
    "mix.mask_adjust_probability": 0.0,
    "mix.skip_mix_block_probability": 0.0,
    "mix.mix_block_interval": 1,
    "mix.clean_share": 1.0,
    "mix.mixed_share": 1.0,
    "mix.one_hot_fraction": 1.0,
    "mix.avoid_self_pairs": False,
    "mix.share_lam_across_ranks": False,
    "mix.momentum_mode": "train",
    "mix.momentum_buffers": "own",
    "mix.momentum_clean_pass": "full",
    "mix.num_images": 3,
    "mix.vary_num_images": False,
    "mix.adversarial_interval": 2,
    "mix.adversarial_share": 0.3,
    "mix.mixup_share": 0.5,
    "mix.one_hot_weight": 1.0,
    "mix.mixed_weight": 1.0,
    "mix.mix_block_weight": 1.0,
    "mix.label_smoothing": 0.0,
    "optimizer.name": "sgd",
    "optimizer.lr": 0.1,
    "optimizer.min_lr": 0.0,
    "optimizer.momentum": 0.9,
    "optimizer.nesterov": False,
    "optimizer.beta1": 0.9,
    "optimizer.beta2": 0.999,
    "optimizer.eps": 1e-8,
    "optimizer.weight_decay": 1e-4,
    "optimizer.decay_norm_and_bias": True,
    "optimizer.layer_decay": 1.0,
    "optimizer.schedule": "cosine",
    "optimizer.drop_epochs": None,
    "optimizer.schedule_unit": "epoch",
    "optimizer.warmup_epochs": 0.0,
    "optimizer.warmup_ratio": 1e-5,
    "optimizer.mix_block_lr": None,
    "optimizer.mix_block_min_lr": None,
    "optimizer.mix_block_momentum": None,
    "optimizer.mix_block_warmup": True,
    "optimizer.clip_norm": None,
    "train.epochs": 200,
    "train.batch_size": 100,
    "train.accumulation_steps": 1,
    "train.mixed_precision": None,
    "train.compile": "none",
    "train.momentum_coefficient": 0.999,
    "train.momentum_coefficient_end": 0.999999,
    "train.momentum_constant_fraction": 0.1,
    "train.drop_last": False,
    "train.log_every": 50,
    "train.evaluate_every": 1,
    "train.save_every": None,
    "train.trackers": None,
    "train.masks_every": None,
    "train.masks_pairs": 4,
    "train.max_steps": None,
    "evaluation.batch_size": 500,
    "evaluation.weights": "momentum",
    "detection.train": "annotations/instances_train2017.json",
    "detection.train_images": "train2017",
    "detection.test": "annotations/instances_val2017.json",
    "detection.test_images": "val2017",
    "detection.bad_boxes": "refuse",
    "detection.short_side": 800,
    "detection.short_side_min": None,
    "detection.long_side": 1333,
    "detection.channels": 256,
    "detection.head_width": 1024,
    "detection.regions": 512,
    "detection.anchor_scale": 8.0,
    "detection.shown_images": 12,
    "run.seed": 0,
    "run.output_dir": None,
    "run.device": "auto",
    "run.deterministic": False,
    "run.keep_freed_memory": True,
    "run.process_timeout": 600,
    "run.preset": None,
}
SHARES = ["mix.mask_area_margin", "mix.mask_adjust_probability", "optimizer.warmup_ratio"]
SHARES += ["train.momentum_constant_fraction", "mix.adversarial_share", "mix.mixup_share"]
SHARES += ["mix.one_hot_fraction"]
SHARES_BELOW_ONE = ["model.drop_path_rate", "data.holdout", "mix.skip_mix_block_probability"]
SHARES_BELOW_ONE += ["mix.label_smoothing", "optimizer.momentum", "optimizer.beta1"]
SHARES_BELOW_ONE += ["optimizer.beta2", "optimizer.mix_block_momentum", "mix.value_dropout"]
POSITIVE = ["mix.alpha", "optimizer.lr", "optimizer.eps", "optimizer.mix_block_lr"]
POSITIVE += ["optimizer.clip_norm"]
NON_NEGATIVE = ["mix.mask_area_weight", "mix.one_hot_weight", "mix.mixed_weight"]
NON_NEGATIVE += ["mix.mix_block_weight", "optimizer.min_lr", "optimizer.weight_decay"]
NON_NEGATIVE += ["optimizer.warmup_epochs", "data.crop_padding", "model.feature_stage", "run.seed"]
NON_NEGATIVE += ["mix.lam_rescale", "train.masks_pairs"]
COUNTS = ["mix.reduction", "train.epochs", "train.batch_size", "train.accumulation_steps"]
COUNTS += ["train.log_every", "train.evaluate_every", "train.save_every", "train.max_steps"]
COUNTS += ["evaluation.batch_size", "mix.adversarial_interval", "train.masks_every"]
COUNTS += ["mix.mix_block_interval"]


def settings_with(**values: object) -> Settings:
    """Settings where `section__key` has the value given."""
    nested: dict[str, dict[str, object]] = {}
    for name, value in values.items():
        section, _, key = name.partition("__")
        nested.setdefault(section, {})[key] = value
    return Settings.model_validate(nested)


def put(key: str, value: object) -> object:
    """What the settings hold after `key` was given `value`."""
    section, name = key.split(".")
    return getattr(getattr(Settings.model_validate({section: {name: value}}), section), name)


def test_keys_and_defaults_are_the_documented_ones() -> None:
    assert {name: key.default for name, key in all_keys().items()} == DEFAULTS


@pytest.mark.parametrize("key", all_keys().values(), ids=lambda key: key.name)
def test_every_key_has_a_help_text_of_whole_sentences(key) -> None:
    assert key.help[0].isupper() or key.help.startswith("AdamW")
    assert key.help.endswith(".")
    assert key.help.isascii()
    assert 0 < len(key.summary) < 200


def test_every_section_says_what_it_is_about() -> None:
    assert all(about.splitlines()[0].endswith(".") for about in all_sections().values())


def test_optional_keys_are_unset_by_default_so_that_absent_means_unset() -> None:
    optional = [key for key in all_keys().values() if key.optional]
    assert len(optional) == 29
    assert all(key.default is None for key in optional)


@pytest.mark.parametrize("key", SHARES)
def test_a_share_reaches_from_0_to_1(key: str) -> None:
    assert [put(key, 0), put(key, 1)] == [0, 1]
    for outside in (-0.001, 1.001):
        with pytest.raises(ValidationError):
            put(key, outside)


@pytest.mark.parametrize("key", SHARES_BELOW_ONE)
def test_a_share_that_must_leave_something_excludes_1(key: str) -> None:
    assert [put(key, 0), put(key, 0.999)] == [0, 0.999]
    for outside in (-0.001, 1):
        with pytest.raises(ValidationError):
            put(key, outside)


@pytest.mark.parametrize("key", POSITIVE)
def test_a_positive_number_excludes_0(key: str) -> None:
    assert put(key, 0.2) == 0.2
    with pytest.raises(ValidationError):
        put(key, 0)


@pytest.mark.parametrize("key", NON_NEGATIVE)
def test_a_number_that_may_be_0_excludes_what_is_below(key: str) -> None:
    assert put(key, 0) == 0
    with pytest.raises(ValidationError):
        put(key, -1)


@pytest.mark.parametrize("key", COUNTS)
def test_a_count_starts_at_1(key: str) -> None:
    assert put(key, 1) == 1
    with pytest.raises(ValidationError):
        put(key, 0)


def test_lam_margin_leaves_room_between_the_two_ends() -> None:
    assert put("mix.lam_margin", 0.499) == 0.499
    with pytest.raises(ValidationError):
        put("mix.lam_margin", 0.5)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("train.epochs", "3"),
        ("train.epochs", 3.0),
        ("train.epochs", True),
        ("mix.alpha", "2"),
        ("mix.alpha", True),
        ("mix.alpha", float("nan")),
        ("mix.alpha", float("inf")),
        ("data.flip", 1),
        ("data.flip", "true"),
        ("model.backbone", 18),
        ("data.dir", 2024),
        ("data.dir", "a\0b"),
        ("data.dir", "~no-such-user-here/x"),
        ("optimizer.name", "SGD"),
    ],
    ids=repr,
)
def test_a_value_of_another_kind_is_refused_and_never_converted(key: str, value: object) -> None:
    with pytest.raises(ValidationError):
        put(key, value)


def test_a_whole_number_is_a_number() -> None:
    alpha = put("mix.alpha", 3)
    assert isinstance(alpha, float)
    assert alpha == 3


def test_text_is_a_path_and_a_tilde_is_the_home_folder() -> None:
    assert put("run.output_dir", "runs/a") == Path("runs/a")
    assert put("data.dir", "~/data") == Path.home() / "data"


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="alhpa"):
        settings_with(mix__alhpa=1)


def test_settings_cannot_be_changed_after_loading() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        RunSettings().seed = 3


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"optimizer__lr": 0.1, "optimizer__min_lr": 0.2}, "`optimizer.min_lr` must be at most"),
        ({"optimizer__mix_block_min_lr": 0.1}, "needs `optimizer.mix_block_lr`"),
        (
            {"optimizer__mix_block_lr": 0.1, "optimizer__mix_block_min_lr": 0.2},
            "`optimizer.mix_block_min_lr` must be at most",
        ),
        ({"optimizer__nesterov": True, "optimizer__momentum": 0}, "`optimizer.nesterov` needs"),
        (
            {"optimizer__nesterov": True, "optimizer__mix_block_momentum": 0},
            "`optimizer.nesterov` needs",
        ),
        (
            {"train__momentum_coefficient": 0.9, "train__momentum_coefficient_end": 0.8},
            "`train.momentum_coefficient` must be at most",
        ),
        ({"train__batch_size": 4, "train__accumulation_steps": 5}, "`train.accumulation_steps`"),
        ({"train__epochs": 5, "optimizer__warmup_epochs": 5}, "`optimizer.warmup_epochs`"),
        ({"mix__one_hot_weight": 0, "mix__mixed_weight": 0}, "must be greater than 0"),
        ({"mix__clean_share": 0.5, "mix__one_hot_weight": 0}, "no unmixed images to share"),
        ({"mix__clean_share": 0.4, "mix__mixed_share": 0.5}, "must add up to 1 or more"),
        ({"mix__mixed_share": 0.5, "mix__one_hot_fraction": 0.5}, "not be used afterwards"),
        ({"mix__one_hot_fraction": 0.5, "mix__one_hot_weight": 0}, "no loss on unmixed images"),
        ({"mix__one_hot_fraction": 0.5, "mix__mixed_weight": 0}, "would learn from nothing"),
        ({"mix__method": "adautomix", "mix__mix_block_interval": 2}, "must be 1 for `adautomix`"),
        ({"mix__method": "adautomix", "mix__mixed_share": 0.5}, "must be 1 for `adautomix`"),
        ({"mix__method": "adautomix", "mix__one_hot_fraction": 0.5}, "must be 1 for `adautomix`"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else None,
)
def test_settings_that_do_not_go_together_are_refused(values, rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        settings_with(**values)


def test_two_broken_rules_of_a_section_are_reported_together() -> None:
    with pytest.raises(ValidationError) as caught:
        settings_with(optimizer__min_lr=0.2, optimizer__mix_block_min_lr=0.1)
    assert "must be at most `optimizer.lr`; `optimizer.mix_block_min_lr` needs" in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("mix.alhpa", "mix.alpha"),
        ("lr", "optimizer.lr"),
        ("train.lr", "optimizer.lr"),
        ("epoch", "train.epochs"),
        ("modle.backbone", "model.backbone"),
        ("mix.mask_area_los", "mix.mask_area_loss"),
        ("nothing.like_it", None),
    ],
)
def test_the_nearest_key_is_the_one_that_was_meant(typed: str, meant: str | None) -> None:
    assert nearest_key(typed) == meant


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        ("mix.alpha", "a number greater than 0"),
        ("mix.lam_margin", "a number of at least 0 and less than 0.5"),
        ("train.epochs", "a whole number of at least 1"),
        ("data.flip", "`true` or `false`"),
        ("optimizer.name", "one of `sgd`, `adamw`, `lamb`"),
        ("train.mixed_precision", "one of `no`, `bf16`, `fp16`"),
        ("data.dir", "a path"),
        ("model.backbone", "text"),
    ],
)
def test_what_a_value_must_be_is_said_in_words(key: str, wanted: str) -> None:
    assert all_keys()[key].wanted == wanted


def mix_of(method: str, **values: object) -> MixSettings:
    """`[mix]` for a method; AttentiveMix+ has its file."""
    return settings_with(
        mix__method=method,
        mix__attention_checkpoint="weights.safetensors",
        **{f"mix__{name}": value for name, value in values.items()},
    ).mix


@pytest.mark.parametrize("method", ALPHAS)
def test_what_is_unset_is_the_methods_own(method: str) -> None:
    for unset in ({}, dict.fromkeys(OWN)):
        mix = mix_of(method, **unset)
        assert {name: getattr(mix, name) for name in OWN} == {
            name: table.get(method, table["automix"]) for name, table in OWN.items()
        }


def test_every_learned_method_has_a_value_of_its_own_for_all_its_settings() -> None:
    for name, table in OWN.items():
        users = [method for method in LEARNED if (name, method) != ("mask_area_loss", "adautomix")]
        assert all(table[method] is not None for method in users)


def test_every_method_has_a_line_in_the_table_of_alphas() -> None:
    assert all_keys()["mix.method"].choices == tuple(ALPHAS)


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"method": "vanilla", "alpha": 1.0}, "`mix.alpha` must be unset: `vanilla` has none"),
        ({"lam_embedding": "multiply"}, "must be `concat` or `none` for `automix`"),
        (
            {"method": "samix", "lam_embedding": "concat"},
            "must be `multiply` or `none` for `samix`",
        ),
        ({"method": "adautomix", "upsampling": "random"}, "must be `nearest` or `bilinear`"),
        ({"method": "adautomix", "cross_attention": False}, "is not offered without"),
        ({"method": "attentivemix"}, "must name a file with ImageNet weights of timm's `resnet18`"),
    ],
)
def test_what_a_method_has_not_is_refused(values: dict[str, object], part: str) -> None:
    with pytest.raises(ValidationError, match=part):
        Settings.model_validate({"mix": values})


@pytest.mark.parametrize("values", [{"data__name": "csv"}, {"data__csv": "a.csv"}])
def test_a_table_and_the_name_csv_go_together(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"`data\.csv` and `data\.name = csv` go together"):
        settings_with(**values)
    assert settings_with(data__name="csv", data__csv="a.csv").data.csv == Path("a.csv")


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"rand_augment_ops": 3}, "need a list, `data.rand_augment`"),
        ({"erase_fill": "mean"}, "needs `data.erase_probability` above 0"),
        ({"crop": "pad", "crop_scale_min": 0.5}, "is of `random_resized` crops"),
    ],
)
def test_settings_of_an_augmentation_need_it(values: dict[str, object], part: str) -> None:
    with pytest.raises(ValidationError, match=part):
        Settings.model_validate({"data": values})


def test_a_mirror_is_an_address_of_the_web() -> None:
    assert put("data.mirror", "https://host/data") == "https://host/data"
    for address in ("file:///etc", "host/data", ""):
        with pytest.raises(ValidationError, match="begins with https:// or http://"):
            put("data.mirror", address)


def test_settings_of_other_methods_do_no_harm() -> None:
    """So that one preset, or one comparison, can say something for several methods."""
    mix = mix_of("cutmix", lam_embedding="none", lam_rescale=0.25, adversarial_share=0.1)
    assert (mix.lam_embedding, mix.lam_rescale, mix.adversarial_share) == ("none", 0.25, 0.1)
