"""Which images are trained on, which are judged on, and which are left out.

Nothing here depends on the seed of a run: runs of different seeds learn from and are judged on the
same images.
"""

import numpy as np

from automix_cli.data.parts import Images, Parts
from automix_cli.errors import DataError
from automix_cli.randomness import Purpose, stream


def divide(
    parts: Parts, *, holdout: float, train_limit: int | None
) -> tuple[Images, Images, Images | None]:
    """Hold images out of the training part, and limit what is left of it.

    What is held out is the validation part. Where the source has no test part, it is the test part,
    and there is no validation part: `best.pt` is then chosen on the test images.

    Args:
        parts: As the source has them.
        holdout: Part of the training images to hold out, class by class, in [0, 1).
        train_limit: How many of the remaining ones to train on, class by class; None: on all.

    Returns:
        Training, test and validation images; None for no validation images.

    Raises:
        DataError: if `holdout` leaves a part empty, if there is nothing to test on, or if there are
            fewer images than `train_limit`.
    """
    train, test, validation = parts
    if test is None:
        train, test = _hold_out(train, _test_share(holdout), stream(Purpose.HOLDOUT, 2), "testing")
    elif holdout and validation is not None:
        raise DataError(
            f"`data.holdout` = {holdout}, but the data have a validation part of their own, of"
            f" {len(validation)} images",
            hint="use `--set data.holdout=0`, or take that part away",
        )
    elif holdout:
        train, validation = _hold_out(train, holdout, stream(Purpose.HOLDOUT, 0), "validation")
    return (train if train_limit is None else _limit(train, train_limit)), test, validation


def _test_share(holdout: float) -> float:
    if not holdout:
        raise DataError(
            "the data have no test part, and nothing is held out of the training images for it",
            hint="hold out a fifth of each class with `--set data.holdout=0.2`, or divide the"
            " images yourself: `train/CLASS/...` and `test/CLASS/...`, or a column `split`",
        )
    return holdout


def _hold_out(
    images: Images, share: float, rng: np.random.Generator, purpose: str
) -> tuple[Images, Images]:
    """Divide images into those kept for training and those held out."""
    num_held_out = round(share * len(images))
    if not 0 < num_held_out < len(images):
        raise DataError(
            f"`data.holdout` = {share} of {len(images)} training images leaves"
            f" {len(images) - num_held_out} for training and {num_held_out} for {purpose}",
            hint="use a part that gives both at least one, or 0 for no validation images",
        )
    held_out = stratified_indices(images.labels.numpy(), num_held_out, rng)
    kept = np.setdiff1d(np.arange(len(images)), held_out, assume_unique=True)
    return images.take(kept), images.take(held_out)


def _limit(images: Images, num_images: int) -> Images:
    """Keep so many images; a smaller part of a class lies within a larger one."""
    if num_images > len(images):
        raise DataError(
            f"`data.train_limit` = {num_images}, there are {len(images)} training images",
            hint="unset it with `--set data.train_limit=none`",
        )
    rng = stream(Purpose.HOLDOUT, 1)
    return images.take(stratified_indices(images.labels.numpy(), num_images, rng))


def stratified_indices(labels: np.ndarray, num_taken: int, rng: np.random.Generator) -> np.ndarray:
    """Choose samples at random so that every class keeps its share.

    Each class gives `num_taken * (its size) / n`, rounded down; what is then missing comes from the
    classes with the largest remainders, one each (the lower label first when they are equal).

    Args:
        labels: `(n,)` class of each sample, integers >= 0.
        num_taken: How many samples to choose, in [0, n].
        rng: Source of randomness.

    Returns:
        `(num_taken,)` positions in ascending order.

    Raises:
        ValueError: if `num_taken` is outside [0, n].
    """
    if not 0 <= num_taken <= len(labels):
        raise ValueError(f"num_taken must be in [0, {len(labels)}], got {num_taken}")
    classes, counts = np.unique(labels, return_counts=True)
    shares, remainders = np.divmod(num_taken * counts, max(len(labels), 1))
    largest = np.argsort(-remainders, kind="stable")[: num_taken - shares.sum()]
    shares[largest] += 1
    chosen = [
        rng.permutation(np.flatnonzero(labels == label))[:share]
        for label, share in zip(classes, shares, strict=True)
    ]
    return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *chosen]))
