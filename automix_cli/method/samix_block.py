"""The mix block of SAMix: AutoMix with another way from features to a mask.

SAMix is AutoMix with this mix block, masks that grow `bilinear`, and the mask-area loss
`l1+variance`, which makes masks decide between the two images. The classifiers, the two pairings
and all losses are those of `automix.AutoMix`, to which a `SAMixBlock` is handed instead of a
`MixBlock`.

Three things differ from the mix block of AutoMix. `lam` scales the features of both images instead
of being a channel. Queries and keys have projections of their own, and both see both images. The
value is not linear: it has a hidden layer with batch norm.

Why it is like this: a convolution of the scaled features of two images, stacked, is a sum of two
convolutions, each times a number. So here too every image is projected once, in either role, and
each pairing only adds up. What comes after batch norm has to wait for the pairing.

Legend: n images, c channels, h w feature map, H W image, d = c // reduction. `lam` is the share of
the first image, in [0, 1]; so is `mask`, for each pixel.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from automix_cli.method.mix_block import (
    Looks,
    MaskMaker,
    attend,
    collect,
    require_channels,
    start_small,
    upsampled_share,
)
from automix_cli.method.options import SAMixBlockOptions, Upsampling
from automix_cli.method.pairing import Pairing
from automix_cli.method.projection import projected


class SAMixAttention(NamedTuple):
    """What each image adds to queries and keys, before its scale; always float32."""

    query_as_first: Float[Tensor, "n d h w"]
    query_as_second: Float[Tensor, "n d h w"]
    key_as_first: Float[Tensor, "n d h w"]
    key_as_second: Float[Tensor, "n d h w"]


class SAMixProjection(NamedTuple):
    """What each image adds to queries, keys and values, before its scale; always float32."""

    attention: SAMixAttention | None  # None without cross-attention
    value_as_second: Float[Tensor, "n d h w"]  # hidden layer, before its norm


class SAMixBlock(MaskMaker[SAMixProjection]):
    """Learns where in a picture each of two images should be seen, as SAMix does it.

    The batch norm in the value moves its buffers at each mask made in training mode: two per step,
    that of the mix block first. In evaluation mode it normalises with them.

    Args:
        channels: c, the channels of the feature map.
        options: See `SAMixBlockOptions`.

    Source:
        Li et al., Boosting Discriminative Visual Representation Learning with Scenario-Agnostic
        Mixup (arXiv 2111.15454), its Mixer; OpenMixup `PixelMixBlock` with `lam_mul`,
        `lam_residual`, `x_qk_concat` and a value neck. Differs: NaN and infinity are not repaired,
        and no check for them waits for the device; the projections are shared by both pairings;
        each pair may have its own `lam`; queries, keys and values are float32 under autocast from
        the projection on; a list of `lam_mul_k` to draw from is not offered. Nor is `neg_weight`,
        meant as the balance between the classes of a mixture and all others: it multiplies the
        terms of those others in the cross-entropy, which are zero for the soft labels that SAMix is
        trained with, so no published number depends on it. Without `cross_attention`: as for
        AutoMix.
    """

    def __init__(self, channels: int, options: SAMixBlockOptions) -> None:
        super().__init__()
        self.options = options
        self.channels = channels
        width = max(channels // options.reduction, 1)
        if options.cross_attention:
            self.query = nn.Conv2d(2 * channels, width, kernel_size=1)  # of first image and second
            self.key = nn.Conv2d(2 * channels, width, kernel_size=1)
        self.value_hidden = nn.Conv2d(channels, width, kernel_size=1, bias=False)
        self.value_norm = nn.BatchNorm2d(width)
        self.value_output = nn.Conv2d(width, 1, kernel_size=1, bias=False)
        self.value_dropout = nn.Dropout(options.value_dropout)
        start_small(self)

    def project(self, features: Float[Tensor, "n c h w"]) -> SAMixProjection:
        """Apply each convolution to each image by itself, in the role of the first and the second.

        Raises:
            ValueError: if the number of channels is not the one that the constructor was told.
        """
        require_channels(features, self.channels)
        hidden = projected(features, self.value_hidden.weight)
        if not self.options.cross_attention:
            return SAMixProjection(None, hidden)
        as_first, as_second = slice(None, self.channels), slice(self.channels, None)
        weights = (
            self.query.weight[:, as_first],
            self.query.weight[:, as_second],
            self.key.weight[:, as_first],
            self.key.weight[:, as_second],
        )
        attention = SAMixAttention(*(projected(features, weight) for weight in weights))
        return SAMixProjection(attention, hidden)

    def mask(
        self,
        projection: SAMixProjection,
        pairing: Pairing,
        image_size: tuple[int, int],
        upsampling: Upsampling = "nearest",
    ) -> Float[Tensor, "n 1 H W"]:
        """Share of the first image at each pixel, for one pairing of projected images.

        Runs in float32 under autocast too, as in AutoMix.

        Returns:
            Mask in [0, 1], float32.

        Raises:
            ValueError: if the image size is not a multiple of the feature size.
        """
        with torch.autocast(pairing.lam.device.type, enabled=False):
            logits = self._value_of_second(projection, pairing)
            if projection.attention is not None:
                logits = collect(*self._query_and_key(projection.attention, pairing), logits)
            after = self.options.sigmoid_after_upsampling
            return 1 - upsampled_share(logits, image_size, upsampling, squash_last=after)

    def look(self, projection: SAMixProjection, pairing: Pairing) -> Looks:
        """Values of the second images, and who collects them."""
        value = self._value_of_second(projection, pairing)
        if projection.attention is None:
            return Looks(value, None)
        return Looks(value, attend(*self._query_and_key(projection.attention, pairing)))

    def _value_of_second(
        self, projection: SAMixProjection, pairing: Pairing
    ) -> Float[Tensor, "n 1 h w"]:
        """Values of the second images, as logits of their share."""
        _, partner = self._scales(pairing.lam)
        return self._value(partner * projection.value_as_second[pairing.perm])

    def _query_and_key(
        self, first: SAMixAttention, pairing: Pairing
    ) -> tuple[Float[Tensor, "n d h w"], Float[Tensor, "n d h w"]]:
        """Queries and keys, both of both images."""
        mine, partner = self._scales(pairing.lam)
        second = SAMixAttention(*(each[pairing.perm] for each in first))
        query = mine * first.query_as_first + partner * second.query_as_second
        key = mine * first.key_as_first + partner * second.key_as_second
        return _with_bias(query, self.query), _with_bias(key, self.key)

    def _scales(
        self, lam: Float[Tensor, " n"]
    ) -> tuple[Float[Tensor, "n 1 1 1"], Float[Tensor, "n 1 1 1"]]:
        """What the features of first and second images are multiplied by, each in [1, 2]."""
        lam = lam.view(-1, 1, 1, 1)
        if self.options.lam_embedding == "none":
            return torch.ones_like(lam), torch.ones_like(lam)
        if self.options.lam_rescale is not None:
            lam = rescale_lam(lam, self.options.lam_rescale)
        return 1 + lam, 1 + (1 - lam)

    def _value(self, hidden: Float[Tensor, "n d h w"]) -> Float[Tensor, "n 1 h w"]:
        """Finish the value: norm and ELU of the hidden layer, output layer, dropout."""
        return self.value_dropout(self.value_output(F.elu(self.value_norm(hidden))))


def rescale_lam(lam: Float[Tensor, "*shape"], k: float) -> Float[Tensor, "*shape"]:
    """Flatten the middle of the ratios: lam' = (4/3 lam^3 - 2 lam^2 + (k + 1) lam) / (k + 1/3).

    0, 1/2 and 1 stay where they are, and 1 - lam becomes 1 - lam'. The slope is k / (k + 1/3) at
    1/2 and (k + 1) / (k + 1/3) at the ends: small k tells even mixtures apart less, and extreme
    ones more; large k changes nothing.

    Args:
        lam: Ratios, in [0, 1].
        k: At least 0, where the slope at 1/2 is 0.

    Source:
        OpenMixup `PixelMixBlock.rescale_lam_mult`. No difference.
    """
    return (4 / 3 * lam**3 - 2 * lam**2 + (k + 1) * lam) / (k + 1 / 3)


def _with_bias(maps: Float[Tensor, "n d h w"], conv: nn.Conv2d) -> Float[Tensor, "n d h w"]:
    """What the convolution adds after both images."""
    assert conv.bias is not None  # `project` leaves it out
    return maps + conv.bias.view(1, -1, 1, 1)
