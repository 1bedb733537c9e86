"""Spatter: drops of water or splashes of mud.

Legend: n images, h w pixels.
"""

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from automix_cli.evaluation.corruptions.edges import find_edges, neighbours, truncated_distance
from automix_cli.evaluation.corruptions.pixels import extend, smooth, to_bytes, to_unit

WATER = (175, 238, 238)
MUD = (63, 42, 20)
"""Red, green, blue, in [0, 255]."""
EMBOSS = ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))
"""Lights drops from the upper left."""

Images = UInt8[Tensor, "n h w 3"]
Map = Float[Tensor, "n h w"]


def spatter(
    images: Images,
    liquid: tuple[float, float, float, float, float, bool],
    normal: Float[Tensor, "n h w"],
) -> Images:
    """Spray liquid over an image, water or mud.

    The liquid is made in float64 always: a threshold that is missed moves a value by many levels.

    Args:
        images: Clean images.
        liquid: Its mean, deviation, sigma and threshold; the strength of water, or the sigma of
            the smoothing of mud; whether it is mud.
        normal: Standard normal draws of the liquid.

    Source:
        `spatter` of make_cifar_c.py, with OpenCV. No difference.
    """
    mean, deviation, sigma, threshold, strength, is_mud = liquid
    depth = smooth((normal.double() * deviation).add_(mean), sigma)
    if is_mud:
        return with_mud(images, depth > threshold, strength)
    return with_water(images, torch.where(depth < threshold, 0, depth), strength)


def with_mud(images: Images, muddy: Bool[Tensor, "n h w"], sigma: float) -> Images:
    """Cover an image with splashes that have smooth borders."""
    cover = smooth(muddy.double(), sigma)
    cover = torch.where(cover < 0.8, 0, cover)[..., None]
    colour = torch.tensor([each / 255 for each in MUD], dtype=torch.float32)
    mud = (colour.double() * cover).float()
    values = to_unit(images, torch.float32).double()
    return to_bytes(values.mul_(1 - cover).float().add_(mud))


def with_water(images: Images, liquid: Map, strength: float) -> Images:
    """Lay drops over an image, lit from one side."""
    # more than 1 wraps around, as the script's cast does
    depth = (liquid * 255).to(torch.int32).bitwise_and_(255)
    lit = drop_light(depth)
    drops = depth.float().mul_(lit)
    drops = drops.div_(drops.amax((1, 2), keepdim=True)).mul_(strength)
    colour = torch.tensor([each / 255 for each in WATER], dtype=torch.float32)
    values = to_unit(images, torch.float32).add_(drops[..., None] * colour)
    # without any liquid the script divides 0 by 0, and such an image is black
    return to_bytes(values.nan_to_num_(0))


def drop_light(depth: Int[Tensor, "n h w"]) -> Map:
    """How bright the light on each drop is, in [0, 255], from the distance to drops' borders."""
    distance = truncated_distance(find_edges(depth, low=50, high=150))
    units = box_sum(distance)  # of nine pixels, whole numbers of 1/65536 pixel
    mean = units.double().div_(65536).mul_(1 / 9).float().to(torch.int32)
    levels = equalised(mean)
    around = neighbours(extend(levels, 1, "mirror"), 1)
    embossed = sum(
        weight * around[row - 1, column - 1]
        for row, line in enumerate(EMBOSS)
        for column, weight in enumerate(line)
        if weight
    )
    nine = box_sum(torch.as_tensor(embossed).clamp_(0, 255))
    return (2 * nine + 9).div_(18, rounding_mode="floor").float()


def box_sum(values: Int[Tensor, "n h w"]) -> Int[Tensor, "n h w"]:
    """The sum of the 3 x 3 pixels around each, mirrored at the borders."""
    padded = extend(values, 1, "mirror")
    across = padded[:, :, :-2] + padded[:, :, 1:-1] + padded[:, :, 2:]
    return across[:, :-2] + across[:, 1:-1] + across[:, 2:]


def equalised(levels: Int[Tensor, "n h w"]) -> Int[Tensor, "n h w"]:
    """Spread the levels of each image so that all are as frequent.

    Source:
        `cv2.equalizeHist`. No difference for levels below 32, which is all there are.
    """
    num_levels = 32
    num_images = len(levels)
    places = levels + num_levels * torch.arange(num_images, dtype=levels.dtype)[:, None, None]
    counts = places.flatten().bincount(minlength=num_images * num_levels).view(num_images, -1)
    first = (counts > 0).int().argmax(1, keepdim=True)
    lowest = counts.gather(1, first)
    num_pixels = levels[0].numel()
    scale = torch.tensor(255.0) / (num_pixels - lowest).clamp(min=1).float()
    table = (counts.cumsum(1) - lowest).float().mul_(scale).round_().clamp_(0, 255).int()
    table = torch.where(lowest == num_pixels, first.int(), table)  # one level only: it stays
    return table.flatten().index_select(0, places.flatten()).view(levels.shape)
