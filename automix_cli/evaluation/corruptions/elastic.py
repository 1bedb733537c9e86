"""Elastic transform: an image is sheared and stretched as a whole, then wrinkled.

A pixel is looked up as one complex number of 16 bytes, which holds red, green, blue and nothing:
four taps a pixel are then four look-ups instead of twelve.

Legend: n images, h w pixels, p h * w pixels of an image, `y` rows, `x` columns.
"""

import torch
from jaxtyping import Complex, Float, Int, UInt8
from torch import Tensor

from automix_cli.evaluation.corruptions.pixels import (
    edge_indices,
    gaussian_weights,
    to_bytes,
    to_unit,
)

LARGEST = 2.0**30
"""Places are cut off here, in 1/1024 pixel: shears that nearly fold the image reach far outside."""

Images = UInt8[Tensor, "n h w 3"]
Packed = Complex[Tensor, "n p"]


def elastic_transform(
    images: Images,
    elastic: tuple[float, float, float],
    shear: Float[Tensor, "n 3 2"],
    wrinkles: Float[Tensor, "n 2 h w"],
    dtype: torch.dtype,
) -> Images:
    """Shear an image, then move every pixel a little, neighbours in similar directions.

    Args:
        images: Clean images.
        elastic: Strength and sigma of the wrinkles, and reach of the shear, pixels.
        shear: Draws in [0, 1) for the three points, x and y.
        wrinkles: Draws in [0, 1) for the shifts to the right, then down.
        dtype: float64 is exact, float32 faster.

    Source:
        `elastic_transform` of make_cifar_c.py with OpenCV 3.4 and scipy 1.0, whose treatment of the
        borders differs from that of today's releases. No difference in float64.
    """
    strength, sigma, reach = elastic
    size = images.shape[1]
    moves = (-reach + (reach - -reach) * shear.double()).float()
    points = (corners(size) + moves).double()
    inverse = invert(affine_map(points, size))
    sheared = sample_sheared(pack(to_unit(images, torch.float32)), inverse, size)
    if strength == 0:
        return to_bytes(unpack(sheared, size))
    # in float64 always: at the borders another last bit may mean another pixel
    shifts = smooth_shifts((wrinkles.double() * 2).sub_(1), sigma).mul_(strength).float()
    right, down = shifts.double().unbind(1)
    grid = torch.arange(size, dtype=torch.float64)
    return to_bytes(sample_wrinkled(sheared, down.add_(grid[:, None]), right.add_(grid), dtype))


def corners(size: int) -> Float[Tensor, "3 2"]:
    """The three points (x, y) that the shear moves: a third of the image from its middle."""
    low, high = float(size // 2 - size // 3), float(size // 2 + size // 3)
    return torch.tensor([[high, high], [high, low], [low, low]])


def pack(values: Float[Tensor, "n h w 3"]) -> Packed:
    """Red, green, blue and 0 of a pixel as the 16 bytes of one complex number."""
    four = torch.nn.functional.pad(values, (0, 1))
    return four.view(torch.complex128).flatten(1)


def unpack(packed: Packed, size: int) -> Float[Tensor, "n h w 3"]:
    """Undo `pack`."""
    return packed.view(torch.float32).view(len(packed), size, size, 4)[..., :3].contiguous()


def look_up(packed: Packed, rows: Int[Tensor, "n h w"], columns: Int[Tensor, "n h w"]) -> Tensor:
    """The pixels at rows and columns, `(n, h, w, 4)` float32."""
    width = rows.shape[2]
    first = torch.arange(0, packed.numel(), packed.shape[1], dtype=rows.dtype)
    places = (rows * width).add_(columns).add_(first[:, None, None])
    taken = packed.flatten().index_select(0, places.flatten())
    return taken.view(torch.float32).view(*rows.shape, 4)


def affine_map(points: Float[Tensor, "n 3 2"], size: int) -> Float[Tensor, "n 2 3"]:
    """The affine map that takes `corners`, whose sides are parallel to the axes, to `points`."""
    low, _, high = corners(size)[:, 1].sort().values.tolist()
    distance = high - low
    per_x = (points[:, 1] - points[:, 2]) / distance
    per_y = (points[:, 0] - points[:, 1]) / distance
    constant = points[:, 0] - high * (per_x + per_y)
    return torch.stack([per_x, per_y, constant], dim=2)


def invert(forward: Float[Tensor, "n 2 3"]) -> Float[Tensor, "n 2 3"]:
    """The affine map that undoes `forward`."""
    (a, b, c), (d, e, f) = (row.unbind(1) for row in forward.unbind(1))
    scale = 1 / (a * e - b * d)
    a, b, d, e = e * scale, -b * scale, -d * scale, a * scale
    rows = [a, b, -a * c - b * f], [d, e, -d * c - e * f]
    return torch.stack([torch.stack(row, 1) for row in rows], 1)


def sample_sheared(packed: Packed, inverse: Float[Tensor, "n 2 3"], size: int) -> Packed:
    """Fetch every pixel from where `inverse` says, interpolating between four.

    Source:
        `cv2.warpAffine` of OpenCV 3.4 to 4 with linear interpolation and `BORDER_REFLECT_101`:
        places are integers, rounded to 1/1024 and then to 1/32 pixel. No difference.
    """
    grid = torch.arange(size, dtype=torch.float64)

    def whole(places: Tensor) -> Tensor:  # pixels to units of 1/1024 pixel
        return places.mul_(1024).round_().clamp_(-LARGEST, LARGEST).int()

    def places(row: Tensor) -> Tensor:  # (n, 3) to (n, h, w) in units of 1/32 pixel
        by_x = whole(row[:, :1] * grid)
        by_y = whole((row[:, 1:2] * grid).add_(row[:, 2:])).add_(16)
        return (by_y[:, :, None] + by_x[:, None, :]).bitwise_right_shift_(5)

    x, y = (places(row) for row in inverse.unbind(1))
    share_x, share_y = ((each & 31).float().div_(32)[..., None] for each in (x, y))
    x, y = ((each >> 5).clamp_(-(1 << 15), (1 << 15) - 1) for each in (x, y))
    (left, right), (above, below) = (
        [_mirrored_pixel(each + step, size) for step in (0, 1)] for each in (x, y)
    )
    rest_x, rest_y = 1 - share_x, 1 - share_y
    total = look_up(packed, above, left).mul_(rest_y * rest_x)
    total += look_up(packed, above, right).mul_(rest_y * share_x)
    total += look_up(packed, below, left).mul_(share_y * rest_x)
    total += look_up(packed, below, right).mul_(share_y * share_x)
    return total.view(torch.complex128).flatten(1)


def smooth_shifts(shifts: Float[Tensor, "n 2 h w"], sigma: float) -> Float[Tensor, "n 2 h w"]:
    """Smooth with a Gaussian that ends at 3 sigma, borders mirrored, as two matrix products.

    Source:
        `skimage.filters.gaussian(mode="reflect", truncate=3)`. Differs in the last bits, which the
        rounding to float32 that follows takes away.
    """
    reach = int(3 * sigma + 0.5)
    weights = torch.tensor(gaussian_weights(sigma, reach), dtype=torch.float64)
    size = shifts.shape[2]
    sources = edge_indices(size, reach, "symmetric").unfold(0, 2 * reach + 1, 1)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    matrix.scatter_add_(1, sources, weights.expand_as(sources))
    matrix = matrix.to(shifts.dtype)
    return matrix @ shifts @ matrix.T


def sample_wrinkled(
    packed: Packed,
    rows: Float[Tensor, "n h w"],
    columns: Float[Tensor, "n h w"],
    dtype: torch.dtype,
) -> Float[Tensor, "n h w 3"]:
    """Fetch every pixel from fractional rows and columns, interpolating between four in `dtype`.

    Source:
        `scipy.ndimage.map_coordinates(order=1, mode="reflect")` of scipy 1.0: a place outside is
        mirrored about the pixels' outer edge, but the pixels around it about the last pixel's
        middle. No difference in float64.
    """
    size = rows.shape[1]
    rows, columns = (_mirrored_once(each, size) for each in (rows, columns))
    above, left = rows.floor(), columns.floor()
    share_y = (rows - above).to(dtype)[..., None]
    share_x = (columns - left).to(dtype)[..., None]
    above, left = above.int(), left.int()
    (above, below), (left, right) = (
        [_mirrored_pixel(each + step, size) for step in (0, 1)] for each in (above, left)
    )
    rest_y, rest_x = 1 - share_y, 1 - share_x
    total = look_up(packed, above, left) * (rest_y * rest_x)
    total += look_up(packed, above, right) * (rest_y * share_x)
    total += look_up(packed, below, left) * (share_y * rest_x)
    total += look_up(packed, below, right) * (share_y * share_x)
    return total[..., :3].float().contiguous()


def _mirrored_once(places: Tensor, size: int) -> Tensor:
    """Mirror places outside of an image about -0.5 or size - 0.5; none is farther than its size."""
    high = torch.where(places >= size, 2 * size - places - 1, places)
    return torch.where(places < 0, -places - 1, high)


def _mirrored_pixel(places: Int[Tensor, "n h w"], size: int) -> Int[Tensor, "n h w"]:
    """Mirror pixels outside of an image about its first and last one, as often as it takes."""
    places = places.abs().remainder_(2 * size - 2)
    return torch.minimum(places, 2 * size - 2 - places)
