"""Training with the other mixers: gradients, averaging, losses, and what is refused."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from automix_cli.method import (
    RIVALS,
    DecoupledLosses,
    JointMixture,
    Mixture,
    RivalLosses,
    RivalOptions,
    RivalTraining,
    decoupled_cross_entropy,
    joint_cross_entropy,
    label_weights,
    mixture_binary_cross_entropy,
    mixture_cross_entropy,
    puzzlemix,
)
from tests.method.conftest import ToyClassifier

Make = Callable[..., RivalTraining]


class Seeing(ToyClassifier):
    """A toy classifier that shows its last feature map."""

    def last_map(self, images: Tensor) -> Tensor:
        backbone = self.backbone
        return F.relu(backbone.bn3(backbone.conv3(backbone.early(images))))


@pytest.fixture
def make() -> Make:
    def rival(method: str, **options: object) -> RivalTraining:
        rival_options = RivalOptions(method=method, **options)
        return RivalTraining(
            Seeing(), Seeing(), rival_options, lambda images: images[..., ::4, ::4]
        )

    return rival


@pytest.fixture
def images() -> Tensor:
    """Large enough for PuzzleMix's finest grid of 16 x 16."""
    return torch.randn(6, 3, 32, 32)


@pytest.mark.parametrize("method", RIVALS)
def test_the_gradient_reaches_everything_but_head_mixed_and_the_momentum_classifier(
    make: Make, method: str, images: Tensor, labels: Tensor, rng: np.random.Generator
) -> None:
    training = make(method)
    training(images, labels, rng).total.backward()
    without = {name for name, each in training.named_parameters() if each.grad is None}
    assert without == {
        *(f"momentum_classifier.{name}" for name, _ in training.classifier.named_parameters()),
        "classifier.head_mixed.weight",
        "classifier.head_mixed.bias",
    }


@pytest.mark.parametrize("method", RIVALS)
def test_a_look_at_the_images_moves_neither_buffers_nor_modes_nor_gradients(
    make: Make, method: str, images: Tensor, labels: Tensor, rng: np.random.Generator
) -> None:
    training = make(method)
    before = {name: each.clone() for name, each in training.state_dict().items()}
    modes = [module.training for module in training.modules()]
    training.mix(images, labels, rng)
    assert all(torch.equal(each, before[name]) for name, each in training.state_dict().items())
    assert [module.training for module in training.modules()] == modes
    assert all(each.grad is None for each in training.parameters())


@pytest.mark.parametrize("method", RIVALS)
def test_a_batch_of_one_image_is_trained_on(
    make: Make, method: str, images: Tensor, labels: Tensor, rng: np.random.Generator
) -> None:
    assert bool(torch.isfinite(make(method)(images[:1], labels[:1], rng).total))


@pytest.mark.parametrize("method", RIVALS)
@pytest.mark.parametrize("loss", ["cross_entropy", "bce"])
def test_every_loss_combines_with_every_mixer(
    make: Make, method: str, loss: str, images: Tensor, labels: Tensor
) -> None:
    training = make(method, loss=loss, decoupled_weight=0.1, label_smoothing=0.2).eval()
    losses = training(images, labels, np.random.default_rng(5))
    mixture = training.mix(images, labels, np.random.default_rng(5))
    logits = training.classifier(mixture.images)
    weights = label_weights(labels, mixture, logits.shape[1])
    if loss == "bce":
        mixed = mixture_binary_cross_entropy(logits, weights, 0.2)
    elif isinstance(mixture, JointMixture):
        mixed = joint_cross_entropy(logits, labels, mixture.shares, 0.2)
    else:
        mixed = mixture_cross_entropy(logits, labels, mixture, 0.2)
    decoupled = decoupled_cross_entropy(logits, weights)
    expected = DecoupledLosses(mixed + 0.1 * decoupled, mixed, decoupled)
    torch.testing.assert_close(tuple(losses), tuple(expected))
    assert type(losses) is DecoupledLosses


def test_without_a_decoupled_weight_there_is_no_such_loss(
    make: Make, images: Tensor, labels: Tensor, rng: np.random.Generator
) -> None:
    losses = make("cutmix")(images, labels, rng)
    assert type(losses) is RivalLosses
    assert torch.equal(losses.total, losses.mixed)


def test_vanilla_is_the_ordinary_cross_entropy(
    make: Make, images: Tensor, labels: Tensor, rng: np.random.Generator
) -> None:
    training = make("vanilla", label_smoothing=0.1)
    expected = F.cross_entropy(training.classifier(images), labels, label_smoothing=0.1)
    torch.testing.assert_close(training(images, labels, rng).total, expected)


@pytest.mark.parametrize("method", RIVALS)
def test_the_same_generator_gives_the_same_loss_to_the_bit(
    make: Make, method: str, images: Tensor, labels: Tensor
) -> None:
    training = make(method).eval()
    first, again = (training(images, labels, np.random.default_rng(3)).total for _ in range(2))
    assert torch.equal(first, again)


def test_parameters_and_buffers_of_the_momentum_classifier_are_averaged(
    make: Make, images: Tensor, labels: Tensor, rng: np.random.Generator
) -> None:
    training = make("mixup")
    training(images, labels, rng).total.backward()
    with torch.no_grad():
        for each in training.classifier.parameters():
            each.add_(torch.randn_like(each))
    before = {
        name: each.clone() for name, each in training.momentum_classifier.state_dict().items()
    }
    training.update_momentum(0.9)
    leader = training.classifier.state_dict()
    for name, each in training.momentum_classifier.state_dict().items():
        if each.is_floating_point():
            torch.testing.assert_close(each, 0.9 * before[name] + 0.1 * leader[name])
        else:
            assert torch.equal(each, leader[name])
    assert not torch.equal(before["backbone.bn1.running_mean"], leader["backbone.bn1.running_mean"])


def test_alpha_reaches_the_mixer(make: Make, images: Tensor, labels: Tensor) -> None:
    weights = []
    for alpha in (0.01, 100.0):
        mixture = make("mixup", alpha=alpha).mix(images, labels, np.random.default_rng(0))
        assert isinstance(mixture, Mixture)
        weights.append(float((mixture.first_weight - 0.5).abs().max()))
    assert weights[0] > 0.4
    assert weights[1] < 0.1


def test_mixing_is_in_float32_under_autocast(make: Make, images: Tensor, labels: Tensor) -> None:
    training = make("comixup")
    saliency = torch.rand(6, 32, 32)
    training_mix = RIVALS["comixup"].mixer(images, np.random.default_rng(0), saliency)
    assert isinstance(training_mix, JointMixture)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixture = training.mix(images, labels, np.random.default_rng(0))
        losses = training(images, labels, np.random.default_rng(0))
    assert mixture.images.dtype == torch.float32
    values = set(images.flatten().tolist())
    shown = mixture.images[0].flatten().tolist()  # cells of one image, or of the mean of two
    assert sum(each in values for each in shown) > len(shown) / 4
    assert losses.total.dtype == torch.float32


def test_puzzlemix_refuses_images_that_its_grid_does_not_divide(
    make: Make, labels: Tensor, rng: np.random.Generator
) -> None:
    with pytest.raises(
        ValueError, match="must be a multiple of `largest_grid`, `16`, got `24 x 24`"
    ):
        make("puzzlemix").mix(torch.randn(6, 3, 24, 24), labels, rng)


def test_puzzlemix_compares_brightness_by_the_std_of_the_data(
    make: Make, images: Tensor, labels: Tensor
) -> None:
    with pytest.raises(ValueError, match="`pixel_std` must have 1 or `3` values, got `2`"):
        make("puzzlemix", pixel_std=(0.2, 0.2)).mix(images, labels, np.random.default_rng(0))
    assert RIVALS["puzzlemix"].mixer is puzzlemix


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "cutmx"}, "`method` must be one of"),
        ({"method": "mixup", "alpha": 0.0}, "`alpha` must be greater than 0, got `0.0`"),
        ({"method": "vanilla", "alpha": 1.0}, "`alpha` must be None for `vanilla`, got `1.0`"),
        ({"method": "mixup", "decoupled_weight": -1.0}, "`decoupled_weight` must be at least 0"),
        ({"method": "mixup", "label_smoothing": 1.0}, r"`label_smoothing` must be in \[0, 1\)"),
    ],
)
def test_options_without_meaning_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RivalOptions(**options)


def test_two_classifiers_of_other_shapes_are_refused() -> None:
    other = Seeing()
    other.head_mixed = nn.Linear(24, 3)
    with pytest.raises(ValueError, match="`momentum_classifier` must have the parameters"):
        RivalTraining(Seeing(), other, RivalOptions(method="mixup"))
