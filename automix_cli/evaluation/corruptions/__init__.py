"""The 19 corruptions of CIFAR-C, ImageNet-C and Tiny-ImageNet-C, five severities each, in batches.

In float64 every corruption of CIFAR-C equals the published script (make_cifar_c.py of Hendrycks and
Dietterich, 2019, run on the packages of its time) bit for bit when given the same random draws;
snow differs by one level in fewer than 0.001 % of the values. In float32 values differ by at most
one level. Eight corruptions draw nothing: their official files are reproduced exactly. For the
larger images of the other two the functions are the same, with the constants of their scripts.

    parameter = SUITES["cifar-c"].parameters["fog"][3 - 1]
    draws = draw_all(CORRUPTIONS["fog"].draw, parameter, images, generators)  # one for each image
    corrupted = corrupt("fog", 3, images, draws)

Everything is computed on the processor, so that results depend on no device. To add a corruption:
its function, its draws in `draws`, its parameters in `constants`, and a line in `CORRUPTIONS`.

Legend: n images, h w pixels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from automix_cli.evaluation.corruptions import draws as drawing
from automix_cli.evaluation.corruptions.blur import defocus_blur, gaussian_blur, glass_blur
from automix_cli.evaluation.corruptions.colour import brightness, contrast, saturate
from automix_cli.evaluation.corruptions.constants import SEVERITIES, SUITES
from automix_cli.evaluation.corruptions.draws import Draw, Draws
from automix_cli.evaluation.corruptions.elastic import elastic_transform
from automix_cli.evaluation.corruptions.jpeg import jpeg_compression
from automix_cli.evaluation.corruptions.motion import motion_blur
from automix_cli.evaluation.corruptions.noise import (
    gaussian_noise,
    impulse_noise,
    shot_noise,
    speckle_noise,
)
from automix_cli.evaluation.corruptions.pixelate import pixelate
from automix_cli.evaluation.corruptions.spatter import spatter
from automix_cli.evaluation.corruptions.weather import fog, frost, resize_photograph, snow
from automix_cli.evaluation.corruptions.zoom import zoom_blur

__all__ = [
    "CORRUPTIONS",
    "SEVERITIES",
    "SUITES",
    "Corruption",
    "corrupt",
    "draw_all",
    "frost_draw",
]


@dataclass(frozen=True)
class Corruption:
    """One way to corrupt images.

    Attributes:
        group: `noise`, `blur`, `weather`, `digital`, or `extra` for the four that are not among
            the fifteen of which most means are taken.
        apply: Images, parameter, draws and, where it matters, the dtype, to corrupted images.
        draw: What an image takes, or None where nothing is random. That of frost needs its
            photographs: see `frost_draw`.
        has_dtypes: Whether float64 and float32 differ.
    """

    group: str
    apply: Callable[..., Tensor]
    draw: Draw | None = None
    has_dtypes: bool = True


CORRUPTIONS: Mapping[str, Corruption] = MappingProxyType(
    {
        "gaussian_noise": Corruption("noise", gaussian_noise, drawing.normal_per_value),
        "shot_noise": Corruption("noise", shot_noise, drawing.photons),
        "impulse_noise": Corruption("noise", impulse_noise, drawing.impulses, has_dtypes=False),
        "defocus_blur": Corruption("blur", defocus_blur),
        "glass_blur": Corruption("blur", glass_blur, drawing.steps),
        "motion_blur": Corruption("blur", motion_blur, drawing.direction),
        "zoom_blur": Corruption("blur", zoom_blur),
        "snow": Corruption("weather", snow, drawing.flakes_and_direction),
        "frost": Corruption("weather", frost),
        "fog": Corruption("weather", fog, drawing.cloud),
        "brightness": Corruption("weather", brightness),
        "contrast": Corruption("digital", contrast),
        "elastic_transform": Corruption("digital", elastic_transform, drawing.shear_and_wrinkles),
        "pixelate": Corruption("digital", pixelate, has_dtypes=False),
        "jpeg_compression": Corruption("digital", jpeg_compression, has_dtypes=False),
        "speckle_noise": Corruption("extra", speckle_noise, drawing.normal_per_value),
        "gaussian_blur": Corruption("extra", gaussian_blur),
        "spatter": Corruption("extra", spatter, drawing.liquid, has_dtypes=False),
        "saturate": Corruption("extra", saturate),
    }
)
"""By name, in the order of the published tables. Random streams are keyed by the position in it:
append, never insert."""


def frost_draw(photographs: Sequence[UInt8[np.ndarray, "_ _ 3"]], suite: str = "cifar-c") -> Draw:
    """Give the draw of frost from its photographs in full size, for one of `SUITES`.

    Raises:
        ValueError: if there is no photograph, or one is too small.
    """
    constants = SUITES[suite]
    resized = [resize_photograph(each, constants.frost_scale) for each in photographs]
    return drawing.window(resized, constants.size)


def draw_all(
    draw: Draw,
    parameter: Any,
    images: UInt8[np.ndarray, "n h w 3"],
    generators: Sequence[np.random.Generator],
) -> Draws:
    """Draw what a batch takes, each image from its own generator.

    Returns:
        The draws of the images, stacked.
    """
    rows = [draw(rng, parameter, image) for image, rng in zip(images, generators, strict=True)]
    return tuple(np.stack(column) for column in zip(*rows, strict=True))


def corrupt(
    name: str,
    severity: int,
    images: UInt8[np.ndarray, "n h w 3"],
    draws: Draws = (),
    *,
    suite: str = "cifar-c",
    is_exact: bool = True,
) -> UInt8[np.ndarray, "n h w 3"]:
    """Corrupt a batch of images.

    Args:
        name: One of `CORRUPTIONS`.
        severity: 1 to 5.
        images: Of the suite's size: 32, 224 or 64 pixels a side.
        draws: What `draw_all` gave; nothing for a corruption without chance.
        suite: One of `SUITES`, whose constants count.
        is_exact: Compute in float64 as the published script does, instead of in float32.

    Raises:
        ValueError: if name, severity, suite or the images' size are none of those.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"name must be one of {', '.join(CORRUPTIONS)}, got {name!r}")
    if severity not in SEVERITIES:
        raise ValueError(f"severity must be in 1 to 5, got {severity}")
    if suite not in SUITES:
        raise ValueError(f"suite must be one of {', '.join(SUITES)}, got {suite!r}")
    size = SUITES[suite].size
    if images.shape[1:] != (size, size, 3):
        raise ValueError(f"images must be (n, {size}, {size}, 3), got {images.shape}")
    corruption, parameter = CORRUPTIONS[name], SUITES[suite].parameters[name][severity - 1]
    options: dict[str, Any] = {}
    if corruption.has_dtypes:
        options["dtype"] = torch.float64 if is_exact else torch.float32
    tensors = [torch.from_numpy(each) for each in draws]
    with torch.inference_mode():
        corrupted = corruption.apply(torch.from_numpy(images), parameter, *tensors, **options)
    return corrupted.numpy()
