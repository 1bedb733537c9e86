"""From a section of the settings to the object it describes: the only such place.

Below this package nobody sees the settings: classes take plain arguments, and are usable without
the program.
"""

from automix_cli.build.data import data_request, in_storage, loading, recipe, view
from automix_cli.build.lone_images import refuse_lone_images
from automix_cli.build.methods import (
    attender,
    classifier,
    draw,
    has_mix_block,
    has_rests,
    learned,
    learned_options,
    method,
    mix_block,
)
from automix_cli.build.training import optimizer, plan, train_batches, values_at

__all__ = [
    "attender",
    "classifier",
    "data_request",
    "draw",
    "has_mix_block",
    "has_rests",
    "in_storage",
    "learned",
    "learned_options",
    "loading",
    "method",
    "mix_block",
    "optimizer",
    "plan",
    "recipe",
    "refuse_lone_images",
    "train_batches",
    "values_at",
    "view",
]
