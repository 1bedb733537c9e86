"""Brightness, saturation and contrast.

Legend: n images, h w pixels.
"""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from automix_cli.evaluation.corruptions.pixels import to_bytes, to_unit

Images = UInt8[Tensor, "n h w 3"]
Plane = Float[Tensor, "n h w"]


def brightness(images: Images, added: float, dtype: torch.dtype) -> Images:
    """Raise the value of HSV by `added`.

    Source:
        `brightness` of make_cifar_c.py, with skimage's HSV. No difference in float64; in float32
        the colours are scaled without the way over HSV.
    """
    red, green, blue = planes(images, dtype)
    if dtype == torch.float32:
        value = largest(red, green, blue)
        raised = (value + added).clamp_(0, 1)
        scale = torch.where(value > 0, raised / value, 0)
        black = torch.where(value > 0, 0, raised)
        return joined([(each * scale).add_(black) for each in (red, green, blue)])
    hue, saturation, value = rgb_to_hsv(red, green, blue)
    return joined(hsv_to_rgb(hue, saturation, value.add(added).clamp_(0, 1)))


def saturate(images: Images, change: tuple[float, float], dtype: torch.dtype) -> Images:
    """Multiply the saturation of HSV and add to it; grey turns red where it is raised.

    Source:
        `saturate` of make_cifar_c.py, with skimage's HSV. No difference in float64; in float32 the
        distances to the largest channel are scaled without the way over HSV.
    """
    factor, added = change
    red, green, blue = planes(images, dtype)
    if dtype == torch.float32:
        value = largest(red, green, blue)
        spread = value - torch.minimum(torch.minimum(red, green), blue)
        wanted = (spread / value).nan_to_num_(0).mul_(factor).add_(added).clamp_(0, 1).mul_(value)
        scale = torch.where(spread > 0, wanted / spread, 0)
        grey = torch.where(spread > 0, 0, wanted)
        reddened = value - (value - red) * scale
        others = [value - (value - each) * scale - grey for each in (green, blue)]
        return joined([reddened, *others])
    hue, saturation, value = rgb_to_hsv(red, green, blue)
    return joined(hsv_to_rgb(hue, (saturation * factor).add_(added).clamp_(0, 1), value))


def contrast(images: Images, left: float, dtype: torch.dtype) -> Images:
    """Pull every channel towards its mean over the image; `left` of the distance remains.

    Source:
        `contrast` of make_cifar_c.py. The mean is summed pixel by pixel, in numpy's order for this
        shape; `torch.mean` sums in another and changes up to 0.03 % of the values. No difference
        in float64.
    """
    values = to_unit(images, dtype)
    sums = values.flatten(1, 2).cumsum(1)[:, -1]
    mean = (sums / images[0, ..., 0].numel())[:, None, None]
    return to_bytes(values.sub_(mean).mul_(left).add_(mean))


def planes(images: Images, dtype: torch.dtype) -> tuple[Plane, Plane, Plane]:
    """Red, green and blue apart, in [0, 1]."""
    apart = images.permute(3, 0, 1, 2).contiguous()
    red, green, blue = to_unit(apart, dtype).unbind(0)
    return red, green, blue


def joined(channels: list[Plane]) -> Images:
    """Red, green and blue in [0, 1] as bytes."""
    return to_bytes(torch.stack(channels)).permute(1, 2, 3, 0).contiguous()


def largest(red: Plane, green: Plane, blue: Plane) -> Plane:
    """The value of HSV."""
    return torch.maximum(torch.maximum(red, green), blue)


def rgb_to_hsv(red: Plane, green: Plane, blue: Plane) -> tuple[Plane, Plane, Plane]:
    """Turn colours into hue, saturation and value, each in [0, 1].

    Source:
        skimage 0.13 `rgb2hsv`: of equal largest channels the last one counts. No difference.
    """
    value = largest(red, green, blue)
    spread = value - torch.minimum(torch.minimum(red, green), blue)
    is_grey = spread == 0
    saturation = torch.where(is_grey, 0, spread / value)
    hue = torch.where(green == value, (blue - red).div_(spread).add_(2), (green - blue) / spread)
    hue = torch.where(blue == value, (red - green).div_(spread).add_(4), hue)
    hue = torch.where(is_grey, 0, hue.div_(6).remainder_(1))
    return hue, saturation, value


def hsv_to_rgb(hue: Plane, saturation: Plane, value: Plane) -> list[Plane]:
    """Turn hue, saturation and value into red, green and blue.

    Source:
        skimage 0.13 `hsv2rgb`. No difference.
    """
    sextant = hue * 6
    whole = sextant.floor()
    part = sextant - whole
    low = value * (1 - saturation)
    falling = value * (1 - part * saturation)
    rising = value * (1 - (1 - part).mul_(saturation))
    whole = whole.to(torch.int8).remainder_(6)
    at = [whole == each for each in range(6)]
    pick = torch.where
    red = pick(at[0] | at[5], value, pick(at[1], falling, pick(at[4], rising, low)))
    green = pick(at[1] | at[2], value, pick(at[3], falling, pick(at[0], rising, low)))
    blue = pick(at[3] | at[4], value, pick(at[5], falling, pick(at[2], rising, low)))
    return [red, green, blue]
