"""Mixers inside the network: what each pass does, checked by doing it in two parts by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from automix_cli.method import (
    INSIDE,
    DecoupledLosses,
    RivalOptions,
    RivalTraining,
    alignmix,
    cutmix,
    mix_features,
    mixture_cross_entropy,
    pass_with_alignmix,
    pass_with_manifoldmix,
    pass_with_transmix,
    sample_layer,
    transmix,
)
from tests.method.conftest import ToyClassifier


class Open(ToyClassifier):
    """A toy classifier that can be reached into; its attention is the size of the patches."""

    def mixing_stages(self) -> tuple[int, int]:
        return 0, 1

    def embed_changed(self, images: Tensor, stage: int, change) -> Tensor:
        features = F.relu(self.backbone.bn1(self.backbone.conv1(images)))
        if stage == 0:
            features = change(features)
        features = F.relu(self.backbone.bn2(self.backbone.conv2(features)))
        return self.backbone.late(change(features) if stage == 1 else features)

    def last_map(self, images: Tensor) -> Tensor:
        return F.relu(self.backbone.bn3(self.backbone.conv3(self.backbone.early(images))))

    def pool(self, last_map: Tensor) -> Tensor:
        return last_map.mean(dim=(2, 3))

    def embed_and_attend(self, images: Tensor) -> tuple[Tensor, Tensor, tuple[int, int]]:
        sizes = F.avg_pool2d(images.abs().mean(dim=1, keepdim=True), 4)
        return self.embed(images), sizes.flatten(start_dim=2), (sizes.shape[2], sizes.shape[3])


class Closed(ToyClassifier):
    """One that cannot: as a real one says it."""

    def _refuse(self, *_: object) -> Tensor:
        raise ValueError("the backbone must be another one")

    mixing_stages = embed_changed = last_map = pool = embed_and_attend = _refuse


def training_with(method: str, **options: object) -> RivalTraining:
    return RivalTraining(Open(), Open(), RivalOptions(method=method, **options))


def seed_with_layer(layer: int) -> int:
    return next(seed for seed in range(99) if sample_layer(np.random.default_rng(seed)) == layer)


@pytest.mark.parametrize("method", INSIDE)
def test_the_gradient_reaches_everything_but_head_mixed_and_the_momentum_classifier(
    method: str, images: Tensor, labels: Tensor, rng: np.random.Generator
) -> None:
    training = training_with(method)
    training(images, labels, rng).total.backward()
    without = {name for name, each in training.named_parameters() if each.grad is None}
    assert without == {
        *(f"momentum_classifier.{name}" for name, _ in training.classifier.named_parameters()),
        "classifier.head_mixed.weight",
        "classifier.head_mixed.bias",
    }


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_manifoldmix_mixes_behind_the_layer_that_is_drawn(images: Tensor, layer: int) -> None:
    classifier, seed = Open().eval(), seed_with_layer(layer)
    mixture, embedding = pass_with_manifoldmix(
        classifier, images, np.random.default_rng(seed), alpha=0.7
    )
    rng, backbone = np.random.default_rng(seed), classifier.backbone
    sample_layer(rng)
    parts = [
        lambda maps: maps,
        lambda maps: F.relu(backbone.bn1(backbone.conv1(maps))),
        lambda maps: F.relu(backbone.bn2(backbone.conv2(maps))),
    ]
    maps = images
    for number, part in enumerate(parts):
        maps = part(maps)
        if number == layer:
            expected = mix_features(maps, rng, alpha=0.7)
            maps = expected.images
    torch.testing.assert_close(embedding, backbone.late(maps))
    assert torch.equal(mixture.perm, expected.perm)
    assert torch.equal(mixture.first_weight, expected.first_weight)


def test_alignmix_mixes_the_last_maps(images: Tensor) -> None:
    classifier = Open().eval()
    mixture, embedding = pass_with_alignmix(classifier, images, np.random.default_rng(1))
    expected = alignmix(classifier.last_map(images), np.random.default_rng(1))
    torch.testing.assert_close(embedding, expected.images.mean(dim=(2, 3)))
    assert torch.equal(mixture.first_weight, expected.first_weight)


def test_transmix_classifies_a_cutmix_image_and_asks_the_attention_for_its_labels(
    images: Tensor,
) -> None:
    classifier = Open().eval()
    mixture, embedding = pass_with_transmix(classifier, images, np.random.default_rng(1))
    cut = cutmix(images, np.random.default_rng(1), alpha=1.0)
    assert torch.equal(embedding, classifier.embed(cut.images))
    _, attention, grid = classifier.embed_and_attend(cut.images)
    expected = transmix(cut, attention, grid).first_weight
    assert torch.equal(mixture.first_weight, expected)
    assert len(set(expected.tolist())) > 1


@pytest.mark.parametrize("method", INSIDE)
def test_a_batch_of_one_image_is_trained_on(
    method: str, images: Tensor, labels: Tensor, rng: np.random.Generator
) -> None:
    assert bool(torch.isfinite(training_with(method)(images[:1], labels[:1], rng).total))


@pytest.mark.parametrize("method", INSIDE)
def test_alpha_smoothing_and_the_decoupled_loss_reach_the_mixer(
    method: str, images: Tensor, labels: Tensor
) -> None:
    training = training_with(method, alpha=0.5, label_smoothing=0.2, decoupled_weight=0.1).eval()
    losses = training(images, labels, np.random.default_rng(2))
    mixture, embedding = INSIDE[method].run(
        training.classifier, images, np.random.default_rng(2), alpha=0.5
    )
    logits = training.classifier.head_one_hot(embedding)
    assert type(losses) is DecoupledLosses
    torch.testing.assert_close(losses.mixed, mixture_cross_entropy(logits, labels, mixture, 0.2))
    torch.testing.assert_close(losses.total, losses.mixed + 0.1 * losses.decoupled)


@pytest.mark.parametrize("method", INSIDE)
def test_the_same_generator_gives_the_same_loss_to_the_bit(
    method: str, images: Tensor, labels: Tensor
) -> None:
    training = training_with(method).eval()
    first, again = (training(images, labels, np.random.default_rng(3)).total for _ in range(2))
    assert torch.equal(first, again)


@pytest.mark.parametrize("method", INSIDE)
def test_trying_out_changes_nothing(method: str, images: Tensor) -> None:
    training = training_with(method)
    before = {name: each.clone() for name, each in training.state_dict().items()}
    training.try_out(images[:1])
    assert all(torch.equal(each, before[name]) for name, each in training.state_dict().items())
    assert all(module.training for module in training.modules())


@pytest.mark.parametrize("method", INSIDE)
def test_trying_out_says_why_a_classifier_cannot_serve(method: str, images: Tensor) -> None:
    training = RivalTraining(Closed(), Closed(), RivalOptions(method=method))
    with pytest.raises(ValueError, match="the backbone must be another one"):
        training.try_out(images[:1])
    assert all(module.training for module in training.modules())


def test_what_works_inside_the_network_mixes_no_images_beforehand(
    images: Tensor, labels: Tensor, rng: np.random.Generator
) -> None:
    with pytest.raises(ValueError, match="mixes no images before they are classified"):
        training_with("transmix").mix(images, labels, rng)


def test_attentivemix_needs_something_that_attends() -> None:
    with pytest.raises(ValueError, match="`attend` must be given for `attentivemix`"):
        training_with("attentivemix")
