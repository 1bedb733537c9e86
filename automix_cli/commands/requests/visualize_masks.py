"""What a person asks of `automix visualize-masks` besides settings: plain data, free of torch."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PairsRequest:
    """Which pairs of images `automix visualize-masks` is asked for.

    Args:
        images: Files, two for each pair; empty for images of the test set.
        indices: Numbers of test images, separated by commas, two for each pair; None draws them.
        classes: Names of classes, separated by commas, that drawn images come from; None: any.
        num_pairs: How many pairs to draw.
        seed: Of which pairs are drawn, and of everything that methods draw.
    """

    images: tuple[Path, ...] = ()
    indices: str | None = None
    classes: str | None = None
    num_pairs: int = 4
    seed: int = 0


@dataclass(frozen=True)
class MasksRequest:
    """What `automix visualize-masks` is asked for.

    Args:
        run: Run folder; None with no checkpoints means the newest finished run.
        checkpoints: Files or run folders; those of several methods stand side by side.
        methods: Names, separated by commas; None for what the checkpoints were trained with.
        pairs: Which pairs of images.
        ratios: Shares of the first image, separated by commas.
        background: `light` or `dark`.
        maps: Draw value and attention maps too.
        progress: Draw the masks that a run kept in training, and nothing else.
        output_dir: Folder of figures and numbers; None for one beside the checkpoint, or none with
            `as_json`.
        as_json: Write the numbers to stdout as JSON.
    """

    run: Path | None = None
    checkpoints: tuple[Path, ...] = ()
    methods: str | None = None
    pairs: PairsRequest = PairsRequest()
    ratios: str = "0,0.3,0.5,0.7,1"
    background: str = "light"
    maps: bool = False
    progress: bool = False
    output_dir: Path | None = None
    as_json: bool = False
