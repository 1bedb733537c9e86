"""AutoMix in pure torch: no files, flags, prints, devices or processes, only the mathematics.

Read `automix.py` first: it is the method on one page, and names the module for every part of it.
Its successors are SAMix (`samix_block.py`, another mix block for the same method) and AdAutoMix
(`adautomix.py`).
"""

from automix_cli.method import schedules
from automix_cli.method.adaptive_mask import AdaptiveMask, AdaptiveProjection
from automix_cli.method.adautomix import AdAutoMix, AdAutoMixLosses, AdAutoMixMasks
from automix_cli.method.adautomix_options import AdaptiveMaskOptions, AdAutoMixOptions
from automix_cli.method.automix import AutoMix, Losses, Masks
from automix_cli.method.classifier import Classifier
from automix_cli.method.combination import (
    AdAutoMixDraws,
    Combination,
    combine_images,
    combined_cross_entropy,
    fall_back_to_shares,
    sample_adautomix_draws,
)
from automix_cli.method.inside import (
    INSIDE,
    pass_with_alignmix,
    pass_with_manifoldmix,
    pass_with_transmix,
)
from automix_cli.method.losses import mask_area_loss, mixed_cross_entropy, one_hot_cross_entropy
from automix_cli.method.masks import (
    area_ratio,
    fall_back_to_mixup,
    mask_area,
    mix_images,
    rescale_to_lam,
    upsample,
)
from automix_cli.method.mix_block import MaskMaker, MixBlock, Projection
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
from automix_cli.method.options import AutoMixOptions, MixBlockOptions, SAMixBlockOptions
from automix_cli.method.pairing import Draws, Pairing, sample_draws
from automix_cli.method.rival_training import DecoupledLosses, RivalLosses, RivalTraining
from automix_cli.method.rivals import RIVALS, TRAINABLE, RivalOptions
from automix_cli.method.samix_block import SAMixBlock, SAMixProjection, rescale_lam

__all__ = [
    "INSIDE",
    "MIXERS",
    "RIVALS",
    "TRAINABLE",
    "AdAutoMix",
    "AdAutoMixDraws",
    "AdAutoMixLosses",
    "AdAutoMixMasks",
    "AdAutoMixOptions",
    "AdaptiveMask",
    "AdaptiveMaskOptions",
    "AdaptiveProjection",
    "AutoMix",
    "AutoMixOptions",
    "Classifier",
    "CoMixupOptions",
    "Combination",
    "DecoupledLosses",
    "Draws",
    "JointMixture",
    "Losses",
    "MaskMaker",
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
    "SAMixBlock",
    "SAMixBlockOptions",
    "SAMixProjection",
    "alignmix",
    "area_ratio",
    "attentivemix",
    "class_activation_maps",
    "combine_images",
    "combined_cross_entropy",
    "comixup",
    "cutmix",
    "decoupled_cross_entropy",
    "estimate_batch_norm",
    "fall_back_to_mixup",
    "fall_back_to_shares",
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
    "pass_with_alignmix",
    "pass_with_manifoldmix",
    "pass_with_transmix",
    "puzzlemix",
    "rescale_lam",
    "rescale_to_lam",
    "resizemix",
    "saliencymix",
    "sample_adautomix_draws",
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
