"""Random numbers as functions of what they are for, never of what was drawn before.

Every draw of a run comes from `stream(purpose, *key)`: the purpose separates uses, the key (seed,
epoch, step, rank, ...) separates occasions. Nothing has to be saved to resume exactly, because
asking again with the same key gives the same numbers. No global generator is involved.

Each purpose has one arity, which its caller states. That matters: numpy pads short keys with
zeros, so `(seed,)` and `(seed, 0)` under one purpose would be the same stream. Integers of 2**32
and more are split in words of 32 bits, so keys below that bound never meet.
"""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a random stream is for. Values are part of every recorded result: never renumber."""

    INIT = 0
    """First weights of a model."""
    ORDER = 1
    """Order of the training samples in an epoch."""
    AUGMENT = 2
    """Crops and flips of an epoch."""
    PAIRING = 3
    """Who is mixed with whom, and how much, at a step."""
    DROPOUT = 4
    """Dropout and stochastic depth at a step."""
    HOLDOUT = 5
    """Which training samples are held out for validation."""
    SAMPLE = 6
    """What is done to one image in an epoch, where it is not drawn for all images at once."""
    CORRUPTION = 7
    """What a corruption draws for a test image of a severity."""
    MIXED = 10
    """Who is mixed with whom when accuracy on mixed images is measured."""
    RESAMPLE = 11
    """Bootstrap resamples behind an interval."""
    ATTACK = 12
    """Where an attack starts, what it aims at, and random noise in its place."""
    OCCLUSION = 13
    """Which patches of an image are hidden."""
    QUICK = 14
    """Which images a quick measurement takes."""
    UNKNOWN = 15
    """Images of nothing, to see whether a classifier notices."""


def stream(purpose: Purpose, *key: int) -> np.random.Generator:
    """Give the generator that belongs to a purpose and an occasion.

    Args:
        purpose: What the numbers are for; streams of two purposes never meet.
        key: Integers >= 0 that name the occasion, such as seed and epoch.

    Returns:
        A fresh generator, in the same state for the same arguments on every machine.

    Raises:
        ValueError: if a part of the key is negative.
    """
    if any(part < 0 for part in key):
        raise ValueError(f"key must hold integers >= 0, got {key}")
    return np.random.default_rng((int(purpose), *key))


def torch_seed(purpose: Purpose, *key: int) -> int:
    """Give the seed with which a torch generator serves a purpose and an occasion.

    Returns:
        An integer in [0, 2**63), which every torch generator accepts.
    """
    return int(stream(purpose, *key).integers(2**63))
