"""The masks of the same pairs, taken again and again while a run trains.

`RUN/masks/progress.safetensors` holds them: a resumed run goes on with it, and
`automix visualize-masks --progress` draws from it. The strip and the animation are drawn at the end
of the run, and before that at most once a minute.

Legend: s moments of the training, p pairs, c channels, h w pixels.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from automix_cli import build
from automix_cli.commands.evaluating.judged_images import Viewer
from automix_cli.commands.masks.pairs import pairs_of_test
from automix_cli.commands.requests.visualize_masks import PairsRequest
from automix_cli.data.datasets import DataSplits
from automix_cli.engine.checkpoint import save_described
from automix_cli.engine.loop import Training
from automix_cli.engine.weights import read_described
from automix_cli.errors import CheckpointError
from automix_cli.method import AdAutoMix, AutoMix
from automix_cli.method.learned_pairs import LearnedPairs
from automix_cli.reporting import records
from automix_cli.reporting.mask_progress import MaskHistory, draw_progress
from automix_cli.reporting.progress import say
from automix_cli.settings import Settings, TrainSettings
from automix_cli.settings.mix import LEARNED

FILE = "progress.safetensors"

RATIO = 0.5
"""What the pairs are mixed at: where a mask has most to decide."""

PARTS = 10
"""How many moments a run has, besides its start, if no setting says how often."""

SECONDS_BETWEEN_DRAWINGS = 60.0


@dataclass
class MaskProgress:
    """Takes the masks of some pairs when they are due, and keeps them in a file.

    Attributes:
        folder: Of the file and the drawings.
        due: After which epochs masks are taken.
        steps_per_epoch: Optimizer steps of an epoch.
        model: What is being trained; it evaluates meanwhile.
        mixer: The mix block and the momentum classifier in it.
        images: `(2 p, c, h, w)`, as the network sees them, on its device.
        history: What was taken so far.
    """

    folder: Path
    due: tuple[int, ...]
    steps_per_epoch: int
    model: nn.Module
    mixer: LearnedPairs
    images: Tensor
    history: MaskHistory
    is_written: bool = True
    drawn_at: float = field(default_factory=time.monotonic)

    def is_due(self, step: int) -> bool:
        """Whether masks are to be taken after `step` updates."""
        epoch, rest = divmod(step, self.steps_per_epoch)
        return rest == 0 and epoch in self.due and epoch not in self.history.epochs

    def keep(self, step: int) -> None:
        """Take the masks if they are due, and write down what is not written yet.

        To be called before each checkpoint: a run that goes on from it then has what came before,
        and a run that was killed before its first one has left nothing.

        Raises:
            CheckpointError: the file or a drawing cannot be written.
        """
        self.take_if_due(step)
        if self.is_written:
            return
        if not self.folder.is_dir():
            self.folder.mkdir()
        write_history(self.folder / FILE, self.history)
        self.is_written = True
        if time.monotonic() - self.drawn_at > SECONDS_BETWEEN_DRAWINGS:
            self.draw()

    def take_if_due(self, step: int) -> None:
        """After `step` updates: take the masks, by networks that evaluate."""
        if not self.is_due(step):
            return
        self.model.eval()
        masks = self.mixer.masks(self.images, RATIO)[::2, 0].float()
        self.model.train()
        taken = (masks * 255).round().byte().cpu().numpy()
        before = self.history
        self.history = replace(
            before,
            epochs=(*before.epochs, step // self.steps_per_epoch),
            masks=np.concatenate([before.masks, taken[None]]),
        )
        self.is_written = False

    def draw(self) -> None:
        """Draw the strip and the animation of what was taken so far, if it is more than the start.

        Raises:
            CheckpointError: they cannot be written.
        """
        if len(self.history.epochs) < 2:
            return
        try:
            draw_progress(self.history, self.folder)
        except OSError as problem:
            raise CheckpointError(
                f"cannot write the drawings of the masks to `{self.folder}`: {problem}",
                hint="free some space and resume, or `--set train.masks_pairs=0`",
            ) from problem
        self.drawn_at = time.monotonic()


def mask_progress(
    settings: Settings, splits: DataSplits, training: Training, folder: Path, step: int
) -> MaskProgress | None:
    """What takes the masks of a run; None if it learns none, or none are wanted.

    The pairs are those that `automix visualize-masks` shows by default, whatever the seed of the
    run, so that runs can be compared.

    Args:
        settings: Of the run.
        splits: Its data.
        training: What is trained.
        folder: Of the run.
        step: Where it begins; what was taken later, before a kill, is forgotten.

    Raises:
        DataError: an image cannot be read.
    """
    num_pairs = settings.train.masks_pairs
    if settings.mix.method not in LEARNED or num_pairs == 0 or len(splits.test) < 2:
        return None
    method = cast(AutoMix | AdAutoMix, training.accelerator.unwrap_model(training.model))
    options = build.learned_options(settings.mix)
    mixer = LearnedPairs(settings.mix.method, method.momentum_classifier, method.mix_block, options)
    pairs = pairs_of_test(splits.test, PairsRequest(num_pairs=num_pairs))
    size, device = splits.image_size, training.accelerator.device
    viewer = Viewer(settings.data, splits.mean, splits.std, size, device)
    ((images, _),) = viewer.batches(pairs.images, len(pairs.images))
    history = MaskHistory(
        method=settings.mix.method,
        ratio=RATIO,
        epochs=(),
        masks=np.zeros((0, num_pairs, size, size), dtype=np.uint8),
        pictures=as_bytes(images, splits),
        captions=pairs.captions,
    )
    steps_per_epoch = training.batches.steps_per_epoch
    return MaskProgress(
        folder=folder / records.MASKS,
        due=epochs_due(settings.train),
        steps_per_epoch=steps_per_epoch,
        model=method,
        mixer=mixer,
        images=images,
        history=continued(history, folder / records.MASKS / FILE, step // steps_per_epoch),
    )


def as_bytes(images: Tensor, splits: DataSplits) -> np.ndarray:
    """Images `(n, c, h, w)`, normalised, as colours `(n, h, w, c)`, uint8."""
    mean, std = (
        torch.tensor(each, device=images.device).view(1, -1, 1, 1)
        for each in (splits.mean, splits.std)
    )
    pixels = (images * std + mean).clamp(0, 1) * 255
    return pixels.round().byte().permute(0, 2, 3, 1).cpu().numpy()


def epochs_due(train: TrainSettings) -> tuple[int, ...]:
    """After which epochs masks are taken: at the start, every few, and at the end."""
    every = train.masks_every or -(-train.epochs // PARTS)
    return (*range(0, train.epochs, every), train.epochs)


def continued(history: MaskHistory, path: Path, epoch: int) -> MaskHistory:
    """What a run that goes on after `epoch` has taken before.

    Where the file is broken, or of other pairs, the history begins anew, and that is said.
    """
    if not path.exists():
        return history
    try:
        before = read_history(path)
    except CheckpointError as problem:
        say(f"warning: {problem.message}: the history of the masks begins anew")
        return history
    if not np.array_equal(before.pictures, history.pictures):
        say(f"warning: `{path}` shows other pairs: the history of the masks begins anew")
        return history
    kept = [place for place, each in enumerate(before.epochs) if each <= epoch]
    epochs = tuple(before.epochs[place] for place in kept)
    return replace(history, epochs=epochs, masks=before.masks[kept])


def write_history(path: Path, history: MaskHistory) -> None:
    """Write down what was taken; equal histories give equal bytes.

    Raises:
        CheckpointError: the file cannot be written.
    """
    said = {
        "kind": "mask progress",
        "method": history.method,
        "ratio": history.ratio,
        "epochs": list(history.epochs),
        "captions": list(history.captions),
    }
    tensors = {"masks": history.masks, "pictures": history.pictures}
    save_described(path, {name: torch.from_numpy(each) for name, each in tensors.items()}, said)


def read_history(path: Path) -> MaskHistory:
    """Read what a run has taken.

    Raises:
        CheckpointError: missing, damaged, or something else.
    """
    tensors, said = read_described(path)
    if said.get("kind") != "mask progress":
        raise CheckpointError(f"`{path}` does not hold the masks of a run")
    return MaskHistory(
        method=said["method"],
        ratio=said["ratio"],
        epochs=tuple(said["epochs"]),
        masks=tensors["masks"].numpy(),
        pictures=tensors["pictures"].numpy(),
        captions=tuple(said["captions"]),
    )
