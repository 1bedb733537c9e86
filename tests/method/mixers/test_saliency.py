import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from automix_cli.method import gradient_saliency, saliencymix, spectral_residual_saliency


def test_the_gradient_saliency_of_a_linear_classifier_is_known(labels: Tensor) -> None:
    images = torch.randn(6, 3, 5, 4)
    classifier = nn.Sequential(nn.Flatten(), nn.Linear(60, 7))
    saliency = gradient_saliency(classifier, images, labels)
    weight = classifier[1].weight.view(7, 3, 5, 4)
    for i in range(6):
        error = classifier(images[i : i + 1]).softmax(dim=1)[0] - F.one_hot(labels[i], 7)
        gradient = torch.einsum("k,kchw->chw", error, weight)
        torch.testing.assert_close(saliency[i], gradient.square().mean(dim=0).sqrt())


def test_looking_for_saliency_leaves_the_classifier_as_it_was(
    images: Tensor, labels: Tensor
) -> None:
    classifier = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.Linear(4 * 14 * 14, 7)
    )
    classifier.train()
    classifier[1].eval()  # a frozen batch norm stays frozen
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    first = gradient_saliency(classifier, images, labels)
    second = gradient_saliency(classifier, images, labels)
    assert torch.equal(first, second)  # no dropout
    assert not first.requires_grad
    assert [module.training for module in classifier] == [True, False, True, True, True]
    assert all(torch.equal(before[name], each) for name, each in classifier.state_dict().items())
    assert all(parameter.grad is None for parameter in classifier.parameters())
    assert not images.requires_grad


def test_saliency_can_be_had_without_a_graph_around(images: Tensor, labels: Tensor) -> None:
    classifier = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 7))
    with torch.no_grad():
        assert gradient_saliency(classifier, images, labels).sum() > 0


def test_the_classifier_trains_again_after_it_failed(images: Tensor, labels: Tensor) -> None:
    classifier = nn.Sequential(nn.Flatten(), nn.Linear(5, 7))
    with pytest.raises(RuntimeError):
        gradient_saliency(classifier, images, labels)
    assert classifier.training


def test_the_spectral_residual_is_that_of_the_definition() -> None:
    images = torch.randn(2, 3, 12, 15)
    saliency = spectral_residual_saliency(images)
    for i in range(2):
        spectrum = np.fft.fft2(images[i].mean(dim=0).double().numpy())
        amplitude = np.log(np.abs(spectrum))
        padded, mean = np.pad(amplitude, 1, mode="edge"), np.zeros((12, 15))
        for row in range(12):
            for column in range(15):
                mean[row, column] = padded[row : row + 3, column : column + 3].mean()
        phase = np.exp(1j * np.angle(spectrum))
        unusual = np.abs(np.fft.ifft2(np.exp(amplitude - mean) * phase)) ** 2
        spread, radius = 2.5 * 15 / 64, 2
        kernel = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * spread**2))
        kernel = np.outer(kernel, kernel) / kernel.sum() ** 2
        padded, expected = np.pad(unusual, radius, mode="edge"), np.zeros((12, 15))
        for row in range(12):
            for column in range(15):
                expected[row, column] = (padded[row : row + 5, column : column + 5] * kernel).sum()
        np.testing.assert_allclose(saliency[i].numpy(), expected, rtol=1e-3)


@pytest.mark.parametrize("size", [32, 100])
def test_the_spectral_residual_finds_the_odd_one_out(size: int) -> None:
    wave = torch.sin(torch.arange(size) * 2 * math.pi / 8)
    images = (wave[:, None] + wave).expand(1, 3, size, size).clone()
    row, column = size // 4, 2 * size // 3
    images[..., row : row + 3, column : column + 3] = 4
    peak = spectral_residual_saliency(images).flatten().argmax().item()
    assert abs(peak // size - row - 1) <= 2 + size // 32
    assert abs(peak % size - column - 1) <= 2 + size // 32


def test_an_image_of_one_colour_has_a_finite_saliency() -> None:
    saliency = spectral_residual_saliency(torch.ones(2, 3, 8, 8))
    assert saliency.isfinite().all()
    assert (saliency >= 0).all()


@pytest.mark.parametrize("shared_box", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_saliencymix_pastes_around_the_second_images_maximum(seed: int, shared_box: bool) -> None:
    images, saliency = torch.randn(5, 3, 10, 13), torch.rand(5, 10, 13)
    rng = np.random.default_rng(seed)
    mixture = saliencymix(images, rng, saliency, alpha=1.0, shared_box=shared_box)
    rng = np.random.default_rng(seed)
    scale = math.sqrt(1 - rng.beta(1.0, 1.0))
    tall, wide, perm = int(10 * scale) // 2, int(13 * scale) // 2, rng.permutation(5)
    assert mixture.perm.tolist() == perm.tolist()
    for i, partner in enumerate(perm):
        asked = perm[0] if shared_box else partner
        row, column = np.unravel_index(saliency[asked].numpy().argmax(), (10, 13))
        top, bottom = max(row - tall, 0), min(row + tall, 10)
        left, right = max(column - wide, 0), min(column + wide, 13)
        expected = images[i].clone()
        expected[:, top:bottom, left:right] = images[partner, :, top:bottom, left:right]
        assert torch.equal(mixture.images[i], expected)
        area = (bottom - top) * (right - left) / 130
        assert mixture.first_weight[i].item() == pytest.approx(1 - area, abs=1e-6)


def test_saliencymix_looks_for_itself_unless_told() -> None:
    images = torch.randn(5, 3, 16, 16)
    alone = saliencymix(images, np.random.default_rng(1))
    told = saliencymix(images, np.random.default_rng(1), spectral_residual_saliency(images))
    assert torch.equal(alone.images, told.images)
