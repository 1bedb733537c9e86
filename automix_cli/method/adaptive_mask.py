"""The mix block of AdAutoMix: from the features of several images to one mask for each.

Every position of an image asks (query) which positions of all the others resemble it (key), and
collects from the same positions of the image itself (value) how much of it should be seen. At each
pixel the images then compete for their share.

Why it is like this: as in `mix_block`, all projections are 1x1 convolutions, so every image is
projected once, and each combination picks its rows and adds its shares. Queries and keys have a
convolution each, and a ReLU after it.

Legend: n images and as many mixtures, s images in each, c channels, h w feature map, H W image,
d = c // reduction. `lam` is the share of each image in its mixture, in [0, 1]; so are `masks`, for
each pixel.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from automix_cli.method.adautomix_options import AdaptiveMaskOptions
from automix_cli.method.combination import Combination
from automix_cli.method.masks import upsample
from automix_cli.method.mix_block import (
    Looks,
    add_channel,
    attend,
    collect,
    require_channels,
)
from automix_cli.method.options import Upsampling
from automix_cli.method.projection import projected
from automix_cli.method.projection_norm import norm_of_projection


class AdaptiveProjection(NamedTuple):
    """The part of queries, keys and values that no combination changes; always float32."""

    query: Float[Tensor, "n d h w"]
    key: Float[Tensor, "n d h w"]
    value: Float[Tensor, "n 1 h w"]


class AdaptiveMask(nn.Module):
    """Learns where in a picture each of several images should be seen.

    Args:
        channels: c, the channels of the feature map.
        options: See `AdaptiveMaskOptions`.

    Source:
        Qin et al., Adversarial AutoMixup (ICLR 2024), its mixup generator; OpenMixup
        `AdaptiveMask`. Differs: NaN and infinity are not repaired, and no check for them waits for
        the device; the projections are shared by both combinations; each mixture may have its own
        shares; queries, keys and values are float32 under autocast from the projection on. The
        options `lam_mul`, which it reads nowhere, and a mode of upsampling drawn once for the
        whole run are not offered.
    """

    def __init__(self, channels: int, options: AdaptiveMaskOptions) -> None:
        super().__init__()
        self.options = options
        self.channels = channels
        self.embeds_lam = options.lam_embedding == "concat"
        inputs = channels + self.embeds_lam  # the last input channel is lam
        width = max(channels // options.reduction, 1)
        has_norm = options.projection_norm != "none"
        self.query = nn.Conv2d(inputs, width, kernel_size=1, bias=not has_norm)
        self.query_norm = norm_of_projection(width, options.projection_norm)
        self.key = nn.Conv2d(inputs, width, kernel_size=1, bias=not has_norm)
        self.key_norm = norm_of_projection(width, options.projection_norm)
        self.value = nn.Conv2d(inputs, 1, kernel_size=1)
        for conv in (self.query, self.key, self.value):
            nn.init.normal_(conv.weight, std=0.01)  # so the first masks are nearly constant
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)

    def forward(
        self,
        features: Float[Tensor, "n c h w"],
        combination: Combination,
        image_size: tuple[int, int],
        upsampling: Upsampling = "bilinear",
    ) -> Float[Tensor, "n s H W"]:
        """Masks of one combination: `project`, then `masks`."""
        return self.masks(self.project(features), combination, image_size, upsampling)

    def project(self, features: Float[Tensor, "n c h w"]) -> AdaptiveProjection:
        """Apply each convolution to each image by itself.

        Raises:
            ValueError: if the number of channels is not the one that the constructor was told.
        """
        require_channels(features, self.channels)
        return AdaptiveProjection(
            *(
                projected(features, conv.weight[:, : self.channels], conv.bias)
                for conv in (self.query, self.key, self.value)
            )
        )

    def masks(
        self,
        projection: AdaptiveProjection,
        combination: Combination,
        image_size: tuple[int, int],
        upsampling: Upsampling = "bilinear",
    ) -> Float[Tensor, "n s H W"]:
        """Share of each image of each mixture at each pixel, for one combination.

        With q, k and v of the s images of a mixture, the logit map of image j is

            softmax(q_j . sum over i != j of k_i / sqrt(d)) v_j

        and the masks are the softmax of the upsampled maps over the s images. Runs in float32 under
        autocast too, as in AutoMix.

        Returns:
            Masks in [0, 1] that add up to 1 over the images, float32.

        Raises:
            ValueError: if the image size is not a multiple of the feature size.

        Source:
            OpenMixup `AdaptiveMask.forward`: `normal_mix` for two images, `co_mix` for more, which
            are the same formula. No difference.
        """
        with torch.autocast(combination.lam.device.type, enabled=False):
            in_role = self._in_roles(projection, combination)
            logits: list[Tensor] = []
            for j, (query, _, value) in enumerate(in_role):
                other_keys = [key for i, (_, key, _) in enumerate(in_role) if i != j]
                collected = collect(query, torch.stack(other_keys).sum(dim=0), value)
                logits.append(upsample(collected, image_size, upsampling))
            return torch.cat(logits, dim=1).softmax(dim=1)

    def look(self, projection: AdaptiveProjection, combination: Combination) -> Looks:
        """Of pairs: values of the first images, and how their positions look at the second ones.

        The mask of the first image is made of these, and that of the second one the same way.
        """
        first, second = self._in_roles(projection, combination)
        return Looks(first.value, attend(first.query, second.key))

    def _in_roles(
        self, projection: AdaptiveProjection, combination: Combination
    ) -> list[AdaptiveProjection]:
        """Queries, keys and values of the first, second, ... images of all mixtures."""
        shares, sources = (each.unbind(dim=1) for each in combination)
        return [
            self._in_role(projection, share, source)
            for share, source in zip(shares, sources, strict=True)
        ]

    def _in_role(
        self, projection: AdaptiveProjection, share: Tensor, source: Tensor
    ) -> AdaptiveProjection:
        """Finish queries, keys and values of the j-th images of all mixtures, with their shares."""
        query, key, value = (
            add_channel(maps[source], conv, share) if self.embeds_lam else maps[source]
            for maps, conv in zip(projection, (self.query, self.key, self.value), strict=True)
        )
        return AdaptiveProjection(self.query_norm(query).relu(), self.key_norm(key).relu(), value)
