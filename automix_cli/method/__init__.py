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
from automix_cli.method.mixers import (
    MIXERS,
    CoMixupOptions,
    JointMixture,
    Mixer,
    Mixture,
    PuzzleMixOptions,
    alignmix,
    attentivemix,
    class_activation_maps,
    comixup,
    cutmix,
    fmix,
    gradient_saliency,
    gridmix,
    joint_cross_entropy,
    mix_features,
    mixture_cross_entropy,
    mixup,
    mixup_or_cutmix,
    puzzlemix,
    resizemix,
    saliencymix,
    sample_layer,
    smoothmix,
    snapmix,
    spectral_residual_saliency,
    transmix,
    vanilla,
)
from automix_cli.method.mixers.objectives import (
    decoupled_cross_entropy,
    label_weights,
    mixture_binary_cross_entropy,
)
from automix_cli.method.momentum import estimate_batch_norm
from automix_cli.method.options import AutoMixOptions, MixBlockOptions
from automix_cli.method.pairing import Draws, Pairing, sample_draws
from automix_cli.method.rival_training import DecoupledLosses, RivalLosses, RivalTraining
from automix_cli.method.rivals import RIVALS, RivalOptions

__all__ = [
    "MIXERS",
    "RIVALS",
    "AutoMix",
    "AutoMixOptions",
    "Classifier",
    "CoMixupOptions",
    "DecoupledLosses",
    "Draws",
    "JointMixture",
    "Losses",
    "Masks",
    "MixBlock",
    "MixBlockOptions",
    "Mixer",
    "Mixture",
    "Pairing",
    "Projection",
    "PuzzleMixOptions",
    "RivalLosses",
    "RivalOptions",
    "RivalTraining",
    "alignmix",
    "area_ratio",
    "attentivemix",
    "class_activation_maps",
    "comixup",
    "cutmix",
    "decoupled_cross_entropy",
    "estimate_batch_norm",
    "fall_back_to_mixup",
    "fmix",
    "gradient_saliency",
    "gridmix",
    "joint_cross_entropy",
    "label_weights",
    "mask_area",
    "mask_area_loss",
    "mix_features",
    "mix_images",
    "mixed_cross_entropy",
    "mixture_binary_cross_entropy",
    "mixture_cross_entropy",
    "mixup",
    "mixup_or_cutmix",
    "one_hot_cross_entropy",
    "puzzlemix",
    "rescale_to_lam",
    "resizemix",
    "saliencymix",
    "sample_draws",
    "sample_layer",
    "schedules",
    "smoothmix",
    "snapmix",
    "spectral_residual_saliency",
    "transmix",
    "upsample",
    "vanilla",
]
