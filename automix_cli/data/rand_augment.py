"""RandAugment (Cubuk et al., 2020): a few random operations of random strength on an image.

The operations are timm's, on Pillow images; what is drawn comes from a given generator.

Source:
    `timm`: timm's `rand-m9-mstd0.5-inc1` and its relatives. Differs: a rotated or moved image is
    resampled by the run's interpolation (`data.interpolation`), where timm tosses a coin between
    bilinear and bicubic for each operation; `Posterize` keeps one bit where timm keeps none, which
    Pillow no longer does.
    `openmixup` and `openmixup_increasing`: the lists of OpenMixup's
    `_base_/datasets/cifar100/sz224_randaug_bs100.py` and `imagenet/swin_sz224_4xbs256.py`, with its
    `RandAugment`. Differs: operations are Pillow's in place of mmcv's (rounding, and sharpness's
    kernel); borders are filled with the data's mean colour, which the reference's files give with
    red and blue exchanged; `Identity` counts as an operation there and here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from PIL import Image

ListName = Literal["timm", "openmixup", "openmixup_increasing"]

LEVELS = 10
"""A strength of so much is the strongest."""


@dataclass(frozen=True)
class Operation:
    """One operation of a list.

    Attributes:
        name: Of timm's function, or None for the identity.
        argument: From the strength as a share in [0, 1] and a sign, 1 or -1; None: takes none.
    """

    name: str | None
    argument: Callable[[float, int], float] | None = None


def _signed(most: float) -> Callable[[float, int], float]:
    return lambda share, sign: sign * share * most


def _factor(least: float, most: float) -> Callable[[float, int], float]:
    """An enhancement: 1 leaves the image as it is."""
    return lambda share, sign: 1 + sign * (least + share * (most - least))


def _timm_factor(share: float, sign: int) -> float:
    return max(0.1, 1 + sign * share * 0.9)


_MOVES = {
    "ShearX": Operation("ShearX", _signed(0.3)),
    "ShearY": Operation("ShearY", _signed(0.3)),
    "Rotate": Operation("Rotate", _signed(30)),
}
_SOLARIZE = Operation("Solarize", lambda share, _: 256 - min(256, int(share * 256)))
_INCREASING = (
    Operation("AutoContrast"),
    Operation("Equalize"),
    Operation("Invert"),
    _MOVES["Rotate"],
    Operation("Posterize", lambda share, _: max(1, 4 - int(share * 4))),
    _SOLARIZE,
    Operation("SolarizeAdd", lambda share, _: min(128, int(share * 110))),
    *(Operation(name, _timm_factor) for name in ("Color", "Contrast", "Brightness", "Sharpness")),
    _MOVES["ShearX"],
    _MOVES["ShearY"],
    Operation("TranslateXRel", _signed(0.45)),
    Operation("TranslateYRel", _signed(0.45)),
)
_FIXMATCH = (
    Operation("AutoContrast"),
    *(Operation(name, _factor(0.05, 0.95)) for name in ("Brightness", "Color", "Contrast")),
    Operation("Equalize"),
    Operation(None),
    Operation("Posterize", lambda share, _: int(4 + share * 4)),
    _MOVES["Rotate"],
    Operation("Sharpness", _factor(0.05, 0.95)),
    _MOVES["ShearX"],
    _MOVES["ShearY"],
    # the reference keeps what is below the threshold as Pillow does, with a threshold of any size
    Operation("Solarize", lambda share, _: 256 * (1 - share)),
    Operation("TranslateXRel", _signed(0.3)),
    Operation("TranslateYRel", _signed(0.3)),
)
_OPENMIXUP_INCREASING = tuple(
    {
        # 4 bits fewer and fewer, not in timm's steps
        "Posterize": Operation("Posterize", lambda share, _: max(1, int(4 - share * 4))),
        "Solarize": Operation("Solarize", lambda share, _: 256 * (1 - share)),
        "SolarizeAdd": Operation("SolarizeAdd", lambda share, _: int(share * 110)),
        **{
            name: Operation(name, _factor(0, 0.9))
            for name in ("Color", "Contrast", "Brightness", "Sharpness")
        },
    }.get(str(each.name), each)
    for each in _INCREASING
)
LISTS: Mapping[ListName, tuple[Operation, ...]] = {
    "timm": _INCREASING,
    "openmixup": _FIXMATCH,
    "openmixup_increasing": _OPENMIXUP_INCREASING,
}
"""The operations to choose from, by name of the list."""


@dataclass(frozen=True)
class RandAugment:
    """What is drawn for each image, and how it is carried out.

    Attributes:
        operations: Name of the list to choose from.
        num_operations: How many are chosen for an image, possibly the same one twice.
        magnitude: Mean strength, in [0, 10].
        std: Standard deviation of the strength.
        probability: With which each chosen operation is applied.
        fill: Colour that appears beyond a moved image's edges, a value for each channel.
        interpolation: `bilinear` or `bicubic`.
    """

    operations: ListName
    num_operations: int
    magnitude: float
    std: float
    probability: float
    fill: Sequence[int]
    interpolation: str

    def draw(self, rng: np.random.Generator) -> list[tuple[Operation, float | None]]:
        """Choose what to do to one image: operations with their arguments, in order.

        As much is drawn for an operation that is not applied as for one that is.
        """
        choices = LISTS[self.operations]
        drawn: list[tuple[Operation, float | None]] = []
        for _ in range(self.num_operations):
            operation = choices[int(rng.integers(len(choices)))]
            is_applied = rng.random() < self.probability
            strength = min(max(rng.normal(self.magnitude, self.std), 0.0), LEVELS)
            sign = 1 - 2 * int(rng.integers(2))
            if is_applied:
                make = operation.argument
                drawn.append((operation, None if make is None else make(strength / LEVELS, sign)))
        return drawn

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Change one image, of mode RGB or L."""
        fill = self.fill[0] if image.mode == "L" else tuple(self.fill)
        resample = Image.Resampling[self.interpolation.upper()]
        for operation, argument in self.draw(rng):
            if operation.name is not None:
                arguments = () if argument is None else (argument,)
                change = _functions()[operation.name]
                image = change(image, *arguments, fillcolor=fill, resample=resample)
        return image


@cache
def _functions() -> Mapping[str, Callable[..., Any]]:
    """Timm's operations; imported late, because with them comes all of timm."""
    from timm.data.auto_augment import NAME_TO_OP

    return NAME_TO_OP
