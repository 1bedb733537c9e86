import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from automix_cli.method import MIXERS, Mixture, mixed_cross_entropy, mixers, mixture_cross_entropy
from automix_cli.method.pairing import Pairing


@pytest.fixture
def mixture(images: Tensor) -> Mixture:
    """Weights that differ from image to image, and do not add up to 1."""
    first = torch.tensor([0.0, 0.2, 0.4, 0.5, 0.9, 1.0])
    second = torch.tensor([1.0, 0.3, 0.6, 0.5, 0.8, 0.0])
    return Mixture(images, torch.tensor([3, 0, 5, 1, 4, 2]), first, second, None)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_that_of_soft_labels(
    mixture: Mixture, labels: Tensor, smoothing: float
) -> None:
    logits = torch.randn(6, 7)
    one_hot = F.one_hot(labels, 7) * (1 - smoothing) + smoothing / 7
    targets = (
        mixture.first_weight[:, None] * one_hot
        + mixture.second_weight[:, None] * one_hot[mixture.perm]
    )
    expected = -(targets * logits.log_softmax(dim=1)).sum(dim=1).mean()
    loss = mixture_cross_entropy(logits, labels, mixture, smoothing)
    torch.testing.assert_close(loss, expected)


def test_the_loss_is_that_of_automix_if_weights_add_up(mixture: Mixture, labels: Tensor) -> None:
    logits = torch.randn(6, 7)
    adding_up = mixture._replace(second_weight=1 - mixture.first_weight)
    expected = mixed_cross_entropy(logits, labels, Pairing(mixture.first_weight, mixture.perm))
    torch.testing.assert_close(mixture_cross_entropy(logits, labels, adding_up), expected)


def test_each_weight_meets_the_loss_of_its_own_image(mixture: Mixture, labels: Tensor) -> None:
    logits = torch.randn(6, 7, requires_grad=True)
    loss = mixture_cross_entropy(logits, labels, mixture._replace(second_weight=torch.zeros(6)))
    loss.backward()
    assert logits.grad is not None
    assert (logits.grad[0] == 0).all()  # the only image whose label weighs nothing
    assert (logits.grad[1:].abs().sum(dim=1) > 0).all()


def test_the_loss_is_in_full_precision(mixture: Mixture, labels: Tensor) -> None:
    loss = mixture_cross_entropy(torch.randn(6, 7, dtype=torch.bfloat16), labels, mixture)
    assert loss.dtype == torch.float32


def test_the_example_of_the_package_runs_for_every_mixer() -> None:
    assert mixers.__doc__ is not None
    blocks = re.findall(r"(?:^    .*\n|^\n)+", mixers.__doc__, flags=re.MULTILINE)
    code = "\n".join(line[4:] for line in max(blocks, key=len).splitlines())
    assert '"cutmix"' in code
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    for name in MIXERS:
        names: dict[str, object] = {}
        exec(code.replace("cutmix", name), names)
        loss = names["loss"]
        assert isinstance(loss, Tensor)
        assert loss.isfinite()


def test_every_listed_mixer_is_public() -> None:
    assert set(MIXERS) <= set(mixers.__all__)
    rng = np.random.default_rng(0)
    assert all(isinstance(mix(torch.randn(2, 1, 8, 8), rng), Mixture) for mix in MIXERS.values())
