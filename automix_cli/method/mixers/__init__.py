"""Ways to mix a batch of images and their labels: the rivals of AutoMix.

A mixer is a function of images and a random generator that gives a `Mixture`: mixed images, and how
much each of the two labels of an image counts. Constants are keywords, with the values of the
reference for CIFAR. With it, a training step of ten lines:

    import numpy as np
    import torch
    from automix_cli.method import MIXERS, mixture_cross_entropy

    rng = np.random.default_rng(0)
    classifier = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 10))
    images, labels = torch.randn(8, 3, 32, 32), torch.randint(10, (8,))

    mixture = MIXERS["cutmix"](images, rng)
    loss = mixture_cross_entropy(classifier(mixture.images), labels, mixture)
    loss.backward()

`MIXERS` names those that need nothing else. These need a look of a network at the clean images:

* `attentivemix(images, rng, features)`: the last feature map of a pretrained network.
* `snapmix(images, rng, activations)`: `class_activation_maps` of the network in training.
* `puzzlemix(images, rng, saliency)`: `gradient_saliency` of the network in training.
* `comixup(images, rng, saliency)`: the same. It mixes any number of images into one, so it gives a
  `JointMixture`, whose loss is `joint_cross_entropy`.
* `saliencymix` is in `MIXERS`, and takes any `saliency` in place of its own.

These mix on the way through a network, or after it:

* `mix_features(features, rng)` after the layer that `sample_layer(rng)` draws: ManifoldMix.
* `alignmix(features, rng)`: on the last feature map.
* `transmix(mixture, attention, patch_grid)`: corrects the labels of a mixture.

Why it is like this: functions, because no mixer learns or remembers anything. One ratio and one box
or field are drawn for a batch, as the reference does; where the images decide, each mixture has its
own weights, and the loss respects them. Nothing waits for the device. Not here: RecursiveMix, which
mixes with the previous batch and compares features of the two: it is no function of this one.

Legend: see `mixture.py`.
"""

from automix_cli.method.mixers.attention import (
    attentivemix,
    class_activation_maps,
    snapmix,
    transmix,
)
from automix_cli.method.mixers.blends import mixup, smoothmix, vanilla
from automix_cli.method.mixers.boxes import cutmix, mixup_or_cutmix, resizemix
from automix_cli.method.mixers.features import alignmix, mix_features, sample_layer
from automix_cli.method.mixers.fourier import fmix
from automix_cli.method.mixers.grid import gridmix
from automix_cli.method.mixers.joint import CoMixupOptions, comixup
from automix_cli.method.mixers.mixture import (
    JointMixture,
    Mixer,
    Mixture,
    joint_cross_entropy,
    mixture_cross_entropy,
)
from automix_cli.method.mixers.puzzle import puzzlemix
from automix_cli.method.mixers.puzzle_costs import PuzzleMixOptions
from automix_cli.method.mixers.saliency import (
    gradient_saliency,
    saliencymix,
    spectral_residual_saliency,
)

MIXERS: dict[str, Mixer] = {
    "vanilla": vanilla,
    "mixup": mixup,
    "cutmix": cutmix,
    "mixup_or_cutmix": mixup_or_cutmix,
    "smoothmix": smoothmix,
    "fmix": fmix,
    "gridmix": gridmix,
    "resizemix": resizemix,
    "saliencymix": saliencymix,
}
"""By name, the mixers that need images and a generator only."""

__all__ = [
    "MIXERS",
    "CoMixupOptions",
    "JointMixture",
    "Mixer",
    "Mixture",
    "PuzzleMixOptions",
    "alignmix",
    "attentivemix",
    "class_activation_maps",
    "comixup",
    "cutmix",
    "fmix",
    "gradient_saliency",
    "gridmix",
    "joint_cross_entropy",
    "mix_features",
    "mixture_cross_entropy",
    "mixup",
    "mixup_or_cutmix",
    "puzzlemix",
    "resizemix",
    "saliencymix",
    "sample_layer",
    "smoothmix",
    "snapmix",
    "spectral_residual_saliency",
    "transmix",
    "vanilla",
]
