"""The mix block: from the features of two images to the mask that mixes them.

Every position of the first image asks (query) which positions of the second one resemble it (key),
and collects from there a value: how much of its place the second image should take. One attention
layer, one head, one output channel.

Why it is like this: queries and keys share one projection, so resemblance is symmetric. All
projections are 1x1 convolutions, so permuting images and adding the constant channel `lam` commute
with them: the features are projected once, and each pairing picks its rows and adds its `lam`.

SAMix has another mix block, in `samix_block`. What the two have in common is here: the interface
(`MaskMaker`), and the way from queries, keys and values to a mask.

Legend: n images, c channels, h w feature map, H W image, d = c // reduction, p = h * w positions.
`lam` is the share of the first image, in [0, 1]; so is `mask`, for each pixel.
"""

import math
from abc import ABC, abstractmethod
from functools import partial
from typing import Generic, NamedTuple, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from automix_cli.method.masks import upsample
from automix_cli.method.options import MixBlockOptions, Upsampling
from automix_cli.method.pairing import Pairing
from automix_cli.method.projection import projected
from automix_cli.method.projection_norm import norm_of_projection

Projected = TypeVar("Projected")
"""What a mix block makes of the features before it knows any pairing."""


LARGEST_ATTENTION = 2**25
"""Attention weights held at once, as far as whole images allow: 128 MiB of them."""


class Looks(NamedTuple):
    """What a mix block makes its mask of, to be looked at."""

    value: Float[Tensor, "n 1 h w"]
    """Logits, before they are collected."""

    attention: Float[Tensor, "n p p"] | None
    """From each position of the first image (rows, which add up to 1) to those that the values are
    collected from; None without cross-attention."""


class MaskMaker(nn.Module, ABC, Generic[Projected]):
    """A mix block as AutoMix uses it: one projection of the features, one mask for each pairing."""

    @abstractmethod
    def project(self, features: Float[Tensor, "n c h w"]) -> Projected:
        """Do all that depends on single images alone, once for both pairings of a step."""

    @abstractmethod
    def mask(
        self,
        projection: Projected,
        pairing: Pairing,
        image_size: tuple[int, int],
        upsampling: Upsampling = "nearest",
    ) -> Float[Tensor, "n 1 H W"]:
        """Share of the first image at each pixel, for one pairing of projected images."""

    @abstractmethod
    def look(self, projection: Projected, pairing: Pairing) -> Looks:
        """Values of the second images, and who collects them: what `mask` is made of."""

    def forward(
        self,
        features: Float[Tensor, "n c h w"],
        pairing: Pairing,
        image_size: tuple[int, int],
        upsampling: Upsampling = "nearest",
    ) -> Float[Tensor, "n 1 H W"]:
        """Mask of one pairing: `project`, then `mask`."""
        return self.mask(self.project(features), pairing, image_size, upsampling)


class Projection(NamedTuple):
    """The part of queries, keys and values that no pairing changes; always float32."""

    query: Float[Tensor, "n d h w"] | None  # of a second image its key; None without attention
    value: Float[Tensor, "n 1 h w"]


class MixBlock(MaskMaker[Projection]):
    """Learns where in a picture each of two images should be seen.

    Args:
        channels: c, the channels of the feature map.
        options: See `MixBlockOptions`.

    Source:
        The paper's Mix Block (cross-attention with lambda embedding); OpenMixup `PixelMixBlock`.
        Differs: NaN and infinity are not repaired, and no check for them waits for the device; the
        projections are shared by both pairings; each pair may have its own `lam`. The value is
        that of the second image, as in the reference; the paper writes the first, with the roles of
        the masks exchanged. Without `cross_attention`, which the reference always has, the
        attention is the identity: each position has the value of the second image there.
    """

    def __init__(self, channels: int, options: MixBlockOptions) -> None:
        super().__init__()
        self.options = options
        self.channels = channels
        self.embeds_lam = options.lam_embedding == "concat"
        inputs = channels + self.embeds_lam  # the last input channel is lam
        if options.cross_attention:
            width = max(channels // options.reduction, 1)
            has_norm = options.projection_norm != "none"
            self.query = nn.Conv2d(inputs, width, kernel_size=1, bias=not has_norm)
            self.query_norm = norm_of_projection(width, options.projection_norm)
        self.value = nn.Conv2d(inputs, 1, kernel_size=1)
        start_small(self)

    def project(self, features: Float[Tensor, "n c h w"]) -> Projection:
        """Apply query and value convolution to each image by itself.

        Raises:
            ValueError: if the number of channels is not the one that the constructor was told.
        """
        require_channels(features, self.channels)
        value = self._of_features(features, self.value)
        if not self.options.cross_attention:
            return Projection(None, value)
        return Projection(self._of_features(features, self.query), value)

    def mask(
        self,
        projection: Projection,
        pairing: Pairing,
        image_size: tuple[int, int],
        upsampling: Upsampling = "nearest",
    ) -> Float[Tensor, "n 1 H W"]:
        """Share of the first image at each pixel, for one pairing of projected images.

        Runs in float32 under autocast too: half precision would quantise a mask near 0.5, where all
        masks start.

        Returns:
            Mask in [0, 1], float32.

        Raises:
            ValueError: if the image size is not a multiple of the feature size.
        """
        with torch.autocast(pairing.lam.device.type, enabled=False):
            logits = self._value(projection, pairing)
            if projection.query is not None:
                logits = collect(*self._query_and_key(projection.query, pairing), logits)
            after = self.options.sigmoid_after_upsampling
            return 1 - upsampled_share(logits, image_size, upsampling, squash_last=after)

    def look(self, projection: Projection, pairing: Pairing) -> Looks:
        """Values of the second images, and who collects them."""
        value = self._value(projection, pairing)
        if projection.query is None:
            return Looks(value, None)
        return Looks(value, attend(*self._query_and_key(projection.query, pairing)))

    def _value(self, projection: Projection, pairing: Pairing) -> Float[Tensor, "n 1 h w"]:
        """Values of the second images, as logits of their share."""
        lam, perm = pairing
        return self._with_lam(projection.value[perm], self.value, 1 - lam)

    def _query_and_key(
        self, query: Float[Tensor, "n d h w"], pairing: Pairing
    ) -> tuple[Float[Tensor, "n d h w"], Float[Tensor, "n d h w"]]:
        """Queries of the first images, keys of the second ones."""
        lam, perm = pairing
        first = self._with_lam(query, self.query, lam)
        second = self._with_lam(query[perm], self.query, 1 - lam)
        return self.query_norm(first), self.query_norm(second)

    def _of_features(
        self, features: Float[Tensor, "n c h w"], conv: nn.Conv2d
    ) -> Float[Tensor, "n d h w"]:
        """What a convolution makes of the features alone, in float32."""
        return projected(features, conv.weight[:, : self.channels], conv.bias)

    def _with_lam(
        self, projected: Float[Tensor, "n d h w"], conv: nn.Conv2d, share: Float[Tensor, " n"]
    ) -> Float[Tensor, "n d h w"]:
        return add_channel(projected, conv, share) if self.embeds_lam else projected


def start_small(block: nn.Module) -> None:
    """Draw the weights of all convolutions, so small that the first masks are nearly constant."""
    for conv in block.children():
        if isinstance(conv, nn.Conv2d):
            nn.init.normal_(conv.weight, std=0.01)
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)


def require_channels(features: Float[Tensor, "n _ h w"], channels: int) -> None:
    """Refuse features of another width than the mix block was made for."""
    if features.shape[1] != channels:
        raise ValueError(f"`features` must have {channels} channels, got `{features.shape[1]}`")


def add_channel(
    projected: Float[Tensor, "n d h w"], conv: nn.Conv2d, share: Float[Tensor, " n"]
) -> Float[Tensor, "n d h w"]:
    """Add what a last, constant channel contributes: conv([z, s]) = conv(z) + w_last * s."""
    return projected + share.view(-1, 1, 1, 1) * conv.weight[:, -1]


def collect(
    query: Float[Tensor, "n d h w"], key: Float[Tensor, "n d h w"], value: Float[Tensor, "n 1 h w"]
) -> Float[Tensor, "n 1 h w"]:
    """Attention with one head: at each position the mean value, weighted by the similarity.

    All weights of n images are n p^2 numbers. Beyond `LARGEST_ATTENTION` of them, images are worked
    through in groups, whose weights are not kept for the backward pass but computed again.
    """
    positions = value.shape[-2] * value.shape[-1]
    images_at_once = max(1, LARGEST_ATTENTION // positions**2)
    if len(query) <= images_at_once:
        return _collect(query, key, value)
    groups = zip(*(each.split(images_at_once) for each in (query, key, value)), strict=True)
    again = partial(checkpoint, _collect, use_reentrant=False, preserve_rng_state=False)
    return torch.cat([again(*group) for group in groups])


def _collect(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    collected = attend(query, key) @ value.flatten(2).mT  # (n, p, p) @ (n, p, 1) -> (n, p, 1)
    return collected.mT.view_as(value)


def attend(
    query: Float[Tensor, "n d h w"], key: Float[Tensor, "n d h w"]
) -> Float[Tensor, "n p p"]:
    """How much each position of the queries (rows) takes from each position of the keys."""
    return similarity(query.flatten(2), key.flatten(2)).softmax(dim=-1)


def upsampled_share(
    logits: Float[Tensor, "n 1 h w"],
    image_size: tuple[int, int],
    upsampling: Upsampling,
    *,
    squash_last: bool,
) -> Float[Tensor, "n 1 H W"]:
    """From logits at feature size to a share in [0, 1] at image size."""
    if squash_last:
        return upsample(logits, image_size, upsampling).sigmoid()
    return upsample(logits.sigmoid(), image_size, upsampling)


def similarity(
    query: Float[Tensor, "n d p"], key: Float[Tensor, "n d p"]
) -> Float[Tensor, "n p p"]:
    """Scaled products of all queries (rows) with all keys (columns): query^T key / sqrt(d)."""
    return query.mT @ key / math.sqrt(query.shape[1])
