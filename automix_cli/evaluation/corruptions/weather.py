"""Snow, frost and fog.

Legend: n images, h w pixels.
"""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from automix_cli.evaluation.corruptions.motion import smear
from automix_cli.evaluation.corruptions.pixels import SIZE, to_bytes, to_unit
from automix_cli.evaluation.corruptions.zoom import zoom_columns

SNOW = (
    (0.1, 0.2, 1.0, 0.6, 8.0, 3.0, 0.95),
    (0.1, 0.2, 1.0, 0.5, 10.0, 4.0, 0.9),
    (0.15, 0.3, 1.75, 0.55, 10.0, 4.0, 0.9),
    (0.25, 0.3, 2.25, 0.6, 12.0, 6.0, 0.85),
    (0.3, 0.3, 1.25, 0.65, 14.0, 12.0, 0.8),
)
"""Mean, deviation, zoom and threshold of the flakes, radius and sigma of their fall, and what is
left of the image's colours, by severity."""
FROST = ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))
"""Shares of image and photograph, by severity."""
FOG = ((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75))
"""Thickness and decay of the detail, by severity."""

GREY = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in grey."""
PHOTOGRAPH_STEP = 5
"""The frost photographs are shrunk to a fifth."""
NUM_PLASMA_DRAWS = SIZE * SIZE - 1
"""Uniform draws of one plasma: three of every four pixels at each of five scales."""

Images = UInt8[Tensor, "n h w 3"]


def snow(
    images: Images,
    severity: int,
    normal: Float[Tensor, "n h w"],
    uniform: Float[Tensor, " n"],
    dtype: torch.dtype,
) -> Images:
    """Let it snow: bright specks, smeared downwards, over a whitened image.

    Args:
        images: Clean images.
        severity: 1 to 5.
        normal: Standard normal draws of the flakes.
        uniform: Draws in [0, 1): where in [-135, -45) degrees the flakes fall.
        dtype: float64 is exact, float32 faster.

    Source:
        `snow` of make_cifar_c.py. Differs: OpenCV's vectorised grey rounds another way, which shows
        in fewer than 0.001 % of the values, by one level.
    """
    mean, deviation, factor, threshold, radius, sigma, kept = SNOW[severity - 1]
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


def shrink_photograph(photograph: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Shrink a frost photograph to a fifth, for images of 32 pixels.

    Source:
        `cv2.resize(fx=0.2, fy=0.2)`. At exactly a fifth, bilinear sampling falls on every fifth
        pixel from the third on. No difference.
    """
    height, width = (round(size / PHOTOGRAPH_STEP) for size in photograph.shape[:2])
    middle = PHOTOGRAPH_STEP // 2
    return photograph[middle::PHOTOGRAPH_STEP, middle::PHOTOGRAPH_STEP][:height, :width]


def frost(images: Images, severity: int, frozen: Images, dtype: torch.dtype) -> Images:
    """Look through a frozen window.

    Args:
        images: Clean images.
        severity: 1 to 5.
        frozen: Piece of a photograph of frost for each image.
        dtype: float64 is exact, float32 faster.

    Source:
        `frost` of make_cifar_c.py. No difference in float64.
    """
    image_share, frost_share = FROST[severity - 1]
    blended = (images.to(dtype) * image_share).add_(frozen.to(dtype).mul_(frost_share))
    return blended.clamp_(0, 255).to(torch.uint8)


def fog(
    images: Images, severity: int, uniform: Float[Tensor, "n draws"], dtype: torch.dtype
) -> Images:
    """Lay a random cloud over the image, and dim both to the image's own range.

    Args:
        images: Clean images.
        severity: 1 to 5.
        uniform: Draws in [0, 1), `NUM_PLASMA_DRAWS` for each image.
        dtype: float64 is exact, float32 faster.

    Source:
        `fog` of make_cifar_c.py. No difference in float64.
    """
    thickness, decay = FOG[severity - 1]
    values = to_unit(images, dtype)
    brightest = values.amax((1, 2, 3), keepdim=True)
    values.add_(plasma(uniform.to(dtype), decay).mul_(thickness)[..., None])
    return to_bytes(values.mul_(brightest).div_(brightest + thickness))


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
    field = torch.zeros(len(uniform), SIZE, SIZE, dtype=uniform.dtype)
    step, strength, used = SIZE, 100.0, 0
    while step >= 2:
        half, count = step // 2, SIZE // step
        corners = slice(0, SIZE, step)
        centres = slice(half, SIZE, step)
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
