from collections.abc import Iterator

import jaxtyping
import pytest

from automix_cli.method import (
    AdaptiveMaskOptions,
    AdAutoMixOptions,
    AutoMixOptions,
    MixBlockOptions,
    SAMixBlockOptions,
)


@pytest.fixture
def _as_in_production() -> Iterator[None]:
    """Do not execute annotations, which would refuse wrong words before the options do."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("_as_in_production")
@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        (AutoMixOptions, "alpha", 0.0),
        (AutoMixOptions, "lam_margin", 0.5),
        (AutoMixOptions, "mask_area_margin", -0.1),
        (AutoMixOptions, "mask_adjust_probability", 1.1),
        (AutoMixOptions, "skip_mix_block_probability", 1.0),
        (AutoMixOptions, "mix_block_interval", 0),
        (AutoMixOptions, "one_hot_fraction", 1.1),
        (AutoMixOptions, "clean_share", 0.0),
        (AutoMixOptions, "mixed_share", 1.1),
        (AutoMixOptions, "label_smoothing", 1.0),
        (AutoMixOptions, "mix_block_weight", -1.0),
        (AutoMixOptions, "upsampling", "bicubic"),
        (AutoMixOptions, "mask_area_loss", "l2"),
        (MixBlockOptions, "reduction", 0),
        (MixBlockOptions, "lam_embedding", "mul"),
        (SAMixBlockOptions, "lam_embedding", "concat"),
        (SAMixBlockOptions, "lam_rescale", -1.0),
        (SAMixBlockOptions, "reduction", 0),
        (SAMixBlockOptions, "value_dropout", 1.0),
        (AdaptiveMaskOptions, "reduction", 0),
        (AdaptiveMaskOptions, "projection_norm", "group"),
        (AdAutoMixOptions, "alpha", 0.0),
        (AdAutoMixOptions, "num_images", 1),
        (AdAutoMixOptions, "lam_margin", 0.5),
        (AdAutoMixOptions, "lam_margin_test", "flipped"),
        (AdAutoMixOptions, "adversarial_interval", 0),
        (AdAutoMixOptions, "adversarial_share", 1.1),
        (AdAutoMixOptions, "mixup_share", -0.1),
        (AdAutoMixOptions, "mixed_weight", -1.0),
        (AdAutoMixOptions, "label_smoothing", 1.0),
        (AdAutoMixOptions, "skip_mix_block_probability", 1.0),
    ],
)
def test_a_value_without_meaning_is_refused_by_name_and_value(
    options: type, name: str, value: object
) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` must be .*, got `{value}`"):
        options(**{name: value})


def test_the_defaults_are_the_documented_ones() -> None:
    options, block = AutoMixOptions(), MixBlockOptions()
    assert (block.lam_embedding, block.reduction, block.projection_norm) == ("concat", 2, "none")
    assert block.sigmoid_after_upsampling
    assert (options.alpha, options.upsampling, options.lam_margin) == (2.0, "nearest", 0.08)
    assert (options.mask_area_loss, options.mask_area_reduction) == ("l1", "per_sample")
    assert (options.mask_area_margin, options.label_smoothing) == (0.1, 0.0)
    assert (options.mask_adjust_probability, options.skip_mix_block_probability) == (0.0, 0.0)
    assert (options.momentum_mode, options.momentum_buffers) == ("train", "own")
    assert options.momentum_clean_pass == "full"
