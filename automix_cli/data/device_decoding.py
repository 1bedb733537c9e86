"""JPEG files decoded, cut and resized on the training device: on a CUDA GPU by its own decoder.

Some files at a time, as threads bring them. What a GPU's decoder does not read or reads otherwise
than Pillow (other formats, CMYK, images stored on their side, files that end too early) never comes
here: see `PictureFile.jpeg`.

The pixels are not Pillow's bit for bit: a file is decoded at its full size where Pillow may read it
at a half (`decoding.SPARE`), and resized in floating point. On a processor, where torchvision uses
the same library as Pillow, the difference is that of rounding if nothing was reduced.

`torchvision.io.decode_jpeg` works, but is deprecated since torchvision 0.29 in favour of a package
that needs FFmpeg.

Legend: h w pixels, s height and width that the network sees.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.io import ImageReadMode, decode_jpeg

from automix_cli.data.recipe import Geometry, Interpolation


class DeviceDecoder:
    """Decodes on a device.

    Args:
        device: Of the network.
        interpolation: How images are resized.
    """

    def __init__(self, device: torch.device, interpolation: Interpolation) -> None:
        self._device = device
        self._interpolation: Interpolation = interpolation

    def __call__(self, files: Sequence[tuple[bytes, Geometry]]) -> list[Tensor | None]:
        """Make what is shown of some files: each `(3, s, s)`, uint8, on the device.

        None stands for a file that could not be decoded.
        """
        contents = [torch.frombuffer(bytearray(content), dtype=torch.uint8) for content, _ in files]
        decoded = self._decoded(contents)
        return [
            None if pixels is None else shown(pixels, geometry, self._interpolation)
            for pixels, (_, geometry) in zip(decoded, files, strict=True)
        ]

    def _decoded(self, contents: list[Tensor]) -> list[Tensor | None]:
        try:
            return list(self._together(contents))
        except RuntimeError:  # which of them is broken is not said
            if len(contents) == 1:
                return [None]
            return [self._decoded([each])[0] for each in contents]

    def _together(self, contents: list[Tensor]) -> list[Tensor]:
        return cast(list[Tensor], decode_jpeg(contents, ImageReadMode.RGB, self._device))


def shown(pixels: Tensor, geometry: Geometry, interpolation: Interpolation) -> Tensor:
    """Cut, resize, cut and mirror an image `(c, h, w)`, uint8, where it is.

    Source:
        `recipe.Geometry`. Differs from what `decoding.resize` makes of it by at most one level:
        in floating point, rounded once.
    """
    part, height, width, kept, is_mirrored = geometry
    image = pixels[:, part.top : part.top + part.height, part.left : part.left + part.width]
    if image.shape[1:] != (height, width):
        planes = image.unsqueeze(0).float()
        planes = F.interpolate(planes, size=(height, width), mode=interpolation, antialias=True)
        image = planes[0].round_().clamp_(0, 255).to(torch.uint8)
    image = image[:, kept.top : kept.top + kept.height, kept.left : kept.left + kept.width]
    return image.flip(2) if is_mirrored else image
