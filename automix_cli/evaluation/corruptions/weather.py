"""Snow, frost and fog.

Legend: n images, h w pixels.
"""

from math import isqrt

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from automix_cli.evaluation.corruptions.motion import smear
from automix_cli.evaluation.corruptions.pixels import to_bytes, to_unit
from automix_cli.evaluation.corruptions.zoom import zoom_columns

GREY = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in grey."""
FIXED_POINT = 2048
"""What OpenCV's resizing of bytes makes whole numbers of shares with."""

Images = UInt8[Tensor, "n h w 3"]


def snow(
    images: Images,
    weather: tuple[float, float, float, float, float, float, float],
    normal: Float[Tensor, "n h w"],
    uniform: Float[Tensor, " n"],
    dtype: torch.dtype,
) -> Images:
    """Let it snow: bright specks, smeared downwards, over a whitened image.

    Args:
        images: Clean images.
        weather: Mean, deviation, zoom and threshold of the flakes, radius and sigma of their fall,
            and what is left of the image's colours.
        normal: Standard normal draws of the flakes.
        uniform: Draws in [0, 1): where in [-135, -45) degrees the flakes fall.
        dtype: float64 is exact, float32 faster.

    Source:
        `snow` of make_cifar_c.py. Differs: OpenCV's vectorised grey rounds another way, which shows
        in fewer than 0.001 % of the values, by one level.
    """
    mean, deviation, factor, threshold, radius, sigma, kept = weather
    # the layer is made in float64 always: a threshold that is missed moves a value by many levels
    flakes = (normal.double() * deviation).add_(mean)
    if factor != 1:
        columns = flakes.flatten(1).T.contiguous()
        flakes = zoom_columns(columns, factor).T.reshape(normal.shape)
    flakes = torch.where(flakes < threshold, 0, flakes)
    degrees = -135 + (-45 - -135) * uniform.double()
    layer = smear(to_bytes(flakes)[..., None], radius, sigma, degrees, torch.float64)
    layer = to_unit(layer, dtype)
    values = to_unit(images, torch.float32)
    red, green, blue = values.unbind(-1)
    grey = (red * GREY[0]).add_(green * GREY[1]).add_(blue * GREY[2]).mul_(1.5).add_(0.5)
    # numpy rounds a number that meets float32 values to float32 first, and so does torch
    whitened = torch.maximum(values, grey[..., None]).mul_(1 - kept).add_(values * kept)
    return to_bytes(whitened.to(dtype).add_(layer).add_(layer.flip(1, 2)))


def resize_photograph(
    photograph: UInt8[np.ndarray, "h w 3"], scale: float
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Bring a frost photograph to the size at which windows are cut out of it.

    Args:
        photograph: In full size.
        scale: In (0, 1].

    Source:
        `cv2.resize(fx=scale, fy=scale)` of bytes: bilinear, without smoothing, shares rounded to
        1/2048, rows first. No difference.
    """
    if scale == 1:
        return photograph
    values = photograph.astype(np.int64)
    values = _between(values.swapaxes(0, 1), scale)  # units of 1/2048
    low, high, share = _places(photograph.shape[0], scale)
    above, below = (values.swapaxes(0, 1)[each] >> 4 for each in (low, high))
    rest = (FIXED_POINT - share)[:, None, None]
    total = (above * rest >> 16) + (below * share[:, None, None] >> 16)
    return (total + 2 >> 2).clip(0, 255).astype(np.uint8)


def _between(values: Int[np.ndarray, "w h 3"], scale: float) -> Int[np.ndarray, "w2 h 3"]:
    low, high, share = _places(len(values), scale)
    share = share[:, None, None]
    return values[low] * (FIXED_POINT - share) + values[high] * share


def _places(
    size: int, scale: float
) -> tuple[Int[np.ndarray, " s"], Int[np.ndarray, " s"], Int[np.ndarray, " s"]]:
    """The two pixels that each pixel of a resized line lies between, and the second one's share."""
    middle = ((np.arange(round(size * scale)) + 0.5) * (1 / scale) - 0.5).astype(np.float32)
    low = np.floor(middle).astype(int)
    share = np.rint((middle - low.astype(np.float32)) * FIXED_POINT).astype(int)
    return low.clip(0, size - 1), (low + 1).clip(0, size - 1), share


def frost(
    images: Images, shares: tuple[float, float], frozen: Images, dtype: torch.dtype
) -> Images:
    """Look through a frozen window.

    Args:
        images: Clean images.
        shares: Of the image and of the photograph.
        frozen: Piece of a photograph of frost for each image.
        dtype: float64 is exact, float32 faster.

    Source:
        `frost` of make_cifar_c.py. No difference in float64.
    """
    image_share, frost_share = shares
    blended = (images.to(dtype) * image_share).add_(frozen.to(dtype).mul_(frost_share))
    return blended.clamp_(0, 255).to(torch.uint8)


def fog(
    images: Images,
    cloud: tuple[float, float],
    uniform: Float[Tensor, "n draws"],
    dtype: torch.dtype,
) -> Images:
    """Lay a random cloud over the image, and dim both to the image's own range.

    Args:
        images: Clean images.
        cloud: Its thickness, and the decay of its detail.
        uniform: Draws in [0, 1), `num_plasma_draws` for each image.
        dtype: float64 is exact, float32 faster.

    Source:
        `fog` of make_cifar_c.py. No difference in float64.
    """
    thickness, decay = cloud
    values = to_unit(images, dtype)
    brightest = values.amax((1, 2, 3), keepdim=True)
    height, width = images.shape[1:3]
    whole = plasma(uniform.to(dtype), decay)  # its range counts, also where it is cut off
    values.add_(whole[:, :height, :width].mul(thickness)[..., None])
    return to_bytes(values.mul_(brightest).div_(brightest + thickness))


def num_plasma_draws(size: int) -> int:
    """How many uniform draws a cloud for images of `size` pixels takes: one less than it has.

    Its side is a power of two, the smallest that is enough.
    """
    return (1 << (size - 1).bit_length()) ** 2 - 1


def plasma(uniform: Float[Tensor, "n draws"], decay: float) -> Float[Tensor, "n h w"]:
    """Draw a cloud, coarse shapes first, by the diamond-square algorithm.

    Args:
        uniform: Draws in [0, 1): at each scale squares, then the two families of diamonds.
        decay: By what the strength is divided from one scale to the next.

    Returns:
        Values in [0, 1], both reached in every image.

    Source:
        `plasma_fractal` of make_cifar_c.py, where a draw is already scaled by the strength that it
        is multiplied with. No difference.
    """
    side = isqrt(uniform.shape[1] + 1)
    field = torch.zeros(len(uniform), side, side, dtype=uniform.dtype)
    step, strength, used = side, 100.0, 0
    while step >= 2:
        half, count = step // 2, side // step
        corners = slice(0, side, step)
        centres = slice(half, side, step)
        size = count * count
        draws = uniform[:, used : used + 3 * size].unflatten(1, (3, count, count))
        jumps = (draws * (strength - -strength)).add_(-strength).mul_(strength)
        corner = field[:, corners, corners]
        pairs = corner + corner.roll(-1, 1)
        centre = (pairs + pairs.roll(-1, 2)).div_(4).add_(jumps[:, 0])
        field[:, centres, centres] = centre
        vertical = (centre + centre.roll(1, 1)) + (corner + corner.roll(-1, 2))
        field[:, corners, centres] = vertical.div_(4).add_(jumps[:, 1])
        horizontal = (centre + centre.roll(1, 2)) + (corner + corner.roll(-1, 1))
        field[:, centres, corners] = horizontal.div_(4).add_(jumps[:, 2])
        step, strength, used = half, strength / decay, used + 3 * size
    field -= field.amin((1, 2), keepdim=True)
    return field.div_(field.amax((1, 2), keepdim=True))
