import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from automix_cli.method import estimate_batch_norm
from automix_cli.method.momentum import move_towards, start_as_frozen_copy, stop_tracking


def test_a_follower_becomes_the_weighted_mean() -> None:
    followers, leaders = [torch.randn(3, 2), torch.randn(5)], [torch.randn(3, 2), torch.randn(5)]
    expected = [0.9 * k + 0.1 * q for k, q in zip(followers, leaders, strict=True)]
    before = [leader.clone() for leader in leaders]
    move_towards(followers, leaders, 0.9)
    torch.testing.assert_close(followers, expected)
    torch.testing.assert_close(leaders, before, rtol=0, atol=0)


def test_coefficient_one_changes_nothing_and_zero_copies() -> None:
    follower, leader = torch.randn(100), torch.randn(100)
    before = follower.clone()
    move_towards([follower], [leader], 1.0)
    assert torch.equal(follower, before)
    move_towards([follower], [leader], 0.0)
    assert torch.equal(follower, leader)


def test_a_coefficient_close_to_one_still_moves_the_follower() -> None:
    follower, leader = torch.ones(1000), 1 + torch.rand(1000)
    exact = follower.double() + 1e-6 * (leader.double() - follower.double())
    move_towards([follower], [leader], 1 - 1e-6)
    torch.testing.assert_close(follower.double(), exact, rtol=6e-8, atol=0)  # one float32 rounding


def test_integers_are_copied() -> None:
    count, batches = torch.tensor(3), torch.tensor(8)
    move_towards([count], [batches], 0.999)
    assert count == 8


@pytest.mark.parametrize("coefficient", [-0.1, 1.1])
def test_a_coefficient_out_of_range_is_refused(coefficient: float) -> None:
    with pytest.raises(
        ValueError, match=rf"`coefficient` must be in \[0, 1\], got `{coefficient}`"
    ):
        move_towards([torch.ones(1)], [torch.ones(1)], coefficient)


def test_the_start_is_a_copy_of_parameters_and_buffers_without_gradients(
    make_classifier: Callable[[], nn.Module], images: Tensor
) -> None:
    classifier, momentum_classifier = make_classifier(), make_classifier()
    classifier(images)  # moves the batch-norm buffers
    start_as_frozen_copy(momentum_classifier, classifier)
    for name, tensor in classifier.state_dict().items():
        copied = momentum_classifier.state_dict()[name]
        assert torch.equal(copied, tensor)
        assert copied.data_ptr() != tensor.data_ptr()
    assert not any(parameter.requires_grad for parameter in momentum_classifier.parameters())
    assert all(parameter.requires_grad for parameter in classifier.parameters())


def test_networks_of_different_shape_are_refused_with_the_name_of_a_difference() -> None:
    with pytest.raises(ValueError, match=r"must have the parameters and buffers .*'bias'"):
        start_as_frozen_copy(nn.Linear(2, 2), nn.Linear(2, 2, bias=False))


def test_without_tracking_a_forward_moves_no_buffer_and_computes_the_same(
    make_classifier: Callable[[], nn.Module], images: Tensor
) -> None:
    classifier = make_classifier()
    untracked = copy.deepcopy(classifier)
    stop_tracking(untracked)
    before = copy.deepcopy(untracked.state_dict())
    assert torch.equal(untracked(images), classifier(images))  # training mode
    for name, tensor in untracked.state_dict().items():
        assert torch.equal(tensor, before[name])

    untracked.load_state_dict(classifier.state_dict())
    assert torch.equal(untracked.eval()(images), classifier.eval()(images))  # buffers are used


@pytest.fixture
def network() -> nn.Module:
    return nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5))


def test_estimated_statistics_are_the_mean_over_images(network: nn.Module) -> None:
    batches = [2 + torch.randn(4, 3, 5, 5), 3 * torch.randn(2, 3, 5, 5)]
    network[0].running_mean.fill_(100)
    estimate_batch_norm(network, batches)
    means = [batch.mean(dim=(0, 2, 3)) for batch in batches]
    variances = [batch.var(dim=(0, 2, 3)) for batch in batches]
    torch.testing.assert_close(network[0].running_mean, (4 * means[0] + 2 * means[1]) / 6)
    torch.testing.assert_close(network[0].running_var, (4 * variances[0] + 2 * variances[1]) / 6)
    assert network[0].num_batches_tracked == 2


def test_later_layers_are_estimated_behind_normalised_earlier_ones(
    make_classifier: Callable[[], nn.Module], images: Tensor
) -> None:
    classifier = make_classifier()
    estimate_batch_norm(classifier, [images])
    features = classifier.train().features(images)
    before_norm = classifier.backbone.conv3(features)
    torch.testing.assert_close(
        classifier.backbone.bn3.running_mean, before_norm.mean(dim=(0, 2, 3))
    )


def test_estimating_restores_modes_settings_and_weights(network: nn.Module) -> None:
    stop_tracking(network)
    network[0].momentum = 0.3
    network.train()
    network[1].eval()
    estimate_batch_norm(network, [torch.randn(4, 3, 2, 2)])
    assert [module.training for module in network.modules()] == [True, True, False]
    assert (network[0].momentum, network[0].track_running_stats) == (0.3, False)
    assert network[0].running_mean.any()  # estimated although its forwards do not track
    assert (network[0].weight == 1).all()


def test_estimating_from_nothing_is_refused_and_changes_nothing(network: nn.Module) -> None:
    network[0].running_mean.fill_(5)
    with pytest.raises(ValueError, match="at least one batch"):
        estimate_batch_norm(network, [])
    assert (network[0].running_mean == 5).all()
