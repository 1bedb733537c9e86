"""The published script's draws, replayed with numpy's legacy generator in the script's order."""

from collections.abc import Sequence
from typing import Any

import numpy as np

SIZE = 32
GLASS_PASSES = (1, 1, 1, 2, 2)
SHOT_COUNTS = (500, 250, 100, 75, 50)

Draws = tuple[np.ndarray, ...]


def published_draws(
    name: str, severity: int, images: np.ndarray, photographs: Sequence[np.ndarray] = ()
) -> Draws:
    """Draw what the script draws for each of the golden images, stacked."""
    rows: list[Draws] = []
    for number, image in enumerate(images):
        rng: Any = np.random.RandomState(100000 + 1000 * severity + number)
        rows.append(_draw(name, severity, image, rng, photographs))
    return tuple(np.stack(column) for column in zip(*rows, strict=True))


def _draw(
    name: str, severity: int, image: np.ndarray, rng: Any, photographs: Sequence[np.ndarray]
) -> Draws:
    square = (SIZE, SIZE)
    colour = (SIZE, SIZE, 3)
    draws = {
        "gaussian_noise": lambda: (rng.standard_normal(colour),),
        "speckle_noise": lambda: (rng.standard_normal(colour),),
        "shot_noise": lambda: (rng.poisson(image / 255.0 * SHOT_COUNTS[severity - 1]),),
        "impulse_noise": lambda: (rng.random_sample(colour), rng.random_sample(colour) < 0.5),
        "glass_blur": lambda: (_glass_steps(rng, GLASS_PASSES[severity - 1]),),
        "motion_blur": lambda: (np.array(rng.random_sample()),),
        "snow": lambda: (rng.standard_normal(square), np.array(rng.random_sample())),
        "frost": lambda: (_window(rng, photographs),),
        "fog": lambda: (rng.random_sample(SIZE * SIZE - 1),),
        "elastic_transform": lambda: (rng.random_sample((3, 2)), rng.random_sample((2, *square))),
        "spatter": lambda: (rng.standard_normal(square),),
    }
    return draws[name]() if name in draws else ()


def _glass_steps(rng: Any, passes: int) -> np.ndarray:
    """Two integers of -1 or 0 for every pixel but the first two rows and columns, backwards."""
    side = SIZE - 2
    steps = np.zeros((passes, SIZE, SIZE, 2), np.uint8)
    steps[:, :1:-1, :1:-1] = -rng.randint(-1, 1, size=(passes, side, side, 2))
    return steps


def _window(rng: Any, photographs: Sequence[np.ndarray]) -> np.ndarray:
    photograph = photographs[rng.randint(5)]
    height, width = (round(0.2 * size) for size in photograph.shape[:2])
    small = photograph[2::5, 2::5][:height, :width]
    top = rng.randint(0, height - SIZE)
    left = rng.randint(0, width - SIZE)
    return small[top : top + SIZE, left : left + SIZE]
