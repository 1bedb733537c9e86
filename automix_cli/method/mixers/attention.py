"""Mixers that let a network's features, activations or attention decide what counts.

None of them runs the network: what it sees is an argument, and the caller knows which network and
which of its passes to use.

Legend: n images, c channels, H W image, f channels of a feature map, h w its size, k classes, p
patches, a attention heads. `lam` is the share of the first image, in [0, 1].
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from automix_cli.method.masks import upsample
from automix_cli.method.mixers.boxes import Box, sample_box
from automix_cli.method.mixers.mixture import Mixture, constant_weight, mix_by_mask
from automix_cli.method.mixers.sampling import sample_lam, sample_partners


@torch.no_grad()
def attentivemix(
    images: Float[Tensor, "n c H W"],
    rng: np.random.Generator,
    features: Float[Tensor, "n f h w"],
    *,
    alpha: float = 2.0,
) -> Mixture:
    """Keep the cells of the first image that a network attends to most; the rest is the second's.

    Of the h w cells, floor(lam h w) are kept, and at least one: those with the highest mean over
    the channels of the features.

    Args:
        images: The batch.
        rng: Draws one ratio for the batch, and the partners.
        features: The last feature map of a frozen network for these images. The reference asks an
            ImageNet-trained ResNet-18 or -50 and enlarges the images to 224 pixels for it. A
            pretrained helper is an advantage that no other mixer has: say so with the result.
        alpha: Of Beta(alpha, alpha).

    Returns:
        A mixture with a mask of zeros and ones; all masks have the same area.

    Raises:
        ValueError: if the image size is not a multiple of the feature size.

    Source:
        Walawalkar et al., Attentive CutMix (2020), with a random number of cells, as in OpenMixup
        `attentivemix`, called AttentiveMix+. Differs: grids need not be square.
    """
    n, _, rows, columns = features.shape
    cells = rows * columns
    kept = max(1, math.floor(cells * sample_lam(rng, alpha)))
    attended = features.float().mean(dim=1).view(n, cells).topk(kept).indices
    grid = torch.zeros(n, cells, device=images.device).scatter_(1, attended, 1.0)
    mask = upsample(grid.view(n, 1, rows, columns), _image_size(images), "nearest")
    return mix_by_mask(images, mask, sample_partners(rng, images))


@torch.no_grad()
def class_activation_maps(
    features: Float[Tensor, "n f h w"],
    head_weight: Float[Tensor, "k f"],
    labels: Int64[Tensor, " n"],
    image_size: tuple[int, int],
) -> Float[Tensor, "n H W"]:
    """Where in an image the classifier sees its class, for `snapmix`.

    Args:
        features: Last feature map of the clean images, before pooling.
        head_weight: Of the linear layer after the pooling.
        labels: The classes to look for.
        image_size: Height and width of the images.

    Returns:
        For each image sum_f weight[label, f] features[f], enlarged bilinearly, minus its minimum,
        in float32.

    Source:
        Huang et al., SnapMix (2021), semantic percent map. Differs: not divided by its sum, which
        `snapmix` does.
    """
    maps = torch.einsum("nfhw,nf->nhw", features.float(), head_weight.float()[labels])
    maps = F.interpolate(maps.unsqueeze(1), size=image_size, mode="bilinear").squeeze(1)
    return maps - maps.amin(dim=(1, 2), keepdim=True)


def snapmix(
    images: Float[Tensor, "n c H W"],
    rng: np.random.Generator,
    activations: Float[Tensor, "n H W"],
    *,
    alpha: float = 1.0,
) -> Mixture:
    """Paste a box of the second image over another of the first; labels count what is seen of them.

    Both boxes are drawn as for CutMix, with a ratio each; what is pasted is resized to fit.

    Args:
        images: The batch.
        rng: Draws two boxes for the batch, and the partners.
        activations: Class activation of each image at each pixel, >= 0; see
            `class_activation_maps`.
        alpha: Of Beta(alpha, alpha).

    Returns:
        A mixture without a mask. The first label weighs what is left of its activation, the second
        what is shown of its own; together they may be less or more than 1. Both boxes are left
        alone if one of them is empty.

    Source:
        Huang et al., SnapMix (2021); OpenMixup `snapmix`, which crashes as shipped. Differs: two
        images of one class weigh together what they weigh apart, where the reference gives that sum
        to both labels, twice as much; an image without any activation counts by area, where the
        reference counts it as all seen or all hidden.
    """
    size = _image_size(images)
    target, source = (
        sample_box(rng, size, math.sqrt(1 - sample_lam(rng, alpha))) for _ in range(2)
    )
    perm = sample_partners(rng, images)
    if target.area == 0 or source.area == 0:
        untouched = constant_weight(images, 1.0)
        return Mixture(images, perm, untouched, torch.zeros_like(untouched), mask=None)
    mixed = images.clone()
    pasted = images[perm][..., *source.inside]
    mixed[..., *target.inside] = F.interpolate(
        pasted, size=target.size, mode="bilinear", align_corners=True
    )
    hidden, shown = _share_of(activations, target), _share_of(activations, source)[perm]
    return Mixture(mixed, perm, 1 - hidden, shown, mask=None)


def transmix(
    mixture: Mixture, attention: Float[Tensor, "n a p"], patch_grid: tuple[int, int]
) -> Mixture:
    """Correct the labels of a mixture by what a transformer looks at in it.

    The new weight of the first label is the mean of the old one and of the attention's share on
    the first image's patches. One forward serves: mix by `cutmix`, run the transformer on the
    mixture, correct the weights, compute the loss.

    Args:
        mixture: Of a mixer with a mask.
        attention: What the class token gives to each patch of the mixed images, in the last block,
            for each head; >= 0. No gradient flows into it.
        patch_grid: Rows and columns of patches, in that order the p of `attention`.

    Returns:
        The mixture with new weights, different for each image.

    Raises:
        ValueError: if the mixture has no mask, or the grid is not p patches.

    Source:
        Chen et al., TransMix (2022); OpenMixup `transmix`, ratio 0.5. Differs: the loss respects
        the weight of each mixture (see `mixture_cross_entropy`). As there, a patch is the image's
        whose pixel the nearest-neighbour mask shows.
    """
    if mixture.mask is None:
        raise ValueError("`mixture` must have a mask, got `None`")
    if math.prod(patch_grid) != attention.shape[2]:
        raise ValueError(
            f"`patch_grid` must have as many patches as `attention`, `{attention.shape[2]}`, "
            f"got `{patch_grid}`"
        )
    patches = F.interpolate(mixture.mask.float(), size=patch_grid).flatten(start_dim=1)
    attended = attention.detach().float().mean(dim=1)
    total = attended.sum(dim=1).clamp(min=torch.finfo(torch.float32).tiny)
    seen = (patches * attended).sum(dim=1) / total
    first = (mixture.first_weight + seen) / 2
    return mixture._replace(first_weight=first, second_weight=1 - first)


def _image_size(images: Float[Tensor, "n c H W"]) -> tuple[int, int]:
    """Height and width, in pixels."""
    return images.shape[2], images.shape[3]


def _share_of(activations: Float[Tensor, "n H W"], box: Box) -> Float[Tensor, " n"]:
    """Share of each image's activation that is in the box; its share of the area if there is none.

    In float32, at most 1.
    """
    activations = activations.float()
    total, inside = activations.sum(dim=(1, 2)), activations[..., *box.inside].sum(dim=(1, 2))
    area = torch.full_like(total, box.area / activations[0].numel())
    smallest = torch.finfo(total.dtype).tiny  # the branch not taken must not divide by zero
    return torch.where(total > 0, inside / total.clamp(min=smallest), area).clamp(max=1)
