"""A loss that brings its gradient along: the same numbers, and the graph is gone."""

import weakref

import pytest
import torch
from torch import Tensor, nn

from automix_cli.method.early_gradient import with_gradient


class Square(torch.autograd.Function):
    """Squares, and remembers weakly what it saved for the backward pass."""

    saved: list[weakref.ref[Tensor]]

    @staticmethod
    def forward(ctx, values: Tensor) -> Tensor:
        kept = values.clone()
        ctx.save_for_backward(kept)
        Square.saved.append(weakref.ref(kept))
        return values**2

    @staticmethod
    def backward(ctx, arriving: Tensor) -> Tensor:
        (values,) = ctx.saved_tensors
        return 2 * values * arriving


@pytest.fixture
def network() -> nn.Module:
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    for number, parameter in enumerate(network.parameters()):
        nn.init.constant_(parameter, 0.1 * (number + 1))
    return network


def images() -> Tensor:
    return torch.linspace(-1, 1, 15).view(5, 3)


def gradients(network: nn.Module) -> list[Tensor]:
    found = [parameter.grad for parameter in network.parameters()]
    assert all(each is not None for each in found)
    return [each for each in found if each is not None]


def test_value_and_gradient_are_those_of_the_loss(network: nn.Module) -> None:
    plain = network(images()).square().mean()
    wanted = torch.autograd.grad(3 * plain, list(network.parameters()))
    early = with_gradient(lambda: network(images()).square().mean(), list(network.parameters()))
    (3 * early).backward()
    assert torch.equal(early.detach(), plain.detach())
    for got, expected in zip(gradients(network), wanted, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-7)


def test_what_is_behind_an_input_gets_its_gradient_in_the_backward_pass() -> None:
    scale = torch.tensor(2.0, requires_grad=True)
    mask = scale * torch.ones(3)
    early = with_gradient(lambda: (mask**2).sum(), [mask])
    assert scale.grad is None
    early.backward()
    assert scale.grad == pytest.approx(2 * 2 * 3)


def test_two_losses_of_one_network_add_up(network: nn.Module) -> None:
    parameters = list(network.parameters())
    losses = [
        with_gradient(lambda power=power: (network(images()) ** power).mean(), parameters)
        for power in (2, 4)
    ]
    torch.stack(losses).sum().backward()
    both = (network(images()) ** 2).mean() + (network(images()) ** 4).mean()
    for got, wanted in zip(gradients(network), torch.autograd.grad(both, parameters), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-7)


def test_the_graph_is_gone_before_the_backward_pass() -> None:
    Square.saved = []
    leaf = torch.ones(4, requires_grad=True)
    early = with_gradient(lambda: Square.apply(leaf).sum(), [leaf])
    assert [reference() for reference in Square.saved] == [None]
    early.backward()
    assert torch.equal(leaf.grad, torch.full((4,), 2.0))


def test_without_gradients_it_is_the_loss_alone(network: nn.Module) -> None:
    parameters = list(network.parameters())
    with torch.no_grad():
        value = with_gradient(lambda: network(images()).sum(), parameters)
    assert not value.requires_grad
    network.requires_grad_(False)
    assert not with_gradient(lambda: network(images()).sum(), parameters).requires_grad


def test_inputs_that_the_loss_does_not_see_get_no_gradient() -> None:
    seen, unseen = (torch.ones(1, requires_grad=True) for _ in range(2))
    with_gradient(lambda: seen.sum(), [seen, unseen]).backward()
    assert seen.grad is not None
    assert unseen.grad is None


def test_half_precision_leaves_the_gradient_to_the_scaled_backward_pass() -> None:
    leaf = torch.ones(2, requires_grad=True)
    with torch.autocast("cpu", torch.float16):
        loss = with_gradient(lambda: (leaf * 2).sum(), [leaf])
    assert loss.grad_fn is not None
    assert "_Known" not in type(loss.grad_fn).__name__
