"""The optimizer that the settings name does what its paper says."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from automix_cli import build
from automix_cli.settings import OptimizerSettings

LAMB = OptimizerSettings(
    name="lamb", lr=0.1, eps=1e-6, weight_decay=0.02, decay_norm_and_bias=False
)


def network() -> nn.Module:
    model = nn.Module()
    with torch.random.fork_rng():
        torch.random.manual_seed(0)
        model.classifier = nn.Linear(4, 3)
        model.mix_block = nn.Linear(3, 2)
    return model


def gradients(model: nn.Module, step: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(step)
    return [torch.randn(each.shape, generator=generator) for each in model.parameters()]


def learn(model: nn.Module, optimizer: Optimizer, steps: range) -> None:
    for step in steps:
        for parameter, gradient in zip(model.parameters(), gradients(model, step), strict=True):
            parameter.grad = gradient
        optimizer.step()


def lamb_by_the_paper(model: nn.Module, num_steps: int) -> list[Tensor]:
    """You et al. 2020, algorithm 2, one parameter at a time, in float64."""
    after: list[Tensor] = []
    for index, parameter in enumerate(model.parameters()):
        x = parameter.detach().double()
        m, v = torch.zeros_like(x), torch.zeros_like(x)
        decay = 0.02 if x.ndim > 1 else 0.0
        for step in range(num_steps):
            g = gradients(model, step)[index].double()
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            r = (m / (1 - 0.9 ** (step + 1))) / ((v / (1 - 0.999 ** (step + 1))).sqrt() + 1e-6)
            update = r + decay * x
            # Without weight decay the step is Adam's, as in the code of the recipes that use it.
            trust = x.norm() / update.norm() if decay else 1.0
            x = x - 0.1 * trust * update
        after.append(x)
    return after


def test_lamb_takes_the_steps_of_its_paper_and_leaves_clipping_to_the_setting() -> None:
    # The gradients have a norm of about 5: clipped to 1, as timm does by itself, v would be others.
    model = network()
    wanted = lamb_by_the_paper(model, 3)
    learn(model, build.optimizer(LAMB, model), range(3))
    for parameter, each in zip(model.parameters(), wanted, strict=True):
        torch.testing.assert_close(parameter.detach().double(), each, rtol=1e-4, atol=1e-6)


def test_lamb_goes_on_from_its_saved_state_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    whole, stopped = network(), network()
    learn(whole, build.optimizer(LAMB, whole), range(4))
    first = build.optimizer(LAMB, stopped)
    learn(stopped, first, range(2))
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second = build.optimizer(LAMB, stopped)
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    learn(stopped, second, range(2, 4))
    for one, other in zip(whole.parameters(), stopped.parameters(), strict=True):
        assert torch.equal(one, other)


def test_lamb_has_the_groups_of_the_other_optimizers() -> None:
    groups = build.optimizer(LAMB, network()).param_groups
    decay = {group["name"]: group["weight_decay"] for group in groups}
    assert decay == {
        "classifier": 0.02,
        "classifier/no_decay": 0.0,
        "mix_block": 0.02,
        "mix_block/no_decay": 0.0,
    }
