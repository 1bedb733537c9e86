"""A classifier small enough to read, and the ways the method's tests put it together."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from automix_cli.method import (
    AdaptiveMask,
    AdaptiveMaskOptions,
    AdAutoMix,
    AdAutoMixOptions,
    AutoMix,
    AutoMixOptions,
    Draws,
    MaskMaker,
    MixBlock,
    MixBlockOptions,
    Pairing,
    SAMixBlock,
    SAMixBlockOptions,
    sample_draws,
)

NUM_CLASSES = 7
FEATURE_CHANNELS = 16


class ToyBackbone(nn.Module):
    """Three strided convolutions with batch norm; the second one's output is the feature map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, FEATURE_CHANNELS, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(FEATURE_CHANNELS)
        self.conv3 = nn.Conv2d(FEATURE_CHANNELS, 24, 3, stride=2, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(24)

    def early(self, images: Tensor) -> Tensor:
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(images))))))

    def late(self, features: Tensor) -> Tensor:
        return F.relu(self.bn3(self.conv3(features))).mean(dim=(2, 3))


class ToyClassifier(nn.Module):
    """What `automix_cli.method.Classifier` asks for, and the classifier of the golden files."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = ToyBackbone()
        self.head_one_hot = nn.Linear(24, NUM_CLASSES)
        self.head_mixed = nn.Linear(24, NUM_CLASSES)

    def features(self, images: Tensor) -> Tensor:
        return self.backbone.early(images)

    def features_and_embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.backbone.early(images)
        return features, self.backbone.late(features)

    def embed(self, images: Tensor) -> Tensor:
        return self.features_and_embed(images)[1]

    def forward(self, images: Tensor) -> Tensor:
        return self.head_one_hot(self.embed(images))


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    """Every test starts from the same random numbers, and leaves none behind."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def images() -> Tensor:
    """Six images of 16 x 16; the feature map of the toy classifier is then 4 x 4."""
    return torch.randn(6, 3, 16, 16)


@pytest.fixture
def labels() -> Tensor:
    return torch.tensor([0, 1, 2, 3, 4, 5])


@pytest.fixture
def pairing() -> Pairing:
    """Six pairs, each with its own ratio; one image meets itself."""
    lam = torch.tensor([0.0, 0.2, 0.4, 0.5, 0.9, 1.0])
    return Pairing(lam, torch.tensor([3, 0, 5, 1, 4, 2]))


@pytest.fixture
def draws(rng: np.random.Generator) -> Draws:
    """What a step of six images draws with the default options."""
    return sample_draws(rng, 6, AutoMixOptions())


@pytest.fixture
def make_classifier() -> Callable[[], ToyClassifier]:
    return ToyClassifier


@pytest.fixture
def make_automix() -> Callable[..., AutoMix]:
    """Build AutoMix on toy classifiers; keywords are fields of either options class."""

    def make(**options: object) -> AutoMix:
        return _with_strong_mix_block(MixBlock, MixBlockOptions, options)

    return make


@pytest.fixture
def make_samix() -> Callable[..., AutoMix]:
    """Build SAMix on toy classifiers; keywords are fields of either options class."""

    def make(**options: object) -> AutoMix:
        return _with_strong_mix_block(SAMixBlock, SAMixBlockOptions, options)

    return make


def _with_strong_mix_block(
    block_class: type[MaskMaker], options_class: type, options: dict[str, object]
) -> AutoMix:
    """AutoMix whose mix block has weights a hundred times larger than at the start of a training.

    Its masks are then not nearly constant.
    """
    block_names = set(options_class.__dataclass_fields__) & set(options)
    block_options = options_class(**{name: options[name] for name in block_names})
    others = {name: value for name, value in options.items() if name not in block_names}
    block = block_class(FEATURE_CHANNELS, block_options)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.mul_(100)
    return AutoMix(ToyClassifier(), ToyClassifier(), block, AutoMixOptions(**others))


@pytest.fixture
def make_adautomix() -> Callable[..., AdAutoMix]:
    """Build AdAutoMix on toy classifiers, with a strong mix block; keywords as above."""

    def make(**options: object) -> AdAutoMix:
        block_names = set(AdaptiveMaskOptions.__dataclass_fields__) & set(options)
        block_options = AdaptiveMaskOptions(**{name: options.pop(name) for name in block_names})
        block = AdaptiveMask(FEATURE_CHANNELS, block_options)
        with torch.no_grad():
            for parameter in block.parameters():
                parameter.mul_(100)
        return AdAutoMix(ToyClassifier(), ToyClassifier(), block, AdAutoMixOptions(**options))

    return make
