"""What a source of images gives: its training part, its test part, perhaps a validation part.

Legend: n images.
"""

from typing import NamedTuple

from automix_cli.data.image_files import ImageFiles
from automix_cli.data.image_set import ImageSet

Images = ImageSet | ImageFiles
"""Labelled images: an array in memory, or files that are decoded as they are needed."""


class Parts(NamedTuple):
    """The parts of a data set as it is published, or as a person has divided it.

    Attributes:
        train: Images to learn from.
        test: Images to report on; None where the source is not divided.
        validation: Images to choose between checkpoints, where the source has its own.
    """

    train: Images
    test: Images | None
    validation: Images | None = None
