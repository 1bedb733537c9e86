"""Reads image files into memory once, for sets that are small enough.

Legend: n images, c channels, h w pixels.
"""

from functools import partial

import numpy as np
import torch

from automix_cli.data.boxes import Box
from automix_cli.data.image_files import ImageFiles
from automix_cli.data.image_set import ImageSet
from automix_cli.data.loading import Loading, PictureSource, in_pieces
from automix_cli.errors import DataError


def read_into_memory(files: ImageFiles, loading: Loading) -> ImageSet:
    """Decode all images of a set that have one size.

    Args:
        files: At least one.
        loading: Who decodes; the images stay on the processor.

    Raises:
        DataError: a file cannot be decoded, or has another size than the first one.
    """
    source = PictureSource(files)
    first = source[0]
    shape = (len(files), source.channels, first.height, first.width)
    pixels = np.empty(shape, dtype=np.uint8)
    pool = loading.pool()
    try:
        for future in in_pieces(pool, len(files), partial(_read, files, source, pixels)):
            future.result()
    finally:
        pool.close()
    return ImageSet(torch.from_numpy(pixels), files.labels, files.class_names)


def _read(files: ImageFiles, source: PictureSource, pixels: np.ndarray, indices: range) -> None:
    for index in indices:
        picture = source[index]
        if (picture.height, picture.width) != pixels.shape[2:]:
            wanted = f"{pixels.shape[2]} x {pixels.shape[3]} pixels as in `{files.paths[0]}`"
            raise DataError(
                f"`data.storage` `memory` needs images of one size: wanted {wanted},"
                f" found {picture.height} x {picture.width} in `{files.paths[index]}`",
                hint="use `--set data.storage=stream`, or bring the files to one size",
            )
        pixels[index] = picture.part(Box(0, 0, *pixels.shape[2:])).transpose(2, 0, 1)
