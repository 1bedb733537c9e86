"""The random part of the corruptions, one image at a time.

An image's draws depend on its own generator and on nothing else: not on the batch that it is in,
the images beside it, or the device. Between the published script's draws and ours lies the
generator only: distributions and order are the same.

Legend: h w pixels.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

from automix_cli.evaluation.corruptions.weather import num_plasma_draws

Draws = tuple[np.ndarray, ...]
"""What one image takes, in the order in which it is drawn and handed to the corruption."""
Image = UInt8[np.ndarray, "h w 3"]
Draw = Callable[[np.random.Generator, Any, Image], Draws]
"""Generator, the corruption's parameter and image to draws."""


def normal_per_value(rng: np.random.Generator, parameter: Any, image: Image) -> Draws:
    """For Gaussian and speckle noise."""
    return (rng.standard_normal(image.shape),)


def photons(rng: np.random.Generator, count: int, image: Image) -> Draws:
    """For shot noise: the counts, whose means are the image's values."""
    return (rng.poisson(image / 255.0 * count),)


def impulses(rng: np.random.Generator, parameter: Any, image: Image) -> Draws:
    """For impulse noise: what decides on replacing a value, and whether it becomes white."""
    replacing = rng.random(image.shape, dtype=np.float32)
    return replacing, rng.integers(0, 2, image.shape, dtype=np.uint8).view(np.bool_)


def steps(rng: np.random.Generator, glass: tuple[float, int, int], image: Image) -> Draws:
    """For glass blur: by how many columns and rows less than the farthest, in every pass."""
    _, reach, passes = glass
    return (rng.integers(0, 2 * reach, (passes, *image.shape[:2], 2), dtype=np.uint8),)


def direction(rng: np.random.Generator, parameter: Any, image: Image) -> Draws:
    """For motion blur."""
    return (rng.random(()),)


def flakes_and_direction(rng: np.random.Generator, parameter: Any, image: Image) -> Draws:
    """For snow."""
    return rng.standard_normal(image.shape[:2]), rng.random(())


def cloud(rng: np.random.Generator, parameter: Any, image: Image) -> Draws:
    """For fog."""
    return (rng.random(num_plasma_draws(len(image))),)


def shear_and_wrinkles(rng: np.random.Generator, parameter: Any, image: Image) -> Draws:
    """For the elastic transform."""
    return rng.random((3, 2)), rng.random((2, *image.shape[:2]))


def liquid(rng: np.random.Generator, parameter: Any, image: Image) -> Draws:
    """For spatter."""
    return (rng.standard_normal(image.shape[:2]),)


def window(photographs: Sequence[UInt8[np.ndarray, "_ _ 3"]], size: int) -> Draw:
    """For frost: a piece of one of the photographs, which are already as small as they are used.

    Like the published script it leaves out the last place in each direction.

    Raises:
        ValueError: if there is no photograph, or one is not larger than an image.
    """
    if not photographs or any(min(each.shape[:2]) <= size for each in photographs):
        sides = [each.shape[:2] for each in photographs]
        raise ValueError(f"photographs must be larger than {size} x {size}, got sizes {sides}")

    def draw(rng: np.random.Generator, parameter: Any, image: Image) -> Draws:
        photograph = photographs[int(rng.integers(len(photographs)))]
        top, left = (int(rng.integers(side - size)) for side in photograph.shape[:2])
        return (photograph[top : top + size, left : left + size],)

    return draw
