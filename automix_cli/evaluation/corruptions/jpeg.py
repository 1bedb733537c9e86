"""JPEG as IJG's libjpeg 9 writes and reads it, in its own integer arithmetic.

libjpeg 9, which the official files were made with, halves the resolution of the colours by a
discrete cosine transform over 16 x 16 pixels that keeps 8 x 8 frequencies. libjpeg-turbo, which
Pillow and torchvision use today, averages 2 x 2 pixels: its images differ by up to 55 levels.

The integers are small enough for float64 to hold them exactly, so that the transforms can be matrix
products.

Legend: n images, h w pixels, `k` frequencies, b blocks.
"""

from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

LUMINANCE = """
    16 11 10 16 24 40 51 61  12 12 14 19 26 58 60 55  14 13 16 24 40 57 69 56
    14 17 22 29 51 87 80 62  18 22 37 56 68 109 103 77  24 35 55 64 81 104 113 92
    49 64 78 87 103 121 120 101  72 92 95 98 112 100 103 99"""
CHROMINANCE = "17 18 24 47 18 21 26 66 24 26 56 99 47 66 99 99"
"""Annex K of the standard, row by row; of the second the upper left quarter, the rest is 99."""

FORWARD_8 = """
    8192 8192 8192 8192  11363 9633 6437 2260  10703 4433 -4433 -10703  9633 -2259 -11362 -6436
    8192 -8192 -8192 8192  6437 -11362 2261 9633  4433 -10704 10704 -4433  2260 -6436 9633 -11363"""
FORWARD_16 = """
    8192 8192 8192 8192 8192 8192 8192 8192  11529 11086 10217 8956 7350 5461 3363 1135
    11363 9633 6436 2260 -2260 -6436 -9633 -11363
    11086 7350 1136 -5461 -10217 -11529 -8956 -3363
    10703 4433 -4433 -10703 -10703 -4433 4433 10703
    10217 1136 -8955 -11086 -3363 7350 11529 5461
    9633 -2260 -11363 -6437 6437 11363 2260 -9633
    8956 -5461 -11086 1137 11530 3363 -10217 -7350"""
INVERSE_16 = """
    8192 11529 11363 11086 10703 10217 9632 8956  8192 11086 9633 7350 4433 1136 -2260 -5461
    8192 10217 6437 1136 -4433 -8955 -11363 -11086  8192 8956 2260 -5461 -10703 -11086 -6436 1137
    8192 7350 -2260 -10217 -10703 -3363 6436 11529  8192 5461 -6437 -11529 -4433 7349 11363 3363
    8192 3363 -9633 -8955 4433 11529 2260 -10217  8192 1136 -11363 -3363 10703 5461 -9632 -7350"""
"""What libjpeg's transforms multiply with, units of 2**-13; the other halves follow by symmetry."""

Images = UInt8[Tensor, "n h w 3"]
Plane = Float[Tensor, "n h w"]


def jpeg_compression(images: Images, quality: int) -> Images:
    """Write as JPEG (4:2:0) and read again; sides are multiples of 16 pixels.

    Source:
        `jpeg_compression` of make_cifar_c.py, and libjpeg 9. No difference.
    """
    red, green, blue = images.permute(3, 0, 1, 2).to(torch.int32).unbind(0)
    half, middle = 1 << 15, 128 << 16
    luminance = (19595 * red + 38470 * green + 7471 * blue + half) >> 16
    bluish = (-11058 * red - 21710 * green + 32768 * blue + (middle + half - 1)) >> 16
    reddish = (32768 * red - 27439 * green - 5329 * blue + (middle + half - 1)) >> 16
    y = _code(luminance, quality_table("luminance", quality), *matrices(8))
    table = quality_table("chrominance", quality)
    cb, cr = (_code(each, table, *matrices(16)) - 128 for each in (bluish, reddish))
    channels = [
        y + ((91881 * cr + half) >> 16),
        y + ((-22553 * cb - 46802 * cr + half) >> 16),
        y + ((116130 * cb + half) >> 16),
    ]
    return torch.stack(channels, -1).clamp_(0, 255).to(torch.uint8)


@cache
def quality_table(kind: str, quality: int) -> Int[Tensor, "8 8"]:
    """What frequencies are divided by, at a quality from 1 to 100."""
    if kind == "luminance":
        base = np.array(LUMINANCE.split(), int).reshape(8, 8)
    else:
        base = np.full((8, 8), 99)
        base[:4, :4] = np.array(CHROMINANCE.split(), int).reshape(4, 4)
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return torch.from_numpy(np.clip((base * scale + 50) // 100, 1, 255))


@cache
def matrices(block: int) -> tuple[Float[Tensor, "8 b"], Float[Tensor, "b 8"]]:
    """Transforms of a line of 8 or 16 pixels to 8 frequencies, and back."""
    signs = np.array([1, -1] * 4)
    text = FORWARD_8 if block == 8 else FORWARD_16
    left = np.array(text.split(), float).reshape(8, block // 2)
    forward = np.hstack([left, (left * signs[:, None])[:, ::-1]])
    if block == 8:
        inverse = forward.T.copy()
    else:
        top = np.array(INVERSE_16.split(), float).reshape(8, 8)
        inverse = np.vstack([top, (top * signs)[::-1]])
    return torch.from_numpy(forward), torch.from_numpy(inverse)


def _code(
    plane: Int[Tensor, "n h w"],
    table: Int[Tensor, "8 8"],
    forward: Float[Tensor, "8 b"],
    inverse: Float[Tensor, "b 8"],
) -> Int[Tensor, "n h w"]:
    """Transform blocks, quantise the frequencies, and transform back."""
    num_images, height, width = plane.shape
    block = inverse.shape[0]
    tiles = plane.double().sub_(128)
    tiles = tiles.view(num_images, height // block, block, width // block, block).transpose(2, 3)
    frequencies = rounded_shift(tiles.contiguous() @ forward.T, 11)
    frequencies = rounded_shift(forward @ frequencies, 15 if block == 8 else 17)
    divisor = table * 8.0
    steps = frequencies.abs().add_((divisor / 2).floor()).div_(divisor).floor_()
    kept = steps.mul_(table).copysign_(frequencies)
    tiles = rounded_shift(rounded_shift(inverse @ kept, 11) @ inverse.T, 18)
    tiles = tiles.add_(128).clamp_(0, 255).int()
    return tiles.transpose(2, 3).reshape(num_images, height, width)


def rounded_shift(values: Float[Tensor, "*shape"], bits: int) -> Float[Tensor, "*shape"]:
    """Divide whole numbers by 2**bits and round, a half upwards; `values` are written over."""
    return values.mul_(2.0**-bits).add_(0.5).floor_()
