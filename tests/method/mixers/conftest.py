"""Every mixer of whole images under one signature, and a generator with a ratio of choice."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from automix_cli.method import (
    MIXERS,
    Mixture,
    PuzzleMixOptions,
    attentivemix,
    puzzlemix,
    snapmix,
    spectral_residual_saliency,
)

SMALL_PUZZLE = PuzzleMixOptions(largest_grid=4)
PLAIN_PUZZLE = PuzzleMixOptions(largest_grid=4, transport=False)


class FixedRatio(np.random.Generator):
    """A generator whose Beta draws are all the same; everything else is as random as ever."""

    def __init__(self, lam: float, seed: int = 0) -> None:
        super().__init__(np.random.PCG64(seed))
        self.lam = lam

    def beta(self, a: float, b: float) -> float:
        assert a == b
        return self.lam


def look_of_a_network(images: Tensor) -> Tensor:
    """Feature maps of a quarter of the size, of no particular network."""
    pooled = torch.nn.functional.avg_pool2d(images, 4)
    return torch.cat([pooled, pooled.square()], dim=1)


def _attentivemix(images: Tensor, rng: np.random.Generator) -> Mixture:
    return attentivemix(images, rng, look_of_a_network(images))


def _snapmix(images: Tensor, rng: np.random.Generator) -> Mixture:
    return snapmix(images, rng, images.float().square().mean(dim=1))


def _puzzlemix(images: Tensor, rng: np.random.Generator) -> Mixture:
    return puzzlemix(images, rng, spectral_residual_saliency(images), options=SMALL_PUZZLE)


def _puzzlemix_in_place(images: Tensor, rng: np.random.Generator) -> Mixture:
    return puzzlemix(images, rng, spectral_residual_saliency(images), options=PLAIN_PUZZLE)


ALL_MIXERS: dict[str, Callable[[Tensor, np.random.Generator], Mixture]] = {
    **MIXERS,
    "attentivemix": _attentivemix,
    "snapmix": _snapmix,
    "puzzlemix": _puzzlemix,
    "puzzlemix in place": _puzzlemix_in_place,
}


@pytest.fixture(params=ALL_MIXERS, ids=str)
def mixer(request: pytest.FixtureRequest) -> Callable[[Tensor, np.random.Generator], Mixture]:
    return ALL_MIXERS[request.param]


@pytest.fixture
def all_mixers() -> dict[str, Callable[[Tensor, np.random.Generator], Mixture]]:
    return ALL_MIXERS


@pytest.fixture
def fixed_ratio() -> Callable[..., np.random.Generator]:
    return FixedRatio
