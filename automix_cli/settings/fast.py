"""The part of `[mix]` that makes a step cheaper by doing less: the pieces of fast mode.

Each piece is a setting of its own and off by default. Unlike the levers of speed that keep the
mathematics, they change what is learned.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from automix_cli.settings.methods import MethodSettings
from automix_cli.settings.rules import Count, Rule, Share, require

SomeShare = Annotated[float, Field(gt=0, le=1)]


class FastSettings(MethodSettings):
    """Which work of a step is left out. For AutoMix and SAMix; AdAutoMix is refused with them."""

    mix_block_interval: Count = 1
    """Every how many steps, from the first on, the mix block learns. In between it only makes
    masks, and the momentum classifier does not see mixed images, which saves a forward and a
    backward pass. AutoMix and SAMix."""

    clean_share: SomeShare = 1.0
    """Share of each batch that the classifier sees unmixed: its first images. AutoMix and SAMix."""

    mixed_share: SomeShare = 1.0
    """Share of each batch that is mixed, among itself: its last images. With `clean_share` it must
    add up to 1 or more; 0.5 and 0.5 are the halves of one batch instead of two whole ones, half of
    the work in all three networks. AutoMix and SAMix."""

    momentum_clean_pass: Literal["full", "early"] = "full"
    """Whether the momentum classifier sees the unmixed images to the end, as in the reference, or
    only up to `model.feature_stage`. `early` is faster; batch-norm statistics of the later stages
    then follow mixed images alone. Where there are none that its passes move, `full` is `early`.
    AdAutoMix needs them to the end."""

    one_hot_fraction: Share = 1.0
    """Share of the run after which the classifier is not shown unmixed images any more, which saves
    one of its two passes. Below 1, mixed images train the one-hot head from the start, as with
    `one_hot_weight` 0. AutoMix and SAMix."""

    @model_validator(mode="after")
    def _the_pieces_fit_together(self) -> Self:
        is_adautomix = self.method == "adautomix"
        require(
            Rule(
                not is_adautomix or self.mix_block_interval == 1,
                "`mix.mix_block_interval` must be 1 for `adautomix`, whose mix block learns at "
                "every step",
                ("mix.method", "mix.mix_block_interval"),
            ),
            Rule(
                not is_adautomix or self.clean_share == self.mixed_share == 1,
                "`mix.clean_share` and `mix.mixed_share` must be 1 for `adautomix`, which mixes "
                "whole batches",
                ("mix.method", "mix.clean_share", "mix.mixed_share"),
            ),
            Rule(
                not is_adautomix or self.one_hot_fraction == 1,
                "`mix.one_hot_fraction` must be 1 for `adautomix`, which is not offered with less",
                ("mix.method", "mix.one_hot_fraction"),
            ),
            Rule(
                self.clean_share + self.mixed_share >= 1,
                "`mix.clean_share` and `mix.mixed_share` must add up to 1 or more: the other "
                "images would not be used",
                ("mix.clean_share", "mix.mixed_share"),
            ),
            Rule(
                self.mixed_share == 1 or self.one_hot_fraction == 1,
                "`mix.mixed_share` must be 1 where `mix.one_hot_fraction` is less than 1: the "
                "other images would not be used afterwards",
                ("mix.mixed_share", "mix.one_hot_fraction"),
            ),
        )
        return self
