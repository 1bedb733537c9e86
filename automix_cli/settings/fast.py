"""The part of `[mix]` that makes a step cheaper by doing less: the pieces of fast mode.

Each piece is a setting of its own and off by default. Unlike the levers of speed that keep the
mathematics, they change what is learned.
"""

from typing import Literal, Self

from pydantic import model_validator

from automix_cli.settings.methods import MethodSettings
from automix_cli.settings.rules import Count, Rule, Share, require


class FastSettings(MethodSettings):
    """Which work of a step is left out. For AutoMix and SAMix; AdAutoMix is refused with them."""

    mix_block_interval: Count = 1
    """Every how many steps, from the first on, the mix block learns. In between it only makes
    masks, and the momentum classifier does not see mixed images, which saves a forward and a
    backward pass. AutoMix and SAMix."""

    split_batch: bool = False
    """Whether the first half of each batch is the unmixed images, and the other half is mixed among
    itself, instead of the whole batch being both: half of the work in all three networks. AutoMix
    and SAMix."""

    momentum_clean_pass: Literal["full", "early"] = "full"
    """Whether the momentum classifier sees the unmixed images to the end, as in the reference, or
    only up to `model.feature_stage`. `early` is faster; batch-norm statistics of the later stages
    then follow mixed images alone. AdAutoMix needs them to the end."""

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
                not is_adautomix or not self.split_batch,
                "`mix.split_batch` must be `false` for `adautomix`, which mixes whole batches",
                ("mix.method", "mix.split_batch"),
            ),
            Rule(
                not is_adautomix or self.one_hot_fraction == 1,
                "`mix.one_hot_fraction` must be 1 for `adautomix`, which is not offered with less",
                ("mix.method", "mix.one_hot_fraction"),
            ),
            Rule(
                not self.split_batch or self.one_hot_fraction == 1,
                "`mix.split_batch` needs `mix.one_hot_fraction` to be 1: half of the images would "
                "not be used afterwards",
                ("mix.split_batch", "mix.one_hot_fraction"),
            ),
        )
        return self
