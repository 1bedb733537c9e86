"""What in an image matters: by the gradient of a loss, or by how unusual it is; and SaliencyMix.

Legend: n images, c channels, H W image. A saliency is >= 0 and has no unit; only its shares of the
whole image and its maximum are used.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from automix_cli.method.mixers.mixture import Mixture, mix_by_mask
from automix_cli.method.mixers.sampling import sample_lam, sample_partners

SPECTRAL_SIZE = 64
"""Longest side at which the spectral residual is computed: details do not make an object."""


def gradient_saliency(
    classifier: nn.Module, images: Float[Tensor, "n c H W"], labels: Int64[Tensor, " n"]
) -> Float[Tensor, "n H W"]:
    """How much each pixel changes the classification loss: sqrt(mean over c of gradient^2).

    It costs one forward and the backward of the images only. The classifier evaluates during it:
    batch norm and dropout of the training are not touched, and its parameters get no gradient.

    Args:
        classifier: From images to logits. Hand over the module itself, not a wrapper that
            synchronises processes.
        images: Normalised.
        labels: Their classes.

    Returns:
        Saliency in float32, without a graph.

    Source:
        Kim et al., Puzzle Mix (2020); OpenMixup `MixUpClassification`, the pass before `puzzlemix`.
        Differs: the loss is a sum, so the saliency of an image does not depend on the batch;
        gradients of parameters are not computed, where the reference computes and clears them.
    """
    was_training = [module for module in classifier.modules() if module.training]
    classifier.eval()
    try:
        with torch.enable_grad():
            inputs = images.detach().requires_grad_()
            loss = F.cross_entropy(classifier(inputs).float(), labels, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, inputs)
    finally:
        for module in was_training:
            module.training = True
    return gradient.float().square().mean(dim=1).sqrt()


@torch.no_grad()
def spectral_residual_saliency(images: Float[Tensor, "n c H W"]) -> Float[Tensor, "n H W"]:
    """How unusual each place of an image is among the frequencies of that image; no network.

    The log-amplitude of an image's spectrum is smooth, except for what makes this image special.
    So subtract its local mean, go back, square and blur.

    Args:
        images: Normalised or not; only the mean over the channels is looked at.

    Returns:
        Saliency in float32; it is not differentiable.

    Source:
        Hou & Zhang, Saliency detection: a spectral residual approach (2007): 64 pixels, 3 x 3 mean,
        Gaussian blur of 2.5 pixels. Differs: the longer side has 64 pixels, or the image's if it
        has fewer, with the blur in proportion; the blur repeats the border.
    """
    grey = images.float().mean(dim=1, keepdim=True)
    height, width = grey.shape[-2:]
    shrink = min(1.0, SPECTRAL_SIZE / max(height, width))
    small = F.interpolate(
        grey, size=(max(1, round(height * shrink)), max(1, round(width * shrink))), mode="area"
    )
    spectrum = torch.fft.fft2(small)
    log_amplitude = spectrum.abs().clamp(min=1e-6).log()
    local_mean = F.avg_pool2d(F.pad(log_amplitude, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    residual = torch.polar((log_amplitude - local_mean).exp(), spectrum.angle())
    unusual = torch.fft.ifft2(residual).abs().square()
    blurred = _blur(unusual, spread=2.5 * max(small.shape[-2:]) / SPECTRAL_SIZE)
    return F.interpolate(blurred, size=(height, width), mode="bilinear").squeeze(1)


def saliencymix(
    images: Float[Tensor, "n c H W"],
    rng: np.random.Generator,
    saliency: Float[Tensor, "n H W"] | None = None,
    *,
    alpha: float = 0.2,
    shared_box: bool = False,
) -> Mixture:
    """Replace a box by the same box of the second image, around its most salient pixel.

    Args:
        images: The batch.
        rng: Draws one size of box for the batch, and the partners.
        saliency: Of each image; by default its spectral residual.
        alpha: Of Beta(alpha, alpha); 0.2 on CIFAR, 1 on ImageNet.
        shared_box: Whether all mixtures get the box of the first one (the reference).

    Returns:
        A mixture whose labels count as much as is left of the box after it is cut off at the
        border; without `shared_box` that differs from image to image.

    Source:
        Uddin et al., SaliencyMix (2021); OpenMixup `saliencymix`. Differs: each second image has
        its own maximum, as in the paper's text, where the reference, and the official code, use one
        image's for all. The saliency is the spectral residual, computed on the device, where theirs
        is OpenCV's fine-grained saliency, computed on the host.
    """
    _, _, height, width = images.shape
    scale = math.sqrt(1 - sample_lam(rng, alpha))
    tall, wide = int(height * scale) // 2, int(width * scale) // 2
    perm = sample_partners(rng, images)
    if saliency is None:
        saliency = spectral_residual_saliency(images)
    peak = saliency.flatten(start_dim=1).argmax(dim=1)[perm]
    if shared_box:
        peak = peak[:1]
    row, column = (peak // width).view(-1, 1, 1, 1), (peak % width).view(-1, 1, 1, 1)
    down = torch.arange(height, device=images.device).view(1, 1, -1, 1) - row
    right = torch.arange(width, device=images.device).view(1, 1, 1, -1) - column
    in_box = (down >= -tall) & (down < tall) & (right >= -wide) & (right < wide)
    return mix_by_mask(images, (~in_box).float(), perm)


def _blur(maps: Float[Tensor, "n 1 h w"], spread: float) -> Float[Tensor, "n 1 h w"]:
    """Convolve with a Gaussian of that standard deviation, in pixels, cut off at three of them."""
    radius = math.ceil(3 * spread)
    position = torch.arange(-radius, radius + 1, device=maps.device, dtype=maps.dtype)
    kernel = torch.exp(-position.square() / (2 * spread**2))
    kernel = kernel / kernel.sum()
    padded = F.pad(maps, (radius, radius, radius, radius), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))
