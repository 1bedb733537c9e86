"""The constants of the published scripts: of CIFAR-C, of ImageNet-C and of Tiny-ImageNet-C.

Each corruption has one parameter for each severity, a number or a tuple; what it means is said by
the corruption's function. Lengths are in pixels, strengths in units of 255.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

SEVERITIES = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Constants:
    """What tells one published benchmark from another.

    Attributes:
        size: Height and width of its images.
        frost_scale: By what the photographs of frost are resized.
        parameters: By corruption: its parameter at each severity.
    """

    size: int
    frost_scale: float
    parameters: Mapping[str, tuple[Any, ...]]


def _factors(*ranges: tuple[float, float]) -> tuple[tuple[float, ...], ...]:
    """Zoom factors from 1 to an end by a step; rounding decides whether the end is among them."""
    return tuple(tuple(np.arange(1, end, step).tolist()) for end, step in ranges)


def _times(unit: int, *rows: tuple[float, float, float]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(unit * each for each in row) for row in rows)


CIFAR = Constants(
    size=32,
    frost_scale=0.2,
    parameters={
        "gaussian_noise": (0.04, 0.06, 0.08, 0.09, 0.10),
        "shot_noise": (500, 250, 100, 75, 50),
        "impulse_noise": (0.01, 0.02, 0.03, 0.05, 0.07),
        "speckle_noise": (0.06, 0.1, 0.12, 0.16, 0.2),
        "gaussian_blur": (0.4, 0.6, 0.7, 0.8, 1.0),
        "defocus_blur": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)),
        "glass_blur": ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
        "motion_blur": ((6.0, 1.0), (6.0, 1.5), (6.0, 2.0), (8.0, 2.0), (9.0, 2.5)),
        "zoom_blur": _factors((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
        "snow": (
            (0.1, 0.2, 1.0, 0.6, 8.0, 3.0, 0.95),
            (0.1, 0.2, 1.0, 0.5, 10.0, 4.0, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10.0, 4.0, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12.0, 6.0, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14.0, 12.0, 0.8),
        ),
        "frost": ((1.0, 0.2), (1.0, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
        "fog": ((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)),
        "brightness": (0.05, 0.1, 0.15, 0.2, 0.3),
        "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),
        "saturate": ((0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2)),
        "elastic_transform": _times(
            *(32, (0.0, 0.0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06)),
            *((0.1, 0.04, 0.05), (0.1, 0.03, 0.03)),
        ),
        "pixelate": (30, 28, 27, 24, 20),
        "jpeg_compression": (80, 65, 58, 50, 40),
        "spatter": (
            (0.62, 0.1, 0.7, 0.7, 0.5, False),
            (0.65, 0.1, 0.8, 0.7, 0.5, False),
            (0.65, 0.3, 1.0, 0.69, 0.5, False),
            (0.65, 0.1, 0.7, 0.69, 0.6, True),
            (0.65, 0.1, 0.5, 0.68, 0.6, True),
        ),
    },
)
"""Source: make_cifar_c.py of Hendrycks and Dietterich."""

IMAGENET = Constants(
    size=224,
    frost_scale=1.0,
    parameters={
        "gaussian_noise": (0.08, 0.12, 0.18, 0.26, 0.38),
        "shot_noise": (60, 25, 12, 5, 3),
        "impulse_noise": (0.03, 0.06, 0.09, 0.17, 0.27),
        "speckle_noise": (0.15, 0.2, 0.35, 0.45, 0.6),
        "gaussian_blur": (1.0, 2.0, 3.0, 4.0, 6.0),
        "defocus_blur": ((3.0, 0.1), (4.0, 0.5), (6.0, 0.5), (8.0, 0.5), (10.0, 0.5)),
        "glass_blur": ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
        "motion_blur": ((10.0, 3.0), (15.0, 5.0), (15.0, 8.0), (15.0, 12.0), (20.0, 15.0)),
        "zoom_blur": _factors((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
        "snow": (
            (0.1, 0.3, 3.0, 0.5, 10.0, 4.0, 0.8),
            (0.2, 0.3, 2.0, 0.5, 12.0, 4.0, 0.7),
            (0.55, 0.3, 4.0, 0.9, 12.0, 8.0, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12.0, 8.0, 0.65),
            (0.55, 0.3, 2.5, 0.85, 12.0, 12.0, 0.55),
        ),
        "frost": ((1.0, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
        "fog": ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4)),
        "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),
        "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),
        "saturate": ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2)),
        "elastic_transform": _times(  # 244, as published, and not 224
            *(244, (2.0, 0.7, 0.1), (2.0, 0.08, 0.2), (0.05, 0.01, 0.02)),
            *((0.07, 0.01, 0.02), (0.12, 0.01, 0.02)),
        ),
        "pixelate": (134, 112, 89, 67, 56),
        "jpeg_compression": (25, 18, 15, 10, 7),
        "spatter": (
            (0.65, 0.3, 4.0, 0.69, 0.6, False),
            (0.65, 0.3, 3.0, 0.68, 0.6, False),
            (0.65, 0.3, 2.0, 0.68, 0.5, False),
            (0.65, 0.3, 1.0, 0.65, 1.5, True),
            (0.67, 0.4, 1.0, 0.65, 1.5, True),
        ),
    },
)
"""Source: make_imagenet_c.py of Hendrycks and Dietterich."""

TINY_IMAGENET = Constants(
    size=64,
    frost_scale=0.3,
    parameters={
        "gaussian_noise": (0.04, 0.08, 0.12, 0.15, 0.18),
        "shot_noise": (250, 100, 50, 30, 15),
        "impulse_noise": (0.01, 0.02, 0.05, 0.08, 0.14),
        "speckle_noise": (0.15, 0.2, 0.25, 0.3, 0.35),
        "gaussian_blur": (0.5, 0.75, 1.0, 1.25, 1.5),
        "defocus_blur": ((0.5, 0.6), (1.0, 0.1), (1.5, 0.1), (2.5, 0.01), (3.0, 0.1)),
        "glass_blur": ((0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2)),
        "motion_blur": ((10.0, 1.0), (10.0, 1.5), (10.0, 2.0), (10.0, 2.5), (12.0, 3.0)),
        "zoom_blur": CIFAR.parameters["zoom_blur"],
        "snow": tuple(
            (*each[:6], kept)
            for each, kept in zip(CIFAR.parameters["snow"], (0.8, 0.8, 0.7, 0.65, 0.6), strict=True)
        ),
        "frost": ((1.0, 0.3), (0.9, 0.4), (0.8, 0.45), (0.75, 0.5), (0.7, 0.55)),
        "fog": ((0.4, 3.0), (0.7, 3.0), (1.0, 2.5), (1.5, 2.0), (2.0, 1.75)),
        "brightness": IMAGENET.parameters["brightness"],
        "contrast": IMAGENET.parameters["contrast"],
        "saturate": (*IMAGENET.parameters["saturate"][:4], (30.0, 0.2)),
        "elastic_transform": _times(
            *(64, (0.0, 0.0, 0.08), (0.05, 0.3, 0.06), (0.1, 0.08, 0.06)),
            *((0.1, 0.03, 0.03), (0.16, 0.03, 0.02)),
        ),
        "pixelate": (57, 51, 44, 38, 32),
        "jpeg_compression": (65, 58, 50, 40, 25),
        "spatter": (
            (0.62, 0.1, 0.7, 0.7, 0.6, False),
            (0.65, 0.1, 0.8, 0.7, 0.6, False),
            (0.65, 0.3, 1.0, 0.69, 0.6, False),
            (0.65, 0.1, 0.7, 0.68, 0.6, True),
            (0.65, 0.1, 0.5, 0.67, 0.6, True),
        ),
    },
)
"""Source: make_tinyimagenet_c.py of Hendrycks and Dietterich."""

SUITES: Mapping[str, Constants] = MappingProxyType(
    {"cifar-c": CIFAR, "imagenet-c": IMAGENET, "tiny-imagenet-c": TINY_IMAGENET}
)
"""By name on the command line."""
