"""AutoMix in pure torch: no files, flags, prints, devices or processes, only the mathematics.

Read `automix.py` first: it is the method on one page, and names the module for every part of it.
"""

from automix_cli.method import schedules
from automix_cli.method.automix import AutoMix, Losses, Masks
from automix_cli.method.classifier import Classifier
from automix_cli.method.losses import mask_area_loss, mixed_cross_entropy, one_hot_cross_entropy
from automix_cli.method.masks import (
    area_ratio,
    fall_back_to_mixup,
    mask_area,
    mix_images,
    rescale_to_lam,
    upsample,
)
from automix_cli.method.mix_block import MixBlock, Projection
from automix_cli.method.momentum import estimate_batch_norm
from automix_cli.method.options import AutoMixOptions, MixBlockOptions
from automix_cli.method.pairing import Draws, Pairing, sample_draws

__all__ = [
    "AutoMix",
    "AutoMixOptions",
    "Classifier",
    "Draws",
    "Losses",
    "Masks",
    "MixBlock",
    "MixBlockOptions",
    "Pairing",
    "Projection",
    "area_ratio",
    "estimate_batch_norm",
    "fall_back_to_mixup",
    "mask_area",
    "mask_area_loss",
    "mix_images",
    "mixed_cross_entropy",
    "one_hot_cross_entropy",
    "rescale_to_lam",
    "sample_draws",
    "schedules",
    "upsample",
]
